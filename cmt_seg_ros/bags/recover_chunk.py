"""Buffer of a file and decompression of damaged blocks: what the recovering readers of all formats share."""

from __future__ import annotations

import bz2
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import lz4.frame  # type: ignore[import-untyped]
from backports import zstd


class Report(Protocol):
    """Takes a line about a file; the caller adds the file's name."""

    def __call__(self, text: str, damaged: bool = True, /) -> None:
        """Note what is damaged or, if ``damaged`` is False, what cannot be read."""


_TOOLS: dict[str, Callable[[], Any]] = {
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "bz2": bz2.BZ2Decompressor,
}
COMPRESSIONS = ("", "none", *_TOOLS)
"""Of chunks that can be read, as MCAP and ROS 1 name them."""

_PIECE = 4096  # bytes fed at once: what comes before an error in the same piece is lost


def file_view(path: Path) -> memoryview:
    """Map the bytes of a file, read when they are looked at; empty if it is empty.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def decompress_start(data: memoryview, compression: str) -> memoryview:
    """Decompress up to where the data ends or is damaged.

    Args:
        data: a compressed block, or only its start.
        compression: as MCAP and ROS 1 name it; "" or "none": it is not compressed.

    Returns:
        What could be decompressed; nothing where the compression is not known.
    """
    if compression in ("", "none"):
        return data
    if compression not in _TOOLS:
        return memoryview(b"")
    tool, pieces = _TOOLS[compression](), []
    for start in range(0, len(data), _PIECE):
        if tool.eof:
            break
        try:
            pieces.append(tool.decompress(bytes(data[start : start + _PIECE])))
        except Exception:  # each tool has errors of its own
            break
    return memoryview(b"".join(pieces))
