"""Image messages of a bag as arrays; the messages are those of rosbags, not of rclpy."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.structures import CHANNELS, U8

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TYPES = (RAW, COMPRESSED)


def header_stamp_ns(message: Any) -> int:
    """Stamp of a deserialized message's header, ns."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def message_pixels(message: Any) -> tuple[U8, str]:
    """Pixels and encoding of a deserialized Image or CompressedImage.

    Returns:
        (H, W, C) or (H, W) uint8, a view where possible, and the name of its encoding.

    Raises:
        FrameError: the message does not hold the image it announces (``malformed``), or an encoding
            that is not known (``bad_encoding``).
    """
    return _raw_pixels(message) if hasattr(message, "step") else _compressed_pixels(message)


def _raw_pixels(message: Any) -> tuple[U8, str]:
    height, width, step = int(message.height), int(message.width), int(message.step)
    encoding = "mono8" if message.encoding == "8UC1" else str(message.encoding)
    channels = CHANNELS.get(encoding)
    if channels is None:
        raise FrameError(f"encoding is {encoding!r}; known are {', '.join(CHANNELS)}", "bad_encoding")
    data = np.ascontiguousarray(message.data, np.uint8)
    if not height or not width or step < width * channels or data.size < step * (height - 1) + width * channels:
        raise FrameError(f"{width} x {height} {encoding} with step {step} does not fit {data.size} bytes of data")
    if channels == 1:
        return np.ndarray((height, width), np.uint8, data, strides=(step, 1)), encoding
    return np.ndarray((height, width, channels), np.uint8, data, strides=(step, channels, 1)), encoding


def _compressed_pixels(message: Any) -> tuple[U8, str]:
    kind = str(message.format)
    if "compresseddepth" in kind.lower():
        raise FrameError(f"format is {kind!r}: depth, not a picture; choose a colour topic", "bad_encoding")
    data = np.ascontiguousarray(message.data, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise FrameError(f"{data.size} bytes of format {kind!r} cannot be decoded; expected jpeg or png")
    # image_transport writes "rgb8; jpeg compressed bgr8": the last word is the order of channels that was encoded.
    return np.asarray(image, np.uint8), "rgb8" if kind.strip().lower().endswith("compressed rgb8") else "bgr8"
