from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import ROOT

from cmt_seg_ros import files


def test_a_file_is_replaced_once_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.replace_with(path) as fresh:
        fresh.write_text("new")
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new" and list(tmp_path.iterdir()) == [path]
    files.write_whole(path, "é")
    assert path.read_bytes() == b"\xc3\xa9" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_there_stays_if_writing_fails(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), files.replace_with(path) as fresh:
        fresh.write_text("half of i")
        raise error
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_where_the_file_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        files.write_whole(tmp_path / "folder", "text")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]
    with pytest.raises(FileNotFoundError):
        files.write_whole(tmp_path / "none" / "a.txt", "text")


def test_shipped_files_are_found_in_the_checkout_then_in_workspaces_then_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    assert files.shared("config/fastdds.xml") == [ROOT / "config" / "fastdds.xml"]
    expected = []
    for prefix in ("one", "environment"):
        expected.append(tmp_path / prefix / "share" / "cmt_seg_ros" / "config" / "fastdds.xml")
        expected[-1].parent.mkdir(parents=True)
        expected[-1].touch()
    assert files.shared("config/fastdds.xml") == [ROOT / "config" / "fastdds.xml", *expected]
    # Installed, what lies beside the package belongs to others.
    monkeypatch.setattr(files, "_CHECKOUT", tmp_path / "site-packages")
    (tmp_path / "site-packages" / "models").mkdir(parents=True)
    assert files.shared("models") == [] and files.shared("config/fastdds.xml") == expected
