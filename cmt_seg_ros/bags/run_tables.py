"""Tables of a live run, written and read: sent.csv of source_node and arrivals.csv of recorder_node.

They are CSV files with a line of column names; times are in ns.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cmt_seg_ros.bags.committed import CommittedFile
from cmt_seg_ros.bags.messages import raw_stamp_ns
from cmt_seg_ros.bags.writer import Arrival
from cmt_seg_ros.errors import SourceError

SENT_COLUMNS = ("index", "clip_stamp_ns", "stamp_ns", "sent_ns")
ARRIVAL_COLUMNS = ("topic", "stamp_ns", "received_ns")

Arrivals = dict[str, dict[int, deque[int]]]
"""When the messages of a stamp came, by topic without its namespace, such as ``segmentation/mask``, and stamp; ns."""


@dataclass(frozen=True)
class Sent:
    """A frame that source_node sent.

    Attributes:
        index: among those frames of the clip that can be read, from 0, in each round of a loop anew.
        clip_stamp_ns: its stamp in the clip.
        stamp_ns: its stamp on the topic.
        sent_ns: ROS time of sending: system time or, with ``use_sim_time``, that of /clock.
    """

    index: int
    clip_stamp_ns: int
    stamp_ns: int
    sent_ns: int


class SentTable:
    """Writer of sent.csv: one row a frame, written just before the frame is sent.

    Args:
        path: the file; overwritten.

    Raises:
        SourceError: it cannot be written; also while writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Line by line: whoever joins results with it reads along.
            self._file = path.open("w", encoding="utf-8", newline="\n", buffering=1)
        except OSError as error:
            raise self._failed(error) from error
        self._write(SENT_COLUMNS)

    def add(self, sent: Sent) -> None:
        """Add a row."""
        self._write((sent.index, sent.clip_stamp_ns, sent.stamp_ns, sent.sent_ns))

    def close(self) -> None:
        """Close the file; rows that could not be written were said by :meth:`add`."""
        with suppress(OSError):
            self._file.close()

    def _write(self, values: Iterable[object]) -> None:
        try:
            self._file.write(_line(values))
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> SourceError:
        return SourceError(f"sent_file {self._path} cannot be written: {error.strerror}; give another file")


class ArrivalTable:
    """Writer of arrivals.csv: one row a message; on a full disk it ends with a whole row.

    Args:
        path: the file; overwritten.

    Raises:
        OSError: it cannot be written; also of :meth:`flush` and :meth:`close`, which may be tried again.
    """

    def __init__(self, path: Path) -> None:
        self._file = CommittedFile(path)
        self._file.cut(0)
        self._file.write(_line(ARRIVAL_COLUMNS).encode())
        self.flush()

    def add(self, arrival: Arrival) -> None:
        """Add a row, unless the message has no stamp."""
        stamp_ns = raw_stamp_ns(arrival.raw)
        if stamp_ns is not None:
            self._file.write(_line((arrival.topic, stamp_ns, arrival.received_ns)).encode())

    def flush(self) -> None:
        """Let readers see all rows."""
        self._file.commit()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_sent(path: Path) -> list[Sent]:
    """Read source_node's ``sent_file``.

    Raises:
        SourceError: no such file, or not such a table.
    """
    rows = _rows(path, SENT_COLUMNS, "the sent.csv that source_node writes")
    return [Sent(*map(int, row)) for row in rows]


def read_arrivals(path: Path) -> Arrivals:
    """Read recorder_node's ``arrivals.csv``.

    Raises:
        SourceError: no such file, or not such a table.
    """
    found: Arrivals = {}
    for topic, stamp, received in _rows(path, ARRIVAL_COLUMNS, "the arrivals.csv that recorder_node writes"):
        times = found.setdefault("/".join(topic.split("/")[-2:]), {})
        times.setdefault(int(stamp), deque()).append(int(received))
    return found


def _line(values: Iterable[object]) -> str:
    return ",".join(map(str, values)) + "\n"


def _rows(path: Path, columns: tuple[str, ...], expected: str) -> list[list[str]]:
    """Read the rows of a table, whose values are whole numbers but for topics."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or tuple(rows[0]) != columns:
            raise ValueError(f"its columns are {rows[:1]}")
        for row in rows[1:]:
            numbers = row[1:] if columns[0] == "topic" else row
            if len(row) != len(columns) or not all(v.lstrip("-").isdigit() for v in numbers):
                raise ValueError(f"it has a row {row}")
    except (OSError, ValueError) as error:
        what = f"expected {expected}, with columns {', '.join(columns)}"
        raise SourceError(f"{path} cannot be read: {error}; {what}") from error
    return rows[1:]
