"""A folder of results: ours are replaced, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.outputs import LIST, OutputFolder


def write(folder: Path, name: str, text: str) -> None:
    with OutputFolder(folder).replace(name) as fresh:
        fresh.write_text(text, encoding="utf-8")


def test_what_was_written_is_replaced(tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        write(tmp_path / "new" / "out", "a.txt", text)
        assert (tmp_path / "new" / "out" / "a.txt").read_text(encoding="utf-8") == text


def test_what_is_not_ours_or_was_changed_stays(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=r"--out .* has a, b, c and 1 others, which cmt-seg did not write"):
        OutputFolder(tmp_path).check("abcd")
    with pytest.raises(ConfigError, match="has a, which cmt-seg did not write"):
        write(tmp_path, "a", "ours")
    write(tmp_path, "e", "ours")
    (tmp_path / "e").write_text("ours, mended by hand")
    with pytest.raises(ConfigError, match="which changed since"):
        write(tmp_path, "e", "ours")
    assert {(tmp_path / name).read_text(encoding="utf-8") for name in "abcd"} == {"mine"}


def test_a_file_of_another_time_is_not_ours(tmp_path: Path) -> None:
    write(tmp_path, "a", "ours")
    time_ns = (tmp_path / "a").stat().st_mtime_ns
    os.utime(tmp_path / "a", ns=(0, time_ns // 10**9 * 10**9))  # a file system without fractions of seconds
    OutputFolder(tmp_path).check(["a"])
    os.utime(tmp_path / "a", ns=(0, time_ns - 10 * 10**9))
    with pytest.raises(ConfigError, match="has a, which"):
        OutputFolder(tmp_path).check(["a"])


def test_links_and_folders_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    for name in ("link", "nowhere", "folder"):
        with pytest.raises(ConfigError, match=f"has {name}, which cmt-seg did not write"):
            OutputFolder(tmp_path).check([name])


def test_the_list_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / LIST).symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic link"):
        write(tmp_path, "a", "ours")
    assert (tmp_path / "target").read_text(encoding="utf-8") == "mine" and not (tmp_path / "a").exists()


def test_a_list_of_rubbish_makes_nothing_ours(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    (tmp_path / LIST).write_bytes(b'\xff\n["a"]\n["a", 4, null]\n[[]]\n3\n')
    with pytest.raises(ConfigError, match="has a, which"):
        OutputFolder(tmp_path).check(["a"])


def test_any_name_is_listed(tmp_path: Path) -> None:
    for _ in range(2):
        for name in ("ä b", "two\nlines", os.fsdecode(b"\xff.txt")):
            write(tmp_path, name, "ours")


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigError, match=r"--overlay .*file/out cannot be written: Not a directory; give another place"
    ):
        OutputFolder(tmp_path / "file" / "out", "--overlay").make()
