"""Recovery of .db3: damaged files are read page by page, without SQLite; see https://www.sqlite.org/fileformat2.html.

SQLite refuses a file that was cut, and loses whole branches of its trees with one page. The rows themselves lie in leaf
pages and in chains of overflow pages, which can be found without the trees.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cmt_seg_ros.bags.messages import READ_ENCODINGS, BagMessage, ros2_type
from cmt_seg_ros.bags.recover_chunk import Report, file_view

_MAGIC = b"SQLite format 3\x00"

_HEADER_BYTES, _LEAF = 100, 0x0D
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # by the code of a value

_Value = int | str | bytes | None


class _Row(NamedTuple):
    """Where a row lies: its first ``local`` bytes in a leaf page, the rest in overflow pages."""

    rowid: int
    size: int
    at: int
    local: int


def scan(path: Path, report: Report) -> Iterator[BagMessage]:
    """Read all messages that can be found, by the time they were recorded; of some only the start may be there.

    Args:
        path: the file.
        report: is told of each damage.

    Raises:
        OSError: it cannot be opened.
    """
    data = file_view(path)
    page_size = _page_size(data)
    if not page_size:
        report(f"its {len(data)} bytes do not begin as those of an SQLite file do")
        return
    pages = _Pages(data, page_size)
    topics: dict[int, tuple[str, str, str]] = {}  # name, type, how its messages are serialized
    found: dict[int, tuple[int, int, _Row]] = {}  # by row, as a page may be there twice: time, topic, place
    for row in pages.rows():
        match pages.values(row):
            case [None, int(topic), int(received_ns), bytes()]:
                found[row.rowid] = (received_ns, topic, row)
            case [None, str(name), str(type_name), str(encoding), *_] if encoding in READ_ENCODINGS:
                topics[row.rowid] = (name, ros2_type(type_name), encoding)
    for received_ns, topic, row in sorted(found.values()):
        if topic in topics:
            raw = pages.values(row, whole=True)[3]
            assert isinstance(raw, bytes)
            name, type_name, encoding = topics[topic]
            yield BagMessage(name, type_name, received_ns, raw, encoding)
    nameless = sum(topic not in topics for _, topic, _ in found.values())
    if nameless:
        report(f"{nameless} messages are lost: the file does not say of which topic they are")


def missing_bytes(path: Path) -> int:
    """Count the bytes that a file was cut by: SQLite reads those that are missing in its last page as zeros.

    Raises:
        OSError: it cannot be opened.
    """
    data = file_view(path)
    page_size = _page_size(data)
    if not page_size:
        return 0
    (changes, pages), (counted_at,) = struct.unpack_from(">II", data, 24), struct.unpack_from(">I", data, 92)
    stated = pages * page_size if changes == counted_at else 0  # else the number of pages is an old one
    return max(stated - len(data), -len(data) % page_size)


def _page_size(data: memoryview) -> int:
    """Return the bytes of a page; 0 if the file's header is not there."""
    if len(data) <= _HEADER_BYTES or data[: len(_MAGIC)] != _MAGIC:
        return 0
    (size,) = struct.unpack_from(">H", data, 16)
    return 65536 if size == 1 else size if size >= 512 else 0


class _Pages:
    """Pages of a file and the rows in them."""

    def __init__(self, data: memoryview, page_size: int) -> None:
        self._data, self._page = data, page_size
        self._usable = page_size - data[20]  # bytes of a page that SQLite fills

    def rows(self) -> Iterator[_Row]:
        """Find the rows of all leaf pages of tables, page by page."""
        for page in range(0, len(self._data) - self._page + 1, self._page):
            head = page + (_HEADER_BYTES if page == 0 else 0)
            if self._data[head] == _LEAF:
                (count,) = struct.unpack_from(">H", self._data, head + 3)
                for index in range(min(count, self._page // 2 - 8)):
                    (cell,) = struct.unpack_from(">H", self._data, head + 8 + 2 * index)
                    if 0 < cell < self._page - 4:
                        yield self._row(page + cell)

    def _row(self, at: int) -> _Row:
        size, at = self._varint(at)
        rowid, at = self._varint(at)
        most = self._usable - 35
        least = (self._usable - 12) * 32 // 255 - 23
        local = size if size <= most else least + (size - least) % (self._usable - 4)
        return _Row(rowid, size, at, local if local <= most else least)

    def values(self, row: _Row, whole: bool = False) -> list[_Value]:
        """Read the values of a row; those at the end may be cut, unless ``whole``, which reads the overflow pages."""
        data = self._payload(row) if whole else bytes(self._data[row.at : row.at + row.local])
        codes, at = _codes(data)
        values: list[_Value] = []
        for code in codes:
            size = _INTEGER_BYTES.get(code, 0) if code < 12 else (code - 12) // 2
            values.append(_value(code, data[at : at + size]))
            at += size
        return values

    def _payload(self, row: _Row) -> bytes:
        """Read all bytes of a row; fewer where a page is missing."""
        left, at = min(row.size, len(self._data)) - row.local, row.at + row.local
        pieces = [self._data[row.at : at]]
        while left > 0 and at + 4 <= len(self._data):
            (number,) = struct.unpack_from(">I", self._data, at)
            at = (number - 1) * self._page
            if number == 0 or at + self._page > len(self._data):
                break
            pieces.append(self._data[at + 4 : at + min(self._usable, left + 4)])
            left -= self._usable - 4
        return b"".join(pieces)

    def _varint(self, at: int) -> tuple[int, int]:
        return _varint(self._data[at : at + 9], 0, at)


def _codes(data: bytes) -> tuple[list[int], int]:
    """Read the codes of a row's values, type and size in one, and where the values begin."""
    end, at = _varint(data, 0)
    codes = []
    while at < min(end, len(data)):
        code, at = _varint(data, at)
        codes.append(code)
    return codes, end


def _varint(data: bytes | memoryview, at: int, base: int = 0) -> tuple[int, int]:
    """Read a number of up to nine bytes, and where it ends, counted from ``base``; 0 where the data ends."""
    value = 0
    for count, byte in enumerate(data[at : at + 9], start=1):
        if count == 9:
            return value << 8 | byte, base + at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, base + at + count
    return 0, base + len(data)


def _value(code: int, data: bytes) -> _Value:
    if code in _INTEGER_BYTES:
        return int.from_bytes(data, "big", signed=True)
    if code in (8, 9):
        return code - 8
    if code >= 12:
        return data.decode(errors="replace") if code % 2 else data
    return None  # also a floating-point number: bags have none
