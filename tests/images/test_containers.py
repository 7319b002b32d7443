"""Whether a video file is as long as it says: of each kind of container, by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from cmt_seg_ros.images.containers import missing_bytes


def box(kind: bytes, size: int, content: int) -> bytes:
    return struct.pack(">I", size) + kind + bytes(content)


def riff(size: int, content: int) -> bytes:
    return b"RIFF" + struct.pack("<I", size) + b"AVI " + bytes(content - 4)


HEAD = b"\x1a\x45\xdf\xa3\x82ab"  # of Matroska: 2 bytes
SEGMENT = b"\x18\x53\x80\x67"
TS = b"G" + bytes(187)
FILES: dict[str, tuple[bytes, int]] = {
    "mp4": (box(b"ftyp", 16, 8) + box(b"mdat", 108, 100), 0),
    "mp4, cut": (box(b"ftyp", 16, 8) + box(b"mdat", 108, 60), 40),
    "mp4, cut before a box": (box(b"ftyp", 16, 8), 0),
    "mp4, of 64 bits": (box(b"ftyp", 16, 8) + box(b"mdat", 1, 0) + struct.pack(">Q", 10**12) + bytes(84), 10**12 - 100),
    "mp4, to the end": (box(b"ftyp", 16, 8) + box(b"mdat", 0, 60), 0),
    "mp4, of a size that is none": (box(b"ftyp", 16, 8) + box(b"mdat", 7, 60), 0),
    "mp4 and data of the camera": (box(b"ftyp", 16, 8) + box(b"mdat", 28, 20) + box(b"SEFT", 9999, 5), 0),
    "avi": (riff(100, 100), 0),
    "avi, cut": (riff(100, 70), 30),
    "avi in two parts": (riff(100, 100) + riff(50, 50), 0),
    "avi in two parts, cut": (riff(100, 100) + riff(50, 45), 5),
    "avi, never finished": (riff(0, 100), 0),
    "matroska": (HEAD + SEGMENT + b"\x40\x64" + bytes(100), 0),
    "matroska, cut": (HEAD + SEGMENT + b"\x40\x64" + bytes(90), 10),
    "matroska, a stream": (HEAD + SEGMENT + b"\x01" + b"\xff" * 7 + bytes(90), 0),
    "mpeg-ts": (3 * TS, 0),
    "mpeg-ts, cut": (3 * TS + TS[:100], 88),
    "a text that begins with G": (b"Gone with the wind", 0),
    "nothing": (b"", 0),
    "a beginning": (b"RIF", 0),
}


@pytest.mark.parametrize("kind", FILES)
def test_missing_bytes(tmp_path: Path, kind: str) -> None:
    data, missing = FILES[kind]
    (tmp_path / "file").write_bytes(data)
    assert missing_bytes(tmp_path / "file") == missing


def test_of_what_cannot_be_read_nothing_is_said(tmp_path: Path) -> None:
    assert missing_bytes(tmp_path / "none") == missing_bytes(tmp_path) == 0
