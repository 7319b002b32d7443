"""Containers of video: whether a file is as long as its own structure says.

Numbers of frames and durations in headers are often wrong in whole files. What does not lie is the size of the
outermost elements: where one of them ends beyond the file, the file was cut.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_BOXES = {b"ftyp", b"styp", b"sidx", b"moov", b"moof", b"mfra", b"mdat", b"free", b"skip", b"wide", b"uuid", b"meta"}
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_TS_PACKETS = (188, 192, 204)  # bytes: plain, with a time code, with error correction


def missing_bytes(path: Path) -> int:
    """Return how many bytes of a video file are missing at its end; 0: none, or that cannot be told.

    MP4 and MOV, AVI, Matroska and WebM say how long they are. MPEG-TS says it of its packets, the last of which may be
    cut.
    """
    with suppress(OSError), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return max(0, _stated_end(file, size) - size)
    return 0


def _stated_end(file: BinaryIO, size: int) -> int:
    """Return where a file of ``size`` bytes should end; its size if it does not say so."""
    start = file.read(12)
    if start[4:8] in _BOXES:
        return _end_of_boxes(file, size)
    if start[:4] == b"RIFF":
        return _end_of_riff(file, size)
    if int.from_bytes(start[:4], "big") == _EBML:
        return _end_of_segments(file, size)
    if start[:1] == b"G" and all(size % length for length in _TS_PACKETS):
        file.seek(_TS_PACKETS[0])
        return size - size % _TS_PACKETS[0] + (_TS_PACKETS[0] if file.read(1) == b"G" else 0)
    return size


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Return where the last known box ends; cameras append data of their own, which says nothing."""
    place = 0
    while place < size:
        file.seek(place)
        length, kind, more = (head := file.read(16))[:4], head[4:8], head[8:16]
        if kind not in _BOXES:
            break
        box = int.from_bytes(more if length == b"\0\0\0\1" else length, "big")
        if box < 8:  # 0: to the end of the file
            break
        place += box
    return place


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """Return where the last RIFF chunk ends: files over 1 GB have several."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(8)
        if head[:4] != b"RIFF":
            break
        place += 8 + int.from_bytes(head[4:], "little")
        place += place % 2 if place < size else 0
    return place


def _end_of_segments(file: BinaryIO, size: int) -> int:
    """Return where the last segment ends; of one of unknown size, as in streams, where it begins."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(12)
        kind, sized = int.from_bytes(head[:4], "big"), head[4:]
        length = 9 - sized[0].bit_length() if sized and sized[0] else 0  # of the size, by its leading zeros
        if kind not in (_EBML, _SEGMENT) or not length:
            break
        value = int.from_bytes(sized[:length], "big") & ~(1 << 7 * length)
        if value == (1 << 7 * length) - 1:
            break
        place += 4 + length + value
    return place
