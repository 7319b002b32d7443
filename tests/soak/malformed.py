"""Malformed messages, made from a seeded random generator; each of them is one that its node must refuse and count."""

from __future__ import annotations

import cv2
import numpy as np
from cmt_seg_ros.msg import ClassInfo, ClassMap
from sensor_msgs.msg import CompressedImage, Image
from support.ros_harness import header, image

STRANGE_TEXTS = (
    "",
    "rgb9",
    "[/bold]",
    "\x1b[31mred\x1b[0m",
    "8UC7",
    "bayer",
    "ü" * 50,
    "a\nb",
    "compressedDepth",
    "../..",
)
STRANGE_STAMPS = ((-1, 0), (-(2**31), 0), (0, 0), (2**31 - 1, 4_000_000_000), (1, 2**32 - 1))


def bad_image(random: np.random.Generator) -> Image:
    """Return an image that cannot be one."""
    width, height = int(random.integers(1, 64)) * 2, int(random.integers(1, 48)) * 2
    message = image(0, width, height, str(random.choice(("bgr8", "rgb8", "mono8", "bgra8"))))
    kind = int(random.integers(7))
    if kind == 0:
        message.encoding = _text(random)
    elif kind == 1:
        message.data = message.data[: int(random.integers(len(message.data)))]
    elif kind == 2:
        message.width, message.height = (0, height) if random.random() < 0.5 else (width, 0)
    elif kind == 3:
        message.step = int(random.integers(message.step))
    elif kind == 4:
        message.width = int(random.integers(2**20, 2**32))
    elif kind == 5:
        message.height = int(random.integers(2**20, 2**32))
    else:
        message.data = random.bytes(int(random.integers(message.step)))
    _stamp(random, message)
    return message


def bad_compressed_image(random: np.random.Generator, stamp_ns: int) -> CompressedImage:
    """Return a compressed image that cannot be decoded; one with a sound header has the stamp."""
    message = CompressedImage(
        header=header(0), format=str(random.choice(("jpeg", "png", "bgr8; jpeg compressed bgr8")))
    )
    kind = int(random.integers(5))
    if kind == 4:
        data = jpeg(random)
        return CompressedImage(header=header(stamp_ns), format="jpeg", data=data[: len(data) // 2])
    if kind == 0:
        message.data = random.bytes(int(random.integers(2000)))
    elif kind == 1:
        message.data = jpeg(random)[: int(random.integers(40))]
    elif kind == 2:
        message.data = b"\x89PNG\r\n\x1a\n" + random.bytes(int(random.integers(200)))
    else:
        message.data, message.format = jpeg(random), "compressedDepth"
    _stamp(random, message)
    return message


def bad_masks(random: np.random.Generator, stamp_ns: int) -> tuple[Image, Image]:
    """Return mask and objectness of a stamp, one of which is none."""
    width, height = int(random.integers(2, 60)), int(random.integers(2, 40))
    pair = [image(stamp_ns, width, height, "mono8"), image(stamp_ns, width, height, "mono8", 255)]
    wrong = pair[int(random.integers(2))]
    kind = int(random.integers(5))
    if kind == 0:
        wrong.encoding = _text(random)
    elif kind == 1:
        wrong.data = wrong.data[: int(random.integers(len(wrong.data)))]
    elif kind == 2:
        wrong.width = wrong.height = wrong.step = 0
    elif kind == 3:
        wrong.height = int(random.integers(2**20, 2**32))
    else:
        other = image(stamp_ns, width + 1, height + 2, "mono8")
        wrong.data, wrong.width, wrong.height, wrong.step = other.data, other.width, other.height, other.step
    return pair[0], pair[1]


def bad_class_map(random: np.random.Generator) -> ClassMap:
    """Return a ClassMap that names no classes in order, or one twice."""
    ids = ([], [1, 2], [0, 2], [0, 0], [5])[int(random.integers(5))]
    return ClassMap(model=_text(random), classes=[ClassInfo(id=i, name=f"class {i}") for i in ids])


def jpeg(random: np.random.Generator, width: int = 96, height: int = 64) -> bytes:
    """Return a sound jpeg of noise."""
    pixels = random.integers(0, 256, (height, width, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1].tobytes())


def damaged(random: np.random.Generator, data: bytes) -> bytes:
    """Return a file cut somewhere, with a piece taken out, or with bytes changed."""
    kind, at = int(random.integers(3)), int(random.integers(len(data)))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + 1 + int(random.integers(200)) :]
    changed = bytearray(data)
    for place in random.integers(0, len(data), int(random.integers(1, 20))):
        changed[int(place)] = int(random.integers(256))
    return bytes(changed)


def _text(random: np.random.Generator) -> str:
    return STRANGE_TEXTS[int(random.integers(len(STRANGE_TEXTS)))]


def _stamp(random: np.random.Generator, message: Image | CompressedImage) -> None:
    seconds, nanoseconds = STRANGE_STAMPS[int(random.integers(len(STRANGE_STAMPS)))]
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
    message.header.frame_id = _text(random)
