"""Messages to frames and back: nothing is copied, and nothing wrong gets through."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from ros_harness import header, image
from sensor_msgs.msg import CompressedImage, Image

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.ros.images import frame_from_compressed, frame_from_image, image_from_array, mask_from_image
from cmt_seg_ros.runtime.pipeline import check_frame
from cmt_seg_ros.structures import CHANNELS

MAX_IMAGE_PX = 40_000_000


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)


def padded(pixels: np.ndarray, padding: int) -> Image:
    """A message whose rows are longer than their pixels."""
    height, width, channels = pixels.shape
    rows = np.full((height, width * channels + padding), 7, np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    message = Image(height=height, width=width, encoding="bgr8", step=rows.shape[1])
    message.data = rows.tobytes()
    return message


@pytest.mark.parametrize("encoding", CHANNELS)
def test_every_encoding_becomes_a_frame(encoding: str) -> None:
    pixels = noise(5, 7) if CHANNELS[encoding] == 1 else noise(5, 7, CHANNELS[encoding])
    frame = frame_from_image(image_from_array(pixels, encoding, header(1_500_000_003, "front")), "camera")
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert (frame.camera, frame.stamp_ns, frame.frame_id) == ("camera", 1_500_000_003, "front")
    assert (frame.encoding, frame.size) == (encoding, (5, 7))


@pytest.mark.parametrize("encoding", ["bgr8", "mono8"])
def test_frame_is_a_view_of_the_message(encoding: str) -> None:
    message = image(0, encoding=encoding)
    assert np.shares_memory(frame_from_image(message, "").pixels, np.frombuffer(message.data, np.uint8))


def test_padding_is_skipped_and_not_copied() -> None:
    pixels = noise(5, 7, 3)
    message = padded(pixels, 11)
    frame = frame_from_image(message, "")
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert np.shares_memory(frame.pixels, np.frombuffer(message.data, np.uint8))


def test_last_row_needs_no_padding() -> None:
    message = padded(noise(5, 7, 3), 11)
    message.data = message.data[:-11]
    assert frame_from_image(message, "").size == (5, 7)


def damaged(**fields: object) -> Image:
    message = image(0)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


BAD = {
    "zero width": (damaged(width=0), "bad_size", "image is 0x64; both sides must be more than 0"),
    "zero height": (damaged(height=0), "bad_size", "image is 96x0"),
    "empty message": (Image(encoding="bgr8"), "bad_size", "image is 0x0"),
    "step smaller than width": (damaged(step=95), "bad_step", "step is 95 bytes but a row of 96 bgr8 pixels has 288"),
    "data shorter than step x height": (
        damaged(data=b"12345"), "short_data", "data has 5 bytes but step 288 x height 64 is 18432"),
    "no data": (damaged(data=b""), "short_data", "data has 0 bytes"),
    "unknown encoding": (damaged(encoding="yuv422"), "bad_encoding", "encoding is 'yuv422'; supported: bgr8, 8UC3"),
    "no encoding": (damaged(encoding=""), "bad_encoding", "encoding is ''; supported: bgr8"),
    "mono16": (image_from_array(noise(64, 96, dtype=np.uint16), "mono16", header(0)), "bad_encoding", "'mono16'"),
    "32FC1 with NaN": (
        damaged(encoding="32FC1", step=384, data=np.full((64, 96), np.nan, np.float32).tobytes()),
        "bad_encoding", "encoding is '32FC1'"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "reason", "words"), BAD.values(), ids=BAD)
def test_bad_image_is_refused_with_a_reason_and_a_sentence(message: Image, reason: str, words: str) -> None:
    with pytest.raises(FrameError, match=re.escape(words)) as caught:
        frame_from_image(message, "camera")
    assert caught.value.reason == reason


def test_image_of_12000_x_12000_is_too_large() -> None:
    frame = frame_from_image(image(0, 12_000, 12_000, "mono8"), "camera")
    with pytest.raises(FrameError, match="12000x12000 = 144000000 pixels; max_image_px allows 40000000") as caught:
        check_frame(frame, MAX_IMAGE_PX)
    assert caught.value.reason == "too_large"


def test_mask_is_a_view_too() -> None:
    message = image_from_array(noise(5, 7), "mono8", header(0))
    mask = mask_from_image(message)
    assert (mask.shape, mask.dtype) == ((5, 7), np.uint8)
    assert np.shares_memory(mask, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize("encoding", ["bgr8", "mono16", "8SC1", ""])
def test_mask_of_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(FrameError, match=f"mask has encoding '{encoding}'; masks are mono8") as caught:
        mask_from_image(damaged(encoding=encoding))
    assert caught.value.reason == "bad_encoding"


@pytest.mark.parametrize(
    ("pixels", "encoding"),
    [
        (noise(5, 7), "mono8"),
        (noise(5, 7, 3), "bgr8"),
        (noise(5, 7, dtype=np.uint16), "mono16"),
        (noise(10, 14, 3)[::2, ::2], "bgr8"),
        (noise(5, 7, 3)[:, :, ::-1], "rgb8"),
        (noise(7, 5, dtype=np.uint16).T, "mono16"),
    ],
    ids=["mono8", "bgr8", "mono16", "every other pixel", "reversed channels", "transposed"],
)
def test_array_survives_the_round_trip(pixels: np.ndarray, encoding: str) -> None:
    message = image_from_array(pixels, encoding, header(3, "x"))
    found = np.frombuffer(message.data, pixels.dtype).reshape(pixels.shape)
    np.testing.assert_array_equal(found, pixels)
    assert (message.height, message.width, message.encoding) == (*pixels.shape[:2], encoding)
    assert message.step * message.height == len(message.data)
    assert message.is_bigendian == 0 and message.header == header(3, "x")


def test_compressed_image_is_decoded() -> None:
    pixels = noise(6, 8, 3)
    message = CompressedImage(header=header(4, "x"), format="png", data=cv2.imencode(".png", pixels)[1].tobytes())
    frame = frame_from_compressed(message, "camera")
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert (frame.stamp_ns, frame.frame_id, frame.encoding) == (4, "x", "bgr8")


def png_that_promises(width: int, height: int) -> bytes:
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("data", [b"", b"no picture", png_that_promises(60_000, 60_000)], ids=["empty", "text", "huge"])
def test_compressed_image_that_cannot_be_decoded_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError, match=f"{len(data)} bytes of format 'jpeg' are no jpeg or png"):
        frame_from_compressed(CompressedImage(format="jpeg", data=data), "camera")
