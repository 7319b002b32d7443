from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.sources import ImageFolderSource, open_source


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, image)
    assert ok
    path.write_bytes(data.tobytes())


def grey(value: int) -> np.ndarray:
    return np.full((8, 12, 3), value, np.uint8)


def test_images_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b.PNG", 2), ("a.bmp", 1), ("d ä.webp", 4), ("c.jpg", 3)):
        write(tmp_path / name, grey(value))
    (tmp_path / "notes.txt").write_text("no image")
    source = ImageFolderSource(tmp_path, fps=10.0)
    frames = list(source)
    assert [f.name for f in frames] == ["a", "b", "c", "d ä"]
    assert [round(f.pixels.mean()) for f in frames] == [1, 2, 3, 4]
    assert [f.stamp_ns for f in frames] == [0, 100_000_000, 200_000_000, 300_000_000]
    assert (len(source), source.fps, source.labels, source.problems.lines) == (4, 10.0, None, [])


def test_a_damaged_image_is_skipped_and_counted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "0.png", grey(0))
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:20])
    (tmp_path / "2.jpg").touch()
    write(tmp_path / "3.png", grey(3))
    source = ImageFolderSource(tmp_path)
    for _ in range(2):
        assert [f.name for f in source] == ["0", "3"]
        assert source.lost == {1: "malformed", 2: "malformed"}
    assert [("1.png" in line, "2.jpg" in line) for line in source.problems.lines] == [(True, False), (False, True)]
    assert source.problems.counts == {"damaged_message": 2}
    assert len(caplog.records) == 2


def test_images_are_as_large_as_allowed(tmp_path: Path) -> None:
    write(tmp_path / "0.png", grey(0))
    write(tmp_path / "1.webp", np.zeros((9, 12, 3), np.uint8))
    clip = open_source(SourceConfig(images=str(tmp_path)), max_image_px=8 * 12)
    assert [f.name for f in clip] == ["0"]
    assert clip.lost == {1: "too_large"} and clip.problems.counts == {"too_large": 1}


def test_what_is_not_a_folder_of_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0.png").touch()
    for name, words in (("none", "not a folder"), ("file", "not a folder"), ("empty", "no images")):
        with pytest.raises(SourceError, match=words):
            ImageFolderSource(tmp_path / name)
    with pytest.raises(SourceError, match=r"can be decoded; the first: .*0\.png"):
        list(ImageFolderSource(tmp_path / "bad"))
    with pytest.raises(SourceError, match="fps"):
        ImageFolderSource(tmp_path, fps=0.0)


def test_labels_beside_the_images_are_ground_truth(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.png", grey(1))
    write(tmp_path / "images" / "b.png", grey(2))
    ids = np.zeros((8, 12), np.uint8)
    ids[0, :5] = 8, 9, 10, 11, 255
    write(tmp_path / "labels" / "a.png", ids)
    source = open_source(SourceConfig(images=str(tmp_path / "images")))
    first, second = source
    assert source.labels == CAMVID and first.truth is not None and second.truth is None
    assert first.truth.class_ids[0, :6].tolist() == [8, 9, 10, 255, 255, 0]
    assert first.truth.objectness[0, :6].tolist() == [255, 255, 255, 0, 0, 0]


def test_a_label_file_that_does_not_fit_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.png", grey(1))
    for label, words in (
        (np.zeros((8, 11), np.uint8), "a.png is uint8 (8, 11)"),
        (grey(0), "it has 3 channels: colours or transparency"),
        (np.full((8, 12), 256, np.uint16), "it has the value 256; class ids are 0 to 255"),
    ):
        write(tmp_path / "labels" / "a.png", label)
        clip = open_source(SourceConfig(images=str(tmp_path / "images")))
        assert [frame.truth for frame in clip] == [None]
        assert clip.problems.counts == {"bad_label": 1} and words in clip.problems.lines[0]


def test_two_images_of_one_name_are_two_frames(tmp_path: Path) -> None:
    for name, value in (("a.jpg", 1), ("a.png", 2), ("10.png", 4), ("9.png", 3), ("._9.png", 5)):
        write(tmp_path / name, grey(value))
    assert [frame.name for frame in ImageFolderSource(tmp_path)] == ["9", "10", "a.jpg", "a.png"]


def test_labels_are_found_by_number_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    for k in (1, 2, 10):
        write(tmp_path / "images" / f"frame_{k}.png", grey(k))
        write(tmp_path / "labels" / f"{k:04d}.png", np.full((8, 12), k, np.uint8))
    clip = open_source(SourceConfig(images=str(tmp_path / "images")))
    assert [int(frame.truth.class_ids[0, 0]) for frame in clip if frame.truth is not None] == [1, 2, 10]
    write(tmp_path / "labels" / "0002.tif", np.zeros((8, 12), np.uint8))
    with pytest.raises(SourceError, match=r"0002\.png and 0002\.tif have the same name"):
        open_source(SourceConfig(images=str(tmp_path / "images")))
