"""Every encoding gives back the picture that was put into it, and nothing is written beside its place."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.pictures import (
    CONVERTED,
    RAW,
    encoded,
    file,
    jpeg_that_promises,
    padded,
    picture,
    png_that_promises,
    seen,
    tolerance,
)

from cmt_seg_ros.encodings import ENCODINGS
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.pixels import (
    check_pixels,
    decoded,
    graph_encoding,
    promised_size,
    slot_dtype,
    slot_shape,
    to_bgr,
    write_pixels,
)
from cmt_seg_ros.structures import Frame

PICTURE = picture()


def frame_of(pixels: np.ndarray, encoding: str) -> Frame:
    return Frame("camera", 1, pixels, encoding)


def slot_for(frame: Frame) -> np.ndarray:
    """The middle one of three slots; all memory holds 99."""
    slots = np.empty((3, *slot_shape(frame.size, frame.encoding)), slot_dtype(frame.encoding))
    slots.view(np.uint8)[...] = 99
    return slots[1]


def assert_is(found: np.ndarray, expected: np.ndarray, encoding: str) -> None:
    assert (found.shape, found.dtype) == (expected.shape, np.uint8)
    assert np.abs(found.astype(int) - expected).max() <= tolerance(encoding)


@pytest.mark.parametrize("padding", [0, 6, 13])
@pytest.mark.parametrize("encoding", RAW)
def test_every_encoding_gives_back_the_picture(encoding: str, padding: int) -> None:
    frame = frame_of(padded(encoded(PICTURE, encoding), padding), encoding)
    check_pixels(frame)
    assert frame.size == PICTURE.shape[:2]
    expected = seen(PICTURE, encoding)
    assert_is(to_bgr(frame), expected, encoding)
    slot = slot_for(frame)
    write_pixels(frame, slot)
    assert_is(to_bgr(frame_of(slot, graph_encoding(encoding))), expected, encoding)
    assert (slot.base.view(np.uint8)[[0, 2]] == 99).all()


def test_graph_reads_what_it_can_and_bgr8_else() -> None:
    read = {name: graph_encoding(name) for name in ENCODINGS}
    assert {name: to for name, to in read.items() if to != "bgr8"} == {
        "rgb8": "rgb8", "bgra8": "bgra8", "8UC4": "bgra8", "rgba8": "rgba8",
        "mono8": "mono8", "8UC1": "mono8", "mono16": "mono16",
    }  # fmt: skip
    assert slot_shape((4, 6), "nv12") == (4, 6, 3) and slot_dtype("nv12") == np.uint8
    assert slot_shape((4, 6), "mono16") == (4, 6, 1) and slot_dtype("mono16") == np.uint16


def test_bgr8_is_not_copied_for_an_overlay() -> None:
    assert to_bgr(frame_of(PICTURE, "bgr8")) is PICTURE


@pytest.mark.parametrize("order", "<>")
def test_mono16_of_both_byte_orders(order: str) -> None:
    values = np.arange(65536).reshape(256, 256)
    frame = frame_of(values.astype(f"{order}u2"), "mono16")
    check_pixels(frame)
    slot = slot_for(frame)
    write_pixels(frame, slot)
    np.testing.assert_array_equal(slot[:, :, 0], values)
    np.testing.assert_array_equal(to_bgr(frame), np.repeat(np.round(values / 257)[:, :, None], 3, 2))


def test_one_channel_may_have_an_axis_of_its_own() -> None:
    for encoding in ("mono8", "mono16", "nv12", "bayer_grbg8"):
        flat, deep = (
            frame_of(p, encoding) for p in (encoded(PICTURE, encoding), encoded(PICTURE, encoding)[:, :, None])
        )
        check_pixels(deep)
        slots = slot_for(flat), slot_for(deep)
        for frame, slot in zip((flat, deep), slots, strict=True):
            write_pixels(frame, slot)
        np.testing.assert_array_equal(*slots)
        np.testing.assert_array_equal(to_bgr(flat), to_bgr(deep))


@pytest.mark.parametrize("encoding", CONVERTED)
def test_conversion_is_the_copy(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = frame_of(encoded(PICTURE, encoding), encoding)
    slot = slot_for(frame)
    monkeypatch.setattr(np, "copyto", None)
    write_pixels(frame, slot)
    assert_is(slot, PICTURE, encoding)


def test_conversion_is_copied_where_opencv_took_other_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = cv2.cvtColor
    monkeypatch.setattr(cv2, "cvtColor", lambda pixels, code, dst=None: convert(pixels, code))
    frame = frame_of(encoded(PICTURE, "nv12"), "nv12")
    slot = slot_for(frame)
    write_pixels(frame, slot)
    assert_is(slot, PICTURE, "nv12")


@pytest.mark.parametrize("encoding", ["bgr8", "mono8", "mono16", "nv12", "bayer_rggb8"])
@pytest.mark.parametrize("change", ["channels", "dtype"])
def test_slot_of_another_encoding_stays_as_it_is(encoding: str, change: str) -> None:
    frame = frame_of(encoded(PICTURE, encoding), encoding)
    (height, width, channels), dtype = slot_shape(frame.size, encoding), slot_dtype(encoding)
    slot = {
        "channels": np.full((height, width, channels + 1), 99, dtype),
        "dtype": np.full((height, width, channels), 99, np.float32),
    }[change]
    with pytest.raises(FrameError, match=re.escape(f"not {slot.dtype} {slot.shape}")) as caught:
        write_pixels(frame, slot)
    assert caught.value.reason == "bad_encoding" and (slot == 99).all()


@pytest.mark.parametrize("encoding", RAW)
@pytest.mark.parametrize("size", [(17, 31), (64, 96)])
def test_picture_is_scaled_into_a_slot_of_another_size(encoding: str, size: tuple[int, int]) -> None:
    """From padded rows, and big-endian where there is such a thing; nothing beside the slot is written."""
    pixels = encoded(PICTURE, encoding)
    if encoding == "mono16":
        pixels = pixels.astype(">u2")
    frame = frame_of(padded(pixels, 6), encoding)
    shape, dtype = slot_shape(size, encoding), slot_dtype(encoding)
    slots = np.full((3, *shape), 99, dtype)
    write_pixels(frame, slots[1])
    expected = cv2.resize(seen(PICTURE, encoding), size[::-1], interpolation=cv2.INTER_LINEAR)
    found = to_bgr(frame_of(slots[1], graph_encoding(encoding)))
    assert np.abs(found.astype(int) - expected).max() <= tolerance(encoding) + 1
    assert (slots[[0, 2]] == 99).all()


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Frames of any raw encoding, allowed size, padding and byte order, full of noise."""
    encoding = draw(st.sampled_from(RAW))
    rows, columns = ENCODINGS[encoding].block
    height, width = (draw(st.integers(1, 20)) * side for side in (rows, columns))
    kind = ENCODINGS[encoding]
    shape = (kind.rows(height), width) if kind.channels == 1 else (height, width, kind.channels)
    dtype = np.dtype(kind.dtype).newbyteorder(draw(st.sampled_from("<>")))
    noise = np.random.default_rng(draw(st.integers(0, 99))).integers(0, np.iinfo(dtype).max, shape, kind.dtype)
    return frame_of(padded(noise.astype(dtype), draw(st.integers(0, 17))), encoding)


@settings(deadline=None)
@given(frames(), st.integers(0, 64))
def test_nothing_is_written_outside_the_slot(frame: Frame, before: int) -> None:
    shape, dtype = slot_shape(frame.size, frame.encoding), slot_dtype(frame.encoding)
    begin, size = before * dtype.itemsize, int(np.prod(shape)) * dtype.itemsize
    memory = np.full(begin + size + 64, 99, np.uint8)
    slot: np.ndarray[Any, Any] = np.ndarray(shape, dtype, memory, begin)
    source = frame.pixels.copy()
    write_pixels(frame, slot)
    assert (memory[:begin] == 99).all() and (memory[begin + size :] == 99).all()
    np.testing.assert_array_equal(to_bgr(frame_of(slot, graph_encoding(frame.encoding))), to_bgr(frame))
    np.testing.assert_array_equal(frame.pixels, source)


WRONG = {
    "unknown": ("16UC1", np.zeros((4, 6), np.uint16), "bad_encoding", "encoding is '16UC1'; supported: bgr8, 8UC3"),
    "channels": ("bgr8", np.zeros((4, 6, 4), np.uint8), "bad_encoding", "uint8 with 4 channels, shape (4, 6, 4)"),
    "grey as colour": ("bgr8", np.zeros((4, 6), np.uint8), "bad_encoding", "bgr8 has uint8 and 3"),
    "too deep": ("mono16", np.zeros((4, 6), np.uint8), "bad_encoding", "mono16 has uint16 and 1"),
    "floats": ("mono8", np.zeros((4, 6), np.float32), "bad_encoding", "pixels are float32 with 1 channels"),
    "one axis": ("mono8", np.zeros(6, np.uint8), "bad_encoding", "shape (6,)"),
    "file of rows": ("jpeg", np.zeros((4, 6), np.uint8), "bad_encoding", "jpeg has uint8 and 1"),
    "no rows": ("bgr8", np.zeros((0, 6, 3), np.uint8), "bad_size", "image is 6x0; both sides must be more than 0"),
    "no chroma": ("nv12", np.zeros((4, 6), np.uint8), "bad_size", "nv12 has 4 rows; luma and chroma make a multiple"),
    "odd sides": ("i420", np.zeros((9, 5), np.uint8), "bad_size", "image is 5x6; i420 needs both sides even"),
    "odd width": ("yuyv", np.zeros((4, 5, 2), np.uint8), "bad_size", "image is 5x4; yuyv needs the width even"),
}  # fmt: skip


@pytest.mark.parametrize(("encoding", "pixels", "reason", "words"), WRONG.values(), ids=WRONG)
def test_pixels_of_another_encoding_are_refused(encoding: str, pixels: np.ndarray, reason: str, words: str) -> None:
    with pytest.raises(FrameError, match=re.escape(words)) as caught:
        check_pixels(frame_of(pixels, encoding))
    assert caught.value.reason == reason


# Compressed


@pytest.mark.parametrize(("encoding", "allowed"), [("png", 0), ("jpeg", 4)])
def test_file_is_decoded(encoding: str, allowed: int) -> None:
    frame = replace(frame_of(file(PICTURE, encoding), encoding), frame_id="front", name="7")
    check_pixels(frame)
    found = decoded(frame)
    assert np.abs(found.pixels.astype(int) - PICTURE).max() <= allowed
    assert (found.encoding, found.size, found.frame_id, found.name) == ("bgr8", PICTURE.shape[:2], "front", "7")
    np.testing.assert_array_equal(to_bgr(frame), found.pixels)


@pytest.mark.parametrize("stored", [PICTURE[:, :, 1], np.dstack([PICTURE, PICTURE[:, :, 0]])], ids=["grey", "alpha"])
def test_file_of_other_channels_becomes_bgr8(stored: np.ndarray) -> None:
    expected = stored[:, :, :3] if stored.ndim == 3 else np.repeat(stored[:, :, None], 3, 2)
    np.testing.assert_array_equal(decoded(frame_of(file(stored, "png"), "png")).pixels, expected)


def test_frame_that_is_not_compressed_is_handed_through() -> None:
    frame = frame_of(encoded(PICTURE, "nv12"), "nv12")
    assert decoded(frame) is frame


def test_size_is_unknown_before_decoding() -> None:
    with pytest.raises(FrameError, match="a jpeg frame has no size before it is decoded") as caught:
        _ = frame_of(file(PICTURE, "jpeg"), "jpeg").size
    assert caught.value.reason == "not_decoded"


PROGRESSIVE = cv2.IMWRITE_JPEG_PROGRESSIVE, 1
# One field: orientation 6, a quarter turn.
EXIF = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
FILES = {
    "png": file(PICTURE, "png"),
    "jpeg": file(PICTURE, "jpeg"),
    "progressive": file(PICTURE, "jpeg", *PROGRESSIVE),
    "turned": np.frombuffer(b"\xff\xd8" + EXIF + file(PICTURE, "jpeg").tobytes()[2:], np.uint8),
    # A block of EXIF with a thumbnail in it, and bytes that fill up.
    "thumbnail": np.concatenate([
        file(PICTURE, "jpeg")[:2], np.frombuffer(b"\xff\xe1\x02\x5a", np.uint8),
        np.resize(file(picture(8, 8), "jpeg"), 600), np.frombuffer(b"\xff\xff", np.uint8), file(PICTURE, "jpeg")[2:],
    ]),
}  # fmt: skip


def test_turned_file_is_one_that_opencv_would_turn() -> None:
    assert cv2.imdecode(FILES["turned"], cv2.IMREAD_COLOR).shape == (48, 32, 3)


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_size_is_limited_to_the_pixel(data: np.ndarray) -> None:
    frame = frame_of(data, "png" if data[1] == ord("P") else "jpeg")
    assert promised_size(frame) == (32, 48)
    assert decoded(frame, max_image_px=32 * 48).size == (32, 48)
    with pytest.raises(FrameError, match="image is 48x32 = 1536 pixels; max_image_px allows 1535") as caught:
        decoded(frame, max_image_px=32 * 48 - 1)
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    "data", [png_that_promises(60_000, 60_000), jpeg_that_promises(60_000, 60_000)], ids=["png", "jpeg"]
)
def test_promise_of_a_huge_image_takes_no_memory(data: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(FrameError, match="image is 60000x60000 = 3600000000 pixels") as caught:
        decoded(frame_of(data, "jpeg"))
    assert caught.value.reason == "too_large"


DAMAGED = {
    "empty": b"",
    "text": b"no picture",
    "header of png": file(PICTURE, "png")[:30].tobytes(),
    "header of jpeg": file(PICTURE, "jpeg")[:180].tobytes(),
    "signature of png": file(PICTURE, "png")[:8].tobytes(),
    "signature of jpeg": b"\xff\xd8\xff",
    "promises too much": png_that_promises(2000, 2000).tobytes(),
    "bitmap": file(PICTURE, "bmp").tobytes(),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError, match=f"{len(data)} bytes cannot be decoded; ") as caught:
        decoded(frame_of(np.frombuffer(data, np.uint8), "jpeg"))
    assert caught.value.reason == "malformed"


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"\xff\xe0\x00\x00" * 9)
@example(b"\xff" * 40)
@example(b"\xff\xc0\x00\x11\x08\x00\x00\x00\x00")
def test_any_bytes_after_the_signature_end_in_an_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        decoded(frame_of(np.frombuffer(b"\xff\xd8" + data, np.uint8), "jpeg"))
