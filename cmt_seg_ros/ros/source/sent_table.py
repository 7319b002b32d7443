"""Which frame of a clip was sent under which stamp, and when."""

from __future__ import annotations

from pathlib import Path

from cmt_seg_ros.errors import SourceError

HEADER = "index,clip_stamp_ns,stamp_ns,sent_ns"


class SentTable:
    """A CSV file, one row a frame, written just before the frame is sent.

    index: of the frame among those of the clip that can be read, from 0, in each round of a loop anew;
    clip_stamp_ns: its stamp in the clip; stamp_ns: under which it was sent; sent_ns: ROS time of sending (system time,
    or with ``use_sim_time`` that of /clock).

    Args:
        path: the file; overwritten.

    Raises:
        SourceError: it cannot be written; also while writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Line by line: who joins results with it reads along.
            self._file = path.open("w", encoding="utf-8", newline="\n", buffering=1)
        except OSError as error:
            raise self._failed(error) from error
        self._write(HEADER)

    def add(self, index: int, clip_stamp_ns: int, stamp_ns: int, sent_ns: int) -> None:
        """Add a row."""
        self._write(f"{index},{clip_stamp_ns},{stamp_ns},{sent_ns}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: str) -> None:
        try:
            self._file.write(f"{line}\n")
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> SourceError:
        return SourceError(f"sent_file {self._path} cannot be written: {error.strerror}; give another file")
