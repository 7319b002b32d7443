from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT

from cmt_seg_ros import files
from cmt_seg_ros.errors import CmtSegError, ModelError
from cmt_seg_ros.images.files import read_image
from cmt_seg_ros.images.label_images import read_labels
from cmt_seg_ros.labels import read_classes
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.sources import BagSource, ImageFolderSource, VideoSource
from cmt_seg_ros.sources.truth.boxes import read_boxes


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


def test_names_sort_as_people_count() -> None:
    names = ["f10", "f9", "f09", "f1", "e", "f1_10", "f1_9", "10", "9", "\u00b2"]
    expected = ["9", "10", "e", "f1", "f1_9", "f1_10", "f09", "f9", "f10", "\u00b2"]
    assert sorted(names, key=files.natural_key) == expected


def test_names_that_are_not_utf8_are_escaped_in_files_and_opened_through_a_link(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.txt")
    files.write_whole(tmp_path / name, f"see {name}")
    assert (tmp_path / name).read_bytes() == b"see a\\udcff.txt"
    with files.openable(tmp_path / name) as path:
        str(path).encode("ascii")
        assert path.suffix == ".txt" and path.read_bytes() == b"see a\\udcff.txt"
    assert not path.exists() and (tmp_path / name).exists()
    with files.openable(tmp_path / "plain") as path:
        assert path == tmp_path / "plain"


POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b\nsize 12345\n"
)
OPENED: dict[str, Callable[[Path], object]] = {
    "a.png": read_image,
    "b.png": read_labels,
    "clip.mp4": VideoSource,
    "drive.mcap": BagSource,
    "drive.bag": BagSource,
    "drive.mcap.zstd": BagSource,
    "folder/folder_0.db3": lambda path: BagSource(path.parent),
    "images/a.jpg": lambda path: list(ImageFolderSource(path.parent)),
    "model/model.yaml": lambda path: ModelPackage.load(str(path.parent)),
    "data/classes.yaml": lambda path: read_classes(path.parent),
    "gt.txt": lambda path: read_boxes(path, Problems()),
}


@pytest.mark.parametrize("name", OPENED)
def test_a_pointer_of_git_lfs_is_told_by_all_that_open_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(POINTER)
    with pytest.raises(CmtSegError) as caught:
        OPENED[name](path)
    assert f"{path} is a Git LFS pointer" in str(caught.value) and "git lfs pull" in str(caught.value)


def test_the_network_of_a_model_may_be_a_pointer_too(tmp_path: Path, tiny: str) -> None:
    shutil.copytree(tiny, tmp_path / "m")
    (tmp_path / "m" / "model.bin").write_bytes(POINTER)
    with pytest.raises(ModelError, match=r"model\.bin is a Git LFS pointer.*git lfs pull"):
        ModelPackage.load(str(tmp_path / "m"))


def test_what_only_begins_like_a_pointer_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(POINTER + b" " * 1024)
    files.refuse_lfs_pointer(tmp_path / "a", ValueError)
    (tmp_path / "a").write_bytes(b"version 1")
    files.refuse_lfs_pointer(tmp_path / "a", ValueError)
    files.refuse_lfs_pointer(tmp_path / "none", ValueError)
