"""sensor_msgs images to frames and back; every message is checked before a pixel is touched."""

from __future__ import annotations

import array
import functools
import importlib
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cmt_seg_ros.encodings import ENCODINGS, Encoding, Pixels, view_pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.pixels import SIGNATURES
from cmt_seg_ros.structures import U8, Frame

NS = 1_000_000_000


def stamp_ns(header: Header) -> int:
    """Stamp of a header, ns."""
    return int(header.stamp.sec) * NS + int(header.stamp.nanosec)


def frame_from_image(message: Image, camera: str) -> Frame:
    """View a message's pixels as a frame; nothing is copied, except the pixels of i420 with padded rows.

    Of nv12, nv21 and i420 ``height`` is the image's, and data has step x height x 3/2 bytes, as sensor_msgs
    counts them. Messages whose height counts the rows of chroma as well are refused (``short_data``): they cannot
    be told from those that lack their chroma.

    An encoding that is not in ENCODINGS becomes bgr8 by cv_bridge, where that is installed.

    Raises:
        FrameError: a side is 0 or, with halved chroma, odd (``bad_size``); ``bad_encoding``; step too small
            (``bad_step``); data too short (``short_data``).
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None or encoding.compressed:
        return _frame(message, camera, _by_cv_bridge(message), "bgr8")
    return _frame(message, camera, view_pixels(message), message.encoding)


def frame_from_compressed(message: CompressedImage, camera: str) -> Frame:
    """View a jpeg or png message as a frame that is still compressed: only those that are inferred get decoded.

    What it is its first bytes say: drivers write all kinds of things into ``format``.

    Raises:
        FrameError: the data does not begin as a jpeg or png (``malformed``).
    """
    data = np.frombuffer(message.data, np.uint8)
    for encoding, signature in SIGNATURES.items():
        if data[: len(signature)].tobytes() == signature:
            return _frame(message, camera, data, encoding)
    raise FrameError(f"{data.size} bytes of format {message.format!r} are no jpeg or png", "malformed")


def mask_from_image(message: Image) -> U8:
    """View a mono8 or 8UC1 message as (H, W) uint8.

    Raises:
        FrameError: another encoding, or malformed.
    """
    if message.encoding not in ("mono8", "8UC1"):
        raise FrameError(f"mask has encoding {message.encoding!r}; masks are mono8 or 8UC1", "bad_encoding")
    return view_pixels(message)


def image_from_array(pixels: Pixels, encoding: str, header: Header) -> Image:
    """Make a message of pixels, which must not change before it is published; see :func:`attach`.

    Args:
        pixels: as Frame.pixels; copied only where they are not contiguous or not little-endian.
        encoding: ROS name.
        header: becomes the message's own.
    """
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    rows, width = data.shape[:2]
    height = rows * 2 // 3 if ENCODINGS.get(encoding, Encoding()).planar else rows
    message = Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0)
    message.step = data.nbytes // rows
    attach(message, data)
    return message


def attach(message: Image | CompressedImage, pixels: Pixels) -> None:
    """Give a message its ``data`` without a copy, where ROS allows that.

    The message then refers to the array: it must not change until the message is published, which copies it.

    Args:
        message: gets the bytes, as a memoryview or an array.array.
        pixels: C-contiguous, of any shape.
    """
    data = pixels.reshape(-1).view(np.uint8).data
    if _takes_buffers():
        message._data = data
    else:
        # Of all that the setter takes only array.array is fast: lists and ndarrays go element by element.
        message.data = array.array("B", bytes(data))


@functools.cache
def _takes_buffers() -> bool:
    """Whether images can be published from a buffer in the private field behind ``data``: tried once.

    The setter of ``data`` copies whatever it is given; the generated code that serializes takes any buffer.
    """
    if "_data" not in Image.__slots__:
        return False
    expected, message = Image(height=1, width=5), Image(height=1, width=5)
    expected.data = array.array("B", range(5))
    message._data = np.arange(5, dtype=np.uint8).data
    try:
        # Not the serialized bytes are compared: those that only pad are random.
        return bool(deserialize_message(serialize_message(message), Image) == expected)
    except Exception:  # whatever it is, the way that copies remains
        return False


def _frame(message: Image | CompressedImage, camera: str, pixels: Pixels, encoding: str) -> Frame:
    stamp = stamp_ns(message.header)
    return Frame(camera, stamp, pixels, encoding, message.header.frame_id, str(stamp))


def _by_cv_bridge(message: Image) -> U8:
    supported = ", ".join(name for name, encoding in ENCODINGS.items() if not encoding.compressed)
    convert, missing = _cv_bridge()
    if convert is None:
        raise FrameError(
            f"encoding is {message.encoding!r}; supported: {supported}; "
            f"others need cv_bridge, which cannot be imported here ({missing})",
            "bad_encoding",
        )
    try:
        return convert(message, "bgr8")
    except Exception as error:  # not only CvBridgeError: it also raises what NumPy and OpenCV do
        raise FrameError(
            f"encoding is {message.encoding!r}, of which cv_bridge makes no bgr8 ({error}); supported: {supported}",
            "bad_encoding",
        ) from error


@functools.cache
def _cv_bridge() -> tuple[Any, str]:
    """imgmsg_to_cv2 of a CvBridge, or None and why there is none; looked for at the first frame that needs it."""
    try:
        return importlib.import_module("cv_bridge").CvBridge().imgmsg_to_cv2, ""
    except Exception as error:  # one that was built for another NumPy fails in other ways than ImportError
        return None, str(error)
