"""Images of 16 bits are as bright as the camera meant them, from messages, bags and files alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.pictures import encoded, file, picture

from cmt_seg_ros.images.depth import Mono16Range
from cmt_seg_ros.images.pixels import decoded, slot_dtype, slot_shape, to_bgr, write_pixels
from cmt_seg_ros.sources.images import ImageFolderSource
from cmt_seg_ros.structures import Frame

PICTURE = picture()


def frame_of(pixels: np.ndarray, encoding: str = "mono16", camera: str = "front") -> Frame:
    return Frame(camera, 1, pixels, encoding)


def of_bits(encoding: str, bits: int) -> np.ndarray:
    """The picture with as many bits; white is all of them."""
    return encoded(PICTURE, encoding) >> (16 - bits)


def in_slot(frame: Frame) -> np.ndarray:
    slot = np.zeros(slot_shape(frame.size, frame.encoding), slot_dtype(frame.encoding))
    write_pixels(frame, slot)
    return slot


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("encoding", ["mono16", "bgr16", "rgb16"])
@pytest.mark.parametrize("order", "<>")
def test_every_number_of_bits_gives_the_same_picture(encoding: str, bits: int, order: str) -> None:
    warnings: list[str] = []
    frame = frame_of(of_bits(encoding, bits).astype(f"{order}u2"), encoding)
    found = Mono16Range(str(bits), warnings.append).of(frame)
    whole = frame_of(encoded(PICTURE, encoding), encoding)
    assert np.abs(to_bgr(found).astype(int) - to_bgr(whole)).max() <= 1
    step = 257 if slot_dtype(encoding) == np.uint16 else 1
    assert np.abs(in_slot(found).astype(int) - in_slot(whole)).max() <= step
    assert warnings == []


def test_values_above_the_range_are_white() -> None:
    warnings: list[str] = []
    frame = Mono16Range("12", warnings.append).of(frame_of(np.full((20, 20), 5000, np.uint16)))
    assert (to_bgr(frame) == 255).all() and (in_slot(frame) >= 65520).all()
    assert "5000 to 5000, which takes 13 bits; mono16_range is 12, so what is above is white" in warnings[0]


def test_dark_images_are_told_once_a_camera() -> None:
    warnings: list[str] = []
    ranges = Mono16Range("16", warnings.append)
    ranges.of(frame_of(of_bits("mono16", 16)))  # a folder may hold images of several cameras
    for camera in ("front", "front", "rear"):
        frame = frame_of(of_bits("mono16", 12), camera=camera)
        assert ranges.of(frame).bits == 16
    assert [text.split(",")[0] for text in warnings] == [
        f"values of the mono16 images of camera {camera} are 1445 to 1943" for camera in ("front", "rear")
    ]
    assert "takes 11 bits" in warnings[0] and "Set it to the bits that the camera has, or to auto" in warnings[0]


def test_images_that_use_their_bits_are_not_told() -> None:
    warnings: list[str] = []
    Mono16Range("16", warnings.append).of(frame_of(of_bits("mono16", 16)))
    Mono16Range("12", warnings.append).of(frame_of(of_bits("mono16", 9)))
    Mono16Range("auto", warnings.append).of(frame_of(of_bits("mono16", 12)))
    Mono16Range("8", warnings.append).of(frame_of(of_bits("mono16", 8)))
    Mono16Range("16", warnings.append).of(frame_of(PICTURE, "bgr8"))
    assert warnings == []


def test_auto_is_the_range_seen_so_far_and_never_less() -> None:
    ranges = Mono16Range("auto", print)
    highest = [0, 700, 4000, 100, 65535, 100]
    bits = [ranges.of(frame_of(np.full((4, 4), value, np.uint16))).bits for value in highest]
    assert bits == [8, 10, 12, 12, 16, 16]
    assert ranges.of(frame_of(np.full((4, 4), 100, np.uint16), camera="rear")).bits == 8


@pytest.mark.parametrize("encoding", ["mono16", "bgr16"])
def test_png_of_16_bits_keeps_them_from_messages_and_files(tmp_path: Path, encoding: str) -> None:
    data = file(of_bits(encoding, 12), "png")
    (tmp_path / "a.png").write_bytes(data.tobytes())
    (from_file,) = ImageFolderSource(tmp_path)
    expected = to_bgr(frame_of(encoded(PICTURE, encoding), encoding))
    for frame in (from_file, decoded(frame_of(data, "png"))):
        assert frame.encoding == "bgr16"
        assert np.abs(to_bgr(replace(frame, bits=12)).astype(int) - expected).max() <= 1


def test_png_of_8_bits_stays_as_it_is() -> None:
    frame = decoded(frame_of(file(PICTURE, "png"), "png"))
    assert frame.encoding == "bgr8"
    np.testing.assert_array_equal(frame.pixels, PICTURE)
    assert decoded(frame_of(file(PICTURE, "jpeg"), "jpeg")).encoding == "bgr8"


def test_order_of_channels_of_a_16_bit_png() -> None:
    data = file(cv2.cvtColor(of_bits("bgr16", 16), cv2.COLOR_BGR2RGB), "png")
    np.testing.assert_array_equal(to_bgr(decoded(frame_of(data, "png_rgb8"))), PICTURE)
