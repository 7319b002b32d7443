"""Writes MCAP files as other tools than rosbag2 do; see https://mcap.dev/spec."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import lz4.frame
import numpy as np
from backports import zstd

from support.bag_writing import PERIOD_NS, ROS2, START_NS, image

MAGIC = b"\x89MCAP0\r\n"
PACK = {"": bytes, "lz4": lz4.frame.compress, "zstd": zstd.compress, "snappy": bytes}


class Channel(NamedTuple):
    """A channel of a file; without ``schema_encoding`` it has no schema."""

    topic: str
    messages: Sequence[bytes]
    type: str = "sensor_msgs/msg/Image"
    schema_encoding: str = "ros2msg"
    encoding: str = "cdr"


def images(count: int, size: tuple[int, int] = (6, 8)) -> list[np.ndarray]:
    return [np.full((*size, 3), 20 * i, np.uint8) for i in range(count)]


def cdr(message: Any) -> bytes:
    return bytes(ROS2.serialize_cdr(message, message.__msgtype__))


def camera(topic: str = "/camera/image_raw", count: int = 3) -> Channel:
    return Channel(topic, [cdr(image(ROS2, i, pixels)) for i, pixels in enumerate(images(count))])


def protobuf(topic: str = "/pb/image", count: int = 3) -> Channel:
    return Channel(topic, [b"\x0a\x02\x08\x01"] * count, "foxglove.RawImage", "protobuf", "protobuf")


def json(topic: str = "/json/image", count: int = 3, schema: str = "jsonschema") -> Channel:
    return Channel(topic, [b'{"data": ""}'] * count, "foxglove.CompressedImage", schema, "json")


def write_mcap(
    path: Path,
    channels: Sequence[Channel],
    profile: str = "ros2",
    compression: str | None = None,
    summary: bool = False,
) -> Path:
    """Write a file.

    Args:
        path: of it.
        channels: their messages come at the same times, 50 ms apart.
        profile: what the file says of itself.
        compression: of its one chunk; None: it has no chunks.
        summary: repeat schemas and channels at the end, with counts.
    """
    heads = b"".join(_head(i + 1, channel) for i, channel in enumerate(channels))
    data = heads
    for index in range(max((len(c.messages) for c in channels), default=0)):
        for number, channel in enumerate(channels, start=1):
            if index < len(channel.messages):
                time_ns = START_NS + index * PERIOD_NS
                data += _record(5, struct.pack("<HIQQ", number, index, time_ns, time_ns) + channel.messages[index])
    if compression is not None:
        packed = PACK[compression](data)
        start = struct.pack("<QQQI", START_NS, START_NS, len(data), crc32(data))
        data = _record(6, start + _text(compression) + struct.pack("<Q", len(packed)) + packed)
    begin = MAGIC + _record(1, _text(profile) + _text("a test")) + data + _record(15, bytes(4))
    end, at = b"", 0
    if summary:
        counts = b"".join(struct.pack("<HQ", i + 1, len(c.messages)) for i, c in enumerate(channels))
        total = sum(len(c.messages) for c in channels)
        numbers = struct.pack("<QHIIIIQQ", total, len(channels), len(channels), 0, 0, 0, START_NS, START_NS)
        end, at = heads + _record(11, numbers + struct.pack("<I", len(counts)) + counts), len(begin)
    path.write_bytes(begin + end + _record(2, struct.pack("<QQI", at, 0, 0)) + MAGIC)
    return path


def _head(number: int, channel: Channel) -> bytes:
    schema = struct.pack("<H", number) + _text(channel.type) + _text(channel.schema_encoding)
    schema += _text(ROS2.generate_msgdef(channel.type)[0] if channel.schema_encoding == "ros2msg" else "")
    used = number if channel.schema_encoding else 0
    head = struct.pack("<HH", number, used) + _text(channel.topic) + _text(channel.encoding) + struct.pack("<I", 0)
    return (_record(3, schema) if used else b"") + _record(4, head)


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode()


def _record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content
