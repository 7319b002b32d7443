"""Image messages of a bag as arrays; the messages are those of rosbags, not of rclpy."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cmt_seg_ros.encodings import ENCODINGS, Pixels, view_pixels
from cmt_seg_ros.errors import FrameError

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TYPES = (RAW, COMPRESSED)


def header_stamp_ns(message: Any) -> int:
    """Stamp of a deserialized message's header, ns."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def message_pixels(message: Any) -> tuple[Pixels, str]:
    """Pixels and encoding of a deserialized Image or CompressedImage.

    Returns:
        As ``structures.Frame.pixels``, a view where possible, and the name of their encoding.

    Raises:
        FrameError: the message does not hold the image it announces (see ``encodings.view_pixels``; ``malformed``),
            or has an encoding that is not known (``bad_encoding``).
    """
    return _raw_pixels(message) if hasattr(message, "step") else _compressed_pixels(message)


def _raw_pixels(message: Any) -> tuple[Pixels, str]:
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None or encoding.compressed:
        known = ", ".join(name for name, encoding in ENCODINGS.items() if not encoding.compressed)
        raise FrameError(f"encoding is {message.encoding!r}; known are {known}", "bad_encoding")
    return view_pixels(message), str(message.encoding)


def _compressed_pixels(message: Any) -> tuple[Pixels, str]:
    kind = str(message.format)
    if "compresseddepth" in kind.lower():
        raise FrameError(f"format is {kind!r}: depth, not a picture; choose a colour topic", "bad_encoding")
    data = np.ascontiguousarray(message.data, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise FrameError(f"{data.size} bytes of format {kind!r} cannot be decoded; expected jpeg or png")
    # image_transport writes "rgb8; jpeg compressed bgr8": the last word is the order of channels that was encoded.
    return np.asarray(image, np.uint8), "rgb8" if kind.strip().lower().endswith("compressed rgb8") else "bgr8"
