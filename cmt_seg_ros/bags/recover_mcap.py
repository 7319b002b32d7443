"""Recovery of MCAP: damaged files are read from start to end, without their index; see https://mcap.dev/spec."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from cmt_seg_ros.bags.messages import BagMessage, ros2_type
from cmt_seg_ros.bags.recover_chunk import COMPRESSIONS, Report, decompress_start, file_view

_MAGIC = b"\x89MCAP0\r\n"

_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _LAST = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
_FOOTER_BYTES = 29  # with its opcode and length; the magic follows
# Opcode, length, times, sizes and checksum, then the compression: hardly anything else looks so.
_CHUNK_START = re.compile(rb"\x06.{8}.{28}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd)", re.DOTALL)


class _Record(NamedTuple):
    """A record; ``content`` is shorter than ``size`` where the data ends before."""

    opcode: int
    at: int
    size: int
    content: memoryview

    @property
    def whole(self) -> bool:
        return len(self.content) == self.size

    @property
    def end(self) -> int:
        return self.at + 9 + self.size


class _Chunk(NamedTuple):
    """What a chunk's record says, and its compressed data, which may be cut."""

    size: int
    crc: int
    compression: str
    compressed_size: int
    data: memoryview


def is_foreign(path: Path) -> bool:
    """Say whether a file is of another profile than ROS 2, or its chunks are compressed as nobody here knows.

    Raises:
        OSError: it cannot be opened.
    """
    data = file_view(path)
    header = _record(data, len(_MAGIC))
    if data[: len(_MAGIC)] != _MAGIC or header is None or header.opcode != _HEADER or not header.whole:
        return False  # it is damaged
    try:
        profile, _ = _text(header.content, 0)
    except (struct.error, UnicodeDecodeError):
        return False
    records = _Scan(data, lambda *_: None).file_records()
    chunks = (chunk for record in records if record.opcode == _CHUNK and (chunk := _chunk(record)) is not None)
    return profile != "ros2" or any(chunk.compression not in COMPRESSIONS for chunk in chunks)


def is_closed(path: Path) -> bool:
    """Say whether a file has its end.

    Raises:
        OSError: it cannot be opened.
    """
    data = file_view(path)
    return data[-len(_MAGIC) :] == _MAGIC and _footer(data) is not None


def scan(path: Path, report: Report) -> Iterator[BagMessage]:
    """Read all messages that can be found, in the order of the file.

    Args:
        path: the file.
        report: is told of each damage.

    Raises:
        OSError: it cannot be opened.
    """
    yield from _Scan(file_view(path), report).messages()


class _Scan:
    """Scanner of one file; it remembers the channels met so far."""

    def __init__(self, data: memoryview, report: Report) -> None:
        self._data, self._report = data, report
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, tuple[str, str, str]] = {}  # topic, type, how its messages are serialized
        self._nameless, self._packed = 0, Counter[str]()

    def messages(self) -> Iterator[BagMessage]:
        self._read_summary()
        for record in self.file_records():
            for inner in self._chunk_records(record) if record.opcode == _CHUNK else (record,):
                try:
                    message = self._take(inner)
                except (struct.error, UnicodeDecodeError) as error:
                    self._report(f"the record at byte {record.at} is damaged: {error}")
                    continue
                if message is not None:
                    yield message
        if self._nameless:
            self._report(f"{self._nameless} messages are lost: the file does not say of which topic they are")
        for name, count in self._packed.items():
            self._report(f"{count} chunks cannot be read: they are compressed as {name!r}, not as lz4 or zstd", False)

    def file_records(self) -> Iterator[_Record]:
        """Read the file's records; what cannot be one is passed over up to the next chunk."""
        at = len(_MAGIC)
        while (record := _record(self._data, at)) is not None and record.opcode != _FOOTER:
            is_chunk = record.opcode == _CHUNK
            if _chunk(record) is not None if is_chunk else record.whole and 0 < record.opcode <= _LAST:
                yield record
                at = record.end
            else:
                self._report(f"it ends, or is damaged, at byte {at} of {len(self._data)}")
                at = self._next_chunk(at + 1)

    def _next_chunk(self, start: int) -> int:
        """Find where the next chunk begins; the end of the file if there is none."""
        for match in _CHUNK_START.finditer(self._data, start):
            record = _record(self._data, match.start())
            if record is not None and _chunk(record) is not None:
                return record.at
        return len(self._data)

    def _chunk_records(self, record: _Record) -> Iterator[_Record]:
        """Read the records in a chunk, as many as there are."""
        chunk = _chunk(record)
        assert chunk is not None  # file_records gives no other
        if chunk.compression not in COMPRESSIONS:
            self._packed[chunk.compression] += 1
            return
        data = decompress_start(chunk.data, chunk.compression)
        if len(data) < chunk.size:
            self._report(f"of the chunk at byte {record.at} only {len(data)} of {chunk.size} bytes can be read")
        elif chunk.crc and crc32(data) != chunk.crc:
            self._report(f"the chunk at byte {record.at} has a wrong checksum; its messages are taken as they are")
        at = 0
        while (inner := _record(data, at)) is not None and inner.whole:
            yield inner
            at = inner.end

    def _take(self, record: _Record) -> BagMessage | None:
        """Note a schema or a channel, or give a message."""
        content = record.content
        if record.opcode == _SCHEMA:
            self._schemas[struct.unpack_from("<H", content)[0]] = ros2_type(_text(content, 2)[0])
        elif record.opcode == _CHANNEL:
            number, schema = struct.unpack_from("<HH", content)
            topic, at = _text(content, 4)
            self._channels[number] = (topic, self._schemas.get(schema, ""), _text(content, at)[0])
        elif record.opcode == _MESSAGE:
            number, _, received_ns, _ = struct.unpack_from("<HIQQ", content)
            if number not in self._channels:
                self._nameless += 1
                return None
            topic, type_name, encoding = self._channels[number]
            return BagMessage(topic, type_name, received_ns, bytes(content[22:]), encoding)
        return None

    def _read_summary(self) -> None:
        """Note the channels from the summary at the end, where there is one: the chunk with them may be damaged."""
        footer = _footer(self._data)
        if footer is None or self._data[-len(_MAGIC) :] != _MAGIC:
            return
        at = struct.unpack_from("<Q", footer.content)[0] or len(self._data)
        while (record := _record(self._data, at)) is not None and record.whole and record.opcode != _FOOTER:
            if record.opcode in (_SCHEMA, _CHANNEL):
                try:
                    self._take(record)
                except (struct.error, UnicodeDecodeError):
                    return
            at = record.end


def _footer(data: memoryview) -> _Record | None:
    """Read the record at the end; None if it is not there."""
    footer = _record(data, len(data) - len(_MAGIC) - _FOOTER_BYTES)
    return footer if footer is not None and footer.opcode == _FOOTER else None


def _record(data: memoryview, at: int) -> _Record | None:
    """Read the record that begins there; None if not even its length is there."""
    if at < 0 or at + 9 > len(data):
        return None
    opcode, size = struct.unpack_from("<BQ", data, at)
    return _Record(opcode, at, size, data[at + 9 : at + 9 + size])


def _chunk(record: _Record) -> _Chunk | None:
    """Split a chunk's record into its parts; None if it cannot be a chunk."""
    try:
        size, crc = struct.unpack_from("<16xQI", record.content)
        compression, at = _text(record.content, 28)
        (compressed_size,) = struct.unpack_from("<Q", record.content, at)
    except (struct.error, UnicodeDecodeError):
        return None
    if at + 8 + compressed_size != record.size or (not compression and size != compressed_size):
        return None
    return _Chunk(size, crc, compression, compressed_size, record.content[at + 8 :])


def _text(content: memoryview, at: int) -> tuple[str, int]:
    """Read a string with its length before it, and where it ends."""
    (size,) = struct.unpack_from("<I", content, at)
    start = at + 4
    if start + size > len(content):
        raise struct.error(f"a text of {size} bytes does not fit in")
    return bytes(content[start : start + size]).decode(), start + size
