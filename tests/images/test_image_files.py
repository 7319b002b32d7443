"""Image files: all that can be read is, and what cannot is refused with its name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.pictures import file, picture, png_that_promises

from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.images.files import check_size, files_by_name, list_files, read_image, try_image

PICTURE = picture()


@pytest.mark.parametrize("name", ["a.png", "ä b.PNG", "a.bmp", "a.tiff"])
def test_lossless_files_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(file(PICTURE, Path(name).suffix[1:].lower()).tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / name), PICTURE)


def test_labels_are_read_as_they_are_stored(tmp_path: Path) -> None:
    for stored in (PICTURE[:, :, 0], PICTURE[:, :, 1].astype(np.uint16) * 200, np.dstack([PICTURE, PICTURE[:, :, 0]])):
        (tmp_path / "a.png").write_bytes(file(stored, "png").tobytes())
        found = read_image(tmp_path / "a.png", cv2.IMREAD_UNCHANGED)
        assert found.dtype == stored.dtype
        np.testing.assert_array_equal(found, stored)


def test_photos_are_turned_as_their_camera_says(tmp_path: Path) -> None:
    quarter_turn = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8" + quarter_turn + file(PICTURE, "jpeg").tobytes()[2:])
    assert read_image(tmp_path / "a.jpg").shape == (48, 32, 3)


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (None, "malformed", "a.png cannot be read: No such file"),
        (b"", "malformed", "a.png cannot be decoded; it is damaged or not an image"),
        (b"no image", "malformed", "a.png cannot be decoded"),
        (file(PICTURE, "png")[:30].tobytes(), "malformed", "a.png cannot be decoded"),
        (file(PICTURE, "jpeg")[:-80].tobytes() + b"\xff\xd9", "malformed", r"a.png cannot .*\(.* the jpeg is damaged"),
        (png_that_promises(60_000, 60_000).tobytes(), "too_large", r"a.png: image is 60000x60000 = 36\d+ pixels"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: bytes | None, reason: str, words: str) -> None:
    path = tmp_path / "a.png"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(FrameError, match=words) as caught:
        try_image(path)
    assert caught.value.reason == reason
    with pytest.raises(SourceError, match=words):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpeg", "webp", "bmp"])
def test_size_is_limited_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(file(PICTURE, suffix).tobytes())
    assert try_image(path, max_image_px=PICTURE[:, :, 0].size).shape == PICTURE.shape
    with pytest.raises(FrameError, match="max_image_px allows 1535") as caught:
        try_image(path, max_image_px=PICTURE[:, :, 0].size - 1)
    assert caught.value.reason == "too_large"


def test_files_of_a_folder_come_by_name(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.tif"):
        (tmp_path / name).touch()
    (tmp_path / "d.png").mkdir()
    assert [path.name for path in list_files(tmp_path)] == ["a.png", "b.JPG"]
    assert [path.name for path in files_by_name(tmp_path, (".tif",))] == ["c.tif"]
    assert list_files(tmp_path / "none") == []
    with pytest.raises(SourceError, match=r"none is not a folder"):
        files_by_name(tmp_path / "none")
    with pytest.raises(SourceError, match=r"has no files ending in \.png, \.jpg"):
        files_by_name(tmp_path / "d.png")


def test_files_come_in_the_order_of_their_numbers_and_hidden_ones_not_at_all(tmp_path: Path) -> None:
    for name in ("10.png", "9.png", "1.png", "f2_10.png", "f2_9.png", "f10_1.png", "._1.png", ".thumb.png"):
        (tmp_path / name).touch()
    expected = ["1.png", "9.png", "10.png", "f2_9.png", "f2_10.png", "f10_1.png"]
    assert [path.name for path in list_files(tmp_path)] == expected


def test_another_size_is_refused() -> None:
    check_size("a.png", PICTURE, (32, 48))
    with pytest.raises(SourceError, match=r"a.png is 48x32, the frames are 47x32; all must have one size"):
        check_size("a.png", PICTURE, (32, 47))
