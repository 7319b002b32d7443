"""Recovery of ROS 1 bags: damaged files are read from start to end, without their index; see https://wiki.ros.org/Bags/Format/2.0."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cmt_seg_ros.bags.messages import ROS1, BagMessage, ros2_type
from cmt_seg_ros.bags.recover_chunk import Report, decompress_start, file_view

_MAGIC = b"#ROSBAG V2.0\n"

_MESSAGE, _CHUNK, _CONNECTION = b"\x02", b"\x05", b"\x07"


class _Record(NamedTuple):
    """A record; ``content`` is shorter than ``size`` where the data ends before."""

    header: Mapping[str, bytes]
    size: int
    content: memoryview
    end: int


def scan(path: Path, report: Report) -> Iterator[BagMessage]:
    """Read all messages that can be found, in the order of the file.

    Args:
        path: the file.
        report: is told of each damage.

    Raises:
        OSError: it cannot be opened.
    """
    topics: dict[bytes, tuple[str, str]] = {}  # topic and type of each connection
    for record in _records(file_view(path), len(_MAGIC), report):
        if record.header.get("op") == _CONNECTION:
            topic, kind = (part.get(key, b"").decode(errors="replace") for part, key in _names(record))
            topics[record.header.get("conn", b"")] = (topic, ros2_type(kind))
        elif record.header.get("op") == _MESSAGE and record.header.get("conn") in topics:
            time = record.header.get("time", b"")
            seconds, nanoseconds = struct.unpack("<II", time) if len(time) == 8 else (0, 0)
            received_ns = seconds * 1_000_000_000 + nanoseconds
            yield BagMessage(*topics[record.header["conn"]], received_ns, bytes(record.content), ROS1)


def _names(record: _Record) -> tuple[tuple[Mapping[str, bytes], str], tuple[Mapping[str, bytes], str]]:
    """Return where a connection's record has its topic and its type."""
    return (record.header, "topic"), (_fields(record.content), "type")


def _records(data: memoryview, at: int, report: Report) -> Iterator[_Record]:
    """Read records one after the other, those of chunks in place of the chunks."""
    while (record := _record(data, at)) is not None:
        if record.header.get("op") == _CHUNK:
            yield from _chunk_records(data, record, report)
            at = record.end if record.size else len(data)
        elif len(record.content) < record.size:
            break
        else:
            yield record
            at = record.end
    if at < len(data):
        report(f"it ends, or is damaged, at byte {at} of {len(data)}")


def _chunk_records(data: memoryview, record: _Record, report: Report) -> Iterator[_Record]:
    # The chunk that was being written when rosbag died says that it has 0 bytes: what follows is in it.
    content = record.content if record.size else data[record.end :]
    inner = decompress_start(content, record.header.get("compression", b"").decode(errors="replace"))
    expected = struct.unpack("<I", size)[0] if len(size := record.header.get("size", b"")) == 4 else 0
    if len(inner) < expected:
        report(f"of the chunk that ends at byte {record.end} only {len(inner)} of {expected} bytes can be read")
    at = 0
    while (message := _record(inner, at)) is not None and len(message.content) == message.size:
        yield message
        at = message.end


def _record(data: memoryview, at: int) -> _Record | None:
    """Read the record that begins there; None if its header is not all there, or is none."""
    if at + 4 > len(data):
        return None
    (header_size,) = struct.unpack_from("<I", data, at)
    start = at + 4 + header_size
    if start + 4 > len(data):
        return None
    header = _fields(data[at + 4 : start])
    if "op" not in header:
        return None
    (size,) = struct.unpack_from("<I", data, start)
    return _Record(header, size, data[start + 4 : start + 4 + size], start + 4 + size)


def _fields(data: memoryview) -> dict[str, bytes]:
    """Read the ``name=value`` fields of a header, up to where they are damaged."""
    fields: dict[str, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        name, equals, value = bytes(data[at + 4 : at + 4 + size]).partition(b"=")
        if not equals:
            break
        fields[name.decode(errors="replace")] = value
        at += 4 + size
    return fields
