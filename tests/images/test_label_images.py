"""Labels are the samples and indices that a file stores, of any number of bits and with any palette."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.label_files import bmp, png, tiff
from support.pictures import file, picture

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.label_images import byte_labels, decode_labels, read_labels


def ids(bits: int) -> np.ndarray:
    """(5, 21) with every value of so many bits, or the greatest ones."""
    return (
        (2**bits - 1 - np.arange(5 * 21) % 2 ** min(bits, 6)).reshape(5, 21).astype(np.uint16 if bits > 8 else np.uint8)
    )


def labels(data: bytes) -> np.ndarray:
    return decode_labels(np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_and_few_bits_are_read_as_stored(bits: int) -> None:
    expected = ids(bits)
    files = [png(expected, bits), png(expected, bits, palette=True), png(expected, bits, palette=True, transparent=1)]
    files += [png(expected, bits, transparent=1)]
    files += [bmp(expected, bits)] if bits != 2 else []
    if bits in (1, 8):
        files += [tiff(expected, bits, meaning, order) for meaning in (0, 1, 3) for order in "<>"]
    for data in files:
        found = labels(data)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


def test_sixteen_bits_stay() -> None:
    expected = ids(16)
    for data in (png(expected, 16), tiff(expected, 16, 1, ">"), png(expected, 16, transparent=65535)):
        found = labels(data)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, expected)


def test_class_ids_of_sixteen_bits_are_taken_up_to_255() -> None:
    np.testing.assert_array_equal(byte_labels(np.array([[0, 255]], np.uint16)), np.array([[0, 255]], np.uint8))
    with pytest.raises(FrameError, match="has the value 256; class ids are 0 to 255"):
        byte_labels(np.array([[0, 256]], np.uint16))


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_and_transparency_are_refused_with_the_reason(channels: int, tmp_path: Path) -> None:
    image = cv2.cvtColor(picture(), cv2.COLOR_BGR2BGRA)[:, :, :channels]
    path = tmp_path / "a.png"
    path.write_bytes(file(image, "png").tobytes())
    words = f"it has {channels} channels: colours or transparency, which are no ids; save the ids as one channel"
    with pytest.raises(FrameError, match=words) as caught:
        read_labels(path)
    assert caught.value.reason == "bad_encoding"


@pytest.mark.parametrize("at", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("data", [png(ids(4), 4, palette=True), bmp(ids(8), 8), tiff(ids(8), 8, 3)])
def test_damaged_files_are_refused(data: bytes, at: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data[:at])
    with pytest.raises(FrameError, match="it cannot be decoded"):
        read_labels(path)


def test_a_tiff_of_four_bits_is_refused_with_the_reason() -> None:
    with pytest.raises(FrameError, match="tiff of 4 bits per pixel, which cannot be decoded; save it as png"):
        labels(tiff(ids(4), 4, 1))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"none\.png cannot be read: No such file"):
        read_labels(tmp_path / "none.png")
