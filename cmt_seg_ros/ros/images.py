"""sensor_msgs images to frames and back; every message is checked before a pixel is touched."""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.structures import CHANNELS, U8, U16, Frame

NS = 1_000_000_000


def stamp_ns(header: Header) -> int:
    """Stamp of a header, ns."""
    return int(header.stamp.sec) * NS + int(header.stamp.nanosec)


def frame_from_image(message: Image, camera: str) -> Frame:
    """View a message's pixels as a frame; nothing is copied.

    Raises:
        FrameError: zero size, unknown encoding, step too small, data too short.
    """
    channels = CHANNELS.get(message.encoding)
    if channels is None:
        raise FrameError(f"encoding is {message.encoding!r}; supported: {', '.join(CHANNELS)}", "bad_encoding")
    pixels = _view(message, channels)
    header = message.header
    return Frame(camera, stamp_ns(header), pixels, message.encoding, header.frame_id, str(stamp_ns(header)))


def frame_from_compressed(message: CompressedImage, camera: str) -> Frame:
    """Decode a jpeg or png message.

    Raises:
        FrameError: the data is not an image that OpenCV can decode.
    """
    data = np.frombuffer(message.data, np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # for instance, a header that promises more pixels than OpenCV decodes
        pixels = None
    if pixels is None:
        raise FrameError(f"{data.size} bytes of format {message.format!r} are no jpeg or png", "malformed")
    header = message.header
    return Frame(camera, stamp_ns(header), pixels.astype(np.uint8, copy=False), "bgr8", header.frame_id)


def mask_from_image(message: Image) -> U8:
    """View a mono8 message as (H, W) uint8.

    Raises:
        FrameError: not mono8, or malformed.
    """
    if message.encoding not in ("mono8", "8UC1"):
        raise FrameError(f"mask has encoding {message.encoding!r}; masks are mono8", "bad_encoding")
    return _view(message, 1)


def image_from_array(pixels: U8 | U16, encoding: str, header: Header) -> Image:
    """Make a message; copies the pixels once.

    Args:
        pixels: (H, W) or (H, W, C), uint8 or uint16 as the encoding says.
        encoding: ROS name.
        header: becomes the message's own.
    """
    rows: npt.NDArray[Any] = np.ascontiguousarray(pixels)
    message = Image(header=header, height=rows.shape[0], width=rows.shape[1], encoding=encoding)
    message.step = rows.strides[0]
    message.is_bigendian = 0
    # Of all ways to fill the field only array.array is fast: lists and ndarrays go element by element.
    data = array.array("B")
    data.frombytes(rows.data.cast("B"))
    message.data = data
    return message


def _view(message: Image, channels: int) -> U8:
    height, width, step, size = message.height, message.width, message.step, len(message.data)
    if height == 0 or width == 0:
        raise FrameError(f"image is {width}x{height}; both sides must be more than 0", "bad_size")
    if step < width * channels:
        raise FrameError(
            f"step is {step} bytes but a row of {width} {message.encoding} pixels has {width * channels}", "bad_step"
        )
    # The last row may end where its pixels do.
    if size < step * (height - 1) + width * channels:
        raise FrameError(f"data has {size} bytes but step {step} x height {height} is {step * height}", "short_data")
    shape, strides = (height, width, channels), (step, channels, 1)
    view: U8 = np.ndarray(shape, np.uint8, buffer=message.data, strides=strides)
    return view[:, :, 0] if channels == 1 else view
