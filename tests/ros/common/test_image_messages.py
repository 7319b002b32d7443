"""Messages to frames and back: nothing is copied without need, and nothing wrong gets through."""

from __future__ import annotations

import array
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from support.bag_writing import ROS2
from support.pictures import RAW, encoded, file, padded, picture, png_that_promises, seen, tolerance
from support.ros_harness import header, image

from cmt_seg_ros.encodings import ENCODINGS
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.pixels import decoded, graph_encoding, slot_dtype, slot_shape, to_bgr, write_pixels
from cmt_seg_ros.ros.common import images
from cmt_seg_ros.ros.common.images import attach, frame_from_message, image_from_array, mask_from_image
from cmt_seg_ros.structures import Frame

PICTURE = picture()


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)


def message_of(pixels: np.ndarray, encoding: str, padding: int = 0, last_padded: bool = True) -> Image:
    """A message as a driver makes it, without any code of ours; the padding of i420 is halved for chroma."""
    rows = len(pixels) * 2 // 3 if ENCODINGS[encoding].planar else len(pixels)
    message = Image(header=header(1_500_000_003, "front"), encoding=encoding, height=rows, width=pixels.shape[1])
    message.step = pixels[0].nbytes + padding
    if encoding == "i420":
        chroma = pixels[rows:].reshape(rows, -1)
        parts = [padded(pixels[:rows], padding).base, padded(chroma, padding // 2).base]
        padding //= 2
    else:
        parts = [padded(pixels, padding).base]
    data = b"".join(part.tobytes() for part in parts)
    message.data = data if last_padded else data[: len(data) - padding]
    return message


def assert_is_picture(frame: Frame, encoding: str) -> None:
    """Both ways that pixels take from a frame lead to the picture."""
    expected = seen(PICTURE, encoding).astype(int)
    slot = np.zeros(slot_shape(frame.size, encoding), slot_dtype(encoding))
    write_pixels(frame, slot)
    for found in (to_bgr(frame), to_bgr(Frame("", 0, slot, graph_encoding(encoding)))):
        assert np.abs(found - expected).max() <= tolerance(encoding)


@pytest.mark.parametrize("last_padded", [True, False])
@pytest.mark.parametrize("padding", [0, 6, 64])
@pytest.mark.parametrize("encoding", RAW)
def test_every_encoding_gives_back_the_picture(encoding: str, padding: int, last_padded: bool) -> None:
    message = message_of(encoded(PICTURE, encoding), encoding, padding, last_padded)
    frame = frame_from_message(message, "camera")
    assert (frame.camera, frame.stamp_ns, frame.frame_id) == ("camera", 1_500_000_003, "front")
    assert (frame.encoding, frame.size) == (encoding, PICTURE.shape[:2])
    assert_is_picture(frame, encoding)
    viewed = np.shares_memory(frame.pixels, np.frombuffer(message.data, np.uint8))
    assert viewed == (encoding != "i420" or padding == 0)


@pytest.mark.parametrize("padding", [0, 5])
def test_big_endian_mono16(padding: int) -> None:
    values = noise(5, 7, dtype=np.uint16)
    message = message_of(values.astype(">u2"), "mono16", padding)
    message.is_bigendian = 1
    frame = frame_from_message(message, "")
    np.testing.assert_array_equal(frame.pixels, values)
    slot = np.zeros((5, 7, 1), np.uint16)
    write_pixels(frame, slot)
    np.testing.assert_array_equal(slot[:, :, 0], values)


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda data: np.frombuffer(data, np.uint8), memoryview])
def test_data_of_any_kind_is_viewed(kind: Callable[[bytes], object]) -> None:
    message = message_of(PICTURE, "bgr8")
    message._data = kind(message.data.tobytes())
    np.testing.assert_array_equal(frame_from_message(message, "").pixels, PICTURE)


@pytest.mark.parametrize("encoding", RAW)
def test_every_encoding_survives_the_way_back(encoding: str) -> None:
    frame = Frame("camera", 3, encoded(PICTURE, encoding), encoding)
    message = image_from_array(frame.pixels, encoding, header(3, "x"))
    found = frame_from_message(message, "camera")
    np.testing.assert_array_equal(found.pixels, frame.pixels)
    assert found.size == frame.size and found.pixels.dtype == frame.pixels.dtype


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
    "one byte short": (damaged(data=bytes(18431)), "short_data", "data has 18431 bytes but step 288"),
    "no data": (damaged(data=b""), "short_data", "data has 0 bytes"),
    "step of 8 bits for 16": (damaged(encoding="mono16", step=191), "bad_step", "row of 96 mono16 pixels has 192"),
    "yuv422 of odd width": (
        damaged(encoding="yuv422", width=95), "bad_size", "image is 95x64; yuv422 needs the width even"),
    "nv12 of odd width": (damaged(encoding="nv12", width=95), "bad_size", "nv12 needs both sides even"),
    "nv21 of odd height": (damaged(encoding="nv21", height=63), "bad_size", "nv21 needs both sides even"),
    "i420 of odd height": (damaged(encoding="i420", height=63), "bad_size", "i420 needs both sides even"),
    "i420 of odd step": (damaged(encoding="i420", step=97), "bad_step", "step is 97 bytes; i420 needs it even"),
    "nv12 without all chroma": (
        damaged(encoding="nv12", step=96, data=bytes(96 * 64 + 96 * 32 - 1)),
        "short_data", "data has 9215 bytes but step 96 x height 64 x 3/2 is 9216"),
    "padded i420 without all chroma": (
        damaged(encoding="i420", step=100, data=bytes(100 * 64 + 50 * 63 + 47)),
        "short_data", "data has 9597 bytes but step 100 x height 64 x 3/2 is 9600"),
    "height that counts chroma": (
        damaged(encoding="nv12", step=96, height=96, data=bytes(96 * 96)),
        "short_data", "data has 9216 bytes but step 96 x height 96 x 3/2 is 13824"),
    "unknown encoding": (damaged(encoding="rgba16"), "bad_encoding", "encoding is 'rgba16'; supported: bgr8, 8UC3"),
    "no encoding": (damaged(encoding=""), "bad_encoding", "encoding is ''; supported: bgr8"),
    "jpeg": (damaged(encoding="jpeg"), "bad_encoding", "encoding is 'jpeg'; supported: bgr8"),
    "depth": (damaged(encoding="16UC1", step=192), "bad_encoding", "encoding is '16UC1'; supported: bgr8"),
    "32FC1 with NaN": (
        damaged(encoding="32FC1", step=384, data=np.full((64, 96), np.nan, np.float32).tobytes()),
        "bad_encoding", "encoding is '32FC1'"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "reason", "words"), BAD.values(), ids=BAD)
def test_bad_image_is_refused_with_a_reason_and_a_sentence(
    message: Image, reason: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_cv_bridge", lambda: (None, "not installed"))
    with pytest.raises(FrameError, match=re.escape(words)) as caught:
        frame_from_message(message, "camera")
    assert caught.value.reason == reason


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


# Messages that borrow their pixels


def test_message_borrows_the_array() -> None:
    pixels = noise(5, 7, 3)
    message = image_from_array(pixels, "bgr8", header(0))
    assert np.shares_memory(np.frombuffer(message.data, np.uint8), pixels)
    received = deserialize_message(serialize_message(message), Image)
    assert received == message and received.data.tobytes() == pixels.tobytes()


def test_row_of_a_larger_array_has_its_own_step() -> None:
    row = noise(10, 7, 3)[::2][2:3]
    message = image_from_array(row, "bgr8", header(0))
    assert (message.height, message.step) == (1, 21)
    np.testing.assert_array_equal(frame_from_message(message, "").pixels, row)


def test_big_endian_array_becomes_a_little_endian_message() -> None:
    values = noise(5, 7, dtype=np.uint16)
    message = image_from_array(values.astype(">u2"), "mono16", header(0))
    assert message.is_bigendian == 0 and message.data.tobytes() == values.astype("<u2").tobytes()


def fails(*_: object) -> None:
    raise TypeError("data is no array.array")


@pytest.mark.parametrize("obstacle", ["no private field", "not serialized", "serialized in another way"])
def test_data_is_copied_where_ros_wants_an_array(obstacle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if obstacle == "no private field":
        monkeypatch.setattr(Image, "__slots__", [])
    elif obstacle == "not serialized":
        monkeypatch.setattr(images, "serialize_message", fails)
    else:
        monkeypatch.setattr(images, "deserialize_message", lambda *_: Image(height=1, width=5))
    images._takes_buffers.cache_clear()
    message, pixels = Image(), noise(5, 7)
    attach(message, pixels)
    images._takes_buffers.cache_clear()
    assert isinstance(message.data, array.array) and message.data.tobytes() == pixels.tobytes()


# cv_bridge, which only a ROS distribution has


@pytest.fixture
def _other_cv_bridge() -> Iterator[None]:
    """Before and after: forget whether there was one."""
    images._cv_bridge.cache_clear()
    yield
    images._cv_bridge.cache_clear()


def install_cv_bridge(monkeypatch: pytest.MonkeyPatch, convert: Callable[..., object]) -> list[int]:
    """Put a module of this name in place; returns a list with an entry for each CvBridge that was made."""
    made: list[int] = []

    class CvBridge:
        def __init__(self) -> None:
            made.append(1)

        def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> object:
            return convert(message, desired_encoding)

    module = ModuleType("cv_bridge")
    module.CvBridge = CvBridge  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    return made


@pytest.mark.usefixtures("_other_cv_bridge")
def test_cv_bridge_converts_all_other_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def convert(message: Image, encoding: str) -> np.ndarray:
        asked.append((message.encoding, encoding))
        return PICTURE

    made = install_cv_bridge(monkeypatch, convert)
    for _ in range(2):
        frame = frame_from_message(damaged(encoding="rgba16"), "camera")
        assert frame.encoding == "bgr8" and frame.pixels is PICTURE
    frame_from_message(image(0), "camera")
    assert asked == [("rgba16", "bgr8")] * 2 and made == [1]


@pytest.mark.usefixtures("_other_cv_bridge")
def test_encoding_that_cv_bridge_cannot_convert_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install_cv_bridge(monkeypatch, fails)
    words = r"encoding is '32FC1', of which cv_bridge makes no bgr8 \(data is no array.array\); supported: bgr8, 8UC3"
    with pytest.raises(FrameError, match=words) as caught:
        frame_from_message(damaged(encoding="32FC1"), "camera")
    assert caught.value.reason == "bad_encoding"


@pytest.mark.usefixtures("_other_cv_bridge")
@pytest.mark.skipif(importlib.util.find_spec("cv_bridge") is not None, reason="this machine has cv_bridge")
def test_without_cv_bridge_the_error_says_what_it_would_add() -> None:
    words = r"others need cv_bridge, which cannot be imported here \(No module named 'cv_bridge'\)"
    with pytest.raises(FrameError, match=words):
        frame_from_message(damaged(encoding="rgba16"), "camera")


# Compressed images


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("format", ["jpeg", "png", "bgr8; jpeg compressed bgr8", ""])
def test_compressed_image_stays_compressed(encoding: str, format: str) -> None:
    message = CompressedImage(header=header(4, "x"), format=format, data=file(PICTURE, encoding).tobytes())
    frame = frame_from_message(message, "camera")
    assert (frame.camera, frame.stamp_ns, frame.frame_id, frame.encoding) == ("camera", 4, "x", encoding)
    assert np.shares_memory(frame.pixels, np.frombuffer(message.data, np.uint8))
    assert np.abs(decoded(frame).pixels.astype(int) - PICTURE).max() <= 4


JPEG, DEPTH = file(PICTURE, "jpeg"), np.full(PICTURE.shape[:2], 40_000, np.uint16)
FORMATS: dict[str, tuple[str, bytes]] = {
    "jpeg": ("jpeg", JPEG.tobytes()),
    "image_transport": ("bgr8; jpeg compressed bgr8", JPEG.tobytes()),
    "encoded as red, green, blue": ("rgb8; jpeg compressed rgb8", JPEG.tobytes()),
    "raw topic of other order": ("rgb8; jpeg compressed bgr8", JPEG.tobytes()),
    "png": ("rgb8; png compressed rgb8", file(PICTURE, "png").tobytes()),
    "grey": ("mono8; jpeg compressed ", file(PICTURE[:, :, 0], "jpeg").tobytes()),
    "16 bits": ("mono16; png compressed ", file(DEPTH, "png").tobytes()),
    "compressed depth": ("16UC1; compressedDepth png", bytes(12) + file(DEPTH, "png").tobytes()),
    "bitmap": ("bmp", file(PICTURE, "bmp").tobytes()),
    "h264": ("h264", b"\0\0\0\1\x67" + b"\1" * 200),
    "cut": ("jpeg", JPEG[:200].tobytes()),
    "too large": ("png", png_that_promises(60_000, 60_000).tobytes()),
    "empty": ("jpeg", b""),
}


def outcome(message: object) -> tuple[object, ...]:
    """What becomes of a message: the pixels, or the refusal."""
    try:
        frame = decoded(frame_from_message(message, "camera"))
    except FrameError as error:
        return error.reason, str(error)
    return frame.encoding, frame.size, frame.frame_id, frame.stamp_ns, frame.pixels.tobytes()


@pytest.mark.parametrize(("format", "data"), FORMATS.values(), ids=FORMATS)
def test_compressed_image_of_a_bag_is_the_same_as_live(format: str, data: bytes) -> None:
    live = CompressedImage(header=header(4, "x"), format=format, data=data)
    raw = bytes(serialize_message(live))
    assert outcome(live) == outcome(ROS2.deserialize_cdr(raw, "sensor_msgs/msg/CompressedImage"))


def test_order_of_the_channels_is_that_of_the_format() -> None:
    data = file(PICTURE, "png").tobytes()
    frame = frame_from_message(CompressedImage(format="rgb8; png compressed rgb8", data=data), "camera")
    assert frame.encoding == "png_rgb8" and graph_encoding(frame.encoding) == "bgr8"
    found = decoded(frame)
    assert found.encoding == "bgr8" and found.decoded_from is frame
    np.testing.assert_array_equal(found.pixels, PICTURE[:, :, ::-1])
    np.testing.assert_array_equal(to_bgr(frame), PICTURE[:, :, ::-1])


def test_compressed_depth_is_refused() -> None:
    message = CompressedImage(format="16UC1; compressedDepth png", data=bytes(12) + file(DEPTH, "png").tobytes())
    with pytest.raises(FrameError, match="depth, not a picture; choose a colour topic") as caught:
        frame_from_message(message, "camera")
    assert caught.value.reason == "bad_encoding"


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8", file(PICTURE, "bmp").tobytes()])
def test_compressed_image_that_is_no_jpeg_or_png_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError, match=f"{len(data)} bytes of format 'jpeg' are no jpeg or png") as caught:
        frame_from_message(CompressedImage(format="jpeg", data=data), "camera")
    assert caught.value.reason == "malformed"


def test_compressed_image_that_promises_too_much_is_refused_when_decoded() -> None:
    message = CompressedImage(format="png", data=png_that_promises(60_000, 60_000).tobytes())
    with pytest.raises(FrameError, match="image is 60000x60000") as caught:
        decoded(frame_from_message(message, "camera"))
    assert caught.value.reason == "too_large"
