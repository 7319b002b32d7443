"""Unpacking of files of bags that rosbag2 compressed as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import lz4.frame  # type: ignore[import-untyped]
from backports import zstd

from cmt_seg_ros.bags.files import PACKED_SUFFIXES
from cmt_seg_ros.bags.recover_chunk import Report
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.files import openable


@contextmanager
def unpacked(file: Path, report: Report) -> Iterator[Path]:
    """Yield the file itself or, of a compressed one, a temporary file with as much of it as can be decompressed.

    Args:
        file: of a bag.
        report: is told where it is damaged.

    Raises:
        SourceError: it cannot be opened, or there is no room for the temporary file.
    """
    if file.suffix not in PACKED_SUFFIXES:
        with openable(file) as plain:
            yield plain
        return
    with TemporaryDirectory() as folder:
        plain = Path(folder) / file.stem
        _unpack(file, plain, report)
        yield plain


def _unpack(file: Path, plain: Path, report: Report) -> None:
    opened = lz4.frame.open if file.suffix == ".lz4" else zstd.open
    try:
        with opened(file, "rb") as packed, plain.open("wb") as whole:
            try:
                while piece := packed.read1(1 << 16):  # read would lose what came before damage
                    whole.write(piece)
            except (EOFError, MemoryError, RuntimeError, zstd.ZstdError) as error:  # RuntimeError: of lz4
                report(error_words(error, plain))
    except OSError as error:
        room = f"it is unpacked in {plain.parent.parent}; TMPDIR names another folder"
        raise SourceError(f"bag file {file} cannot be unpacked: {error.strerror or error}; {room}") from error


def error_words(error: Exception, plain: Path) -> str:
    """Tell an error of a damaged file in one line, without the name of the file."""
    text = " ".join(str(error).replace(f"{plain}", plain.name).split())
    return f"{text or type(error).__name__}; what can be read of it is read"
