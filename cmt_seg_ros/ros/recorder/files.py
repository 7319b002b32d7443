"""What the recorder writes: a bag and a table of arrivals; no rclpy here."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from cmt_seg_ros.bags.writer import Arrival, BagFile

__all__ = ["Arrival", "ArrivalTable", "BagFile", "stamp_ns"]


def stamp_ns(raw: bytes) -> int | None:
    """Stamp of a serialized message that begins with a std_msgs/Header, ns; None if it is no such message."""
    if len(raw) < 12 or raw[:2] != b"\x00\x01":  # little-endian CDR, what every ROS 2 sends
        return None
    seconds, nanoseconds = struct.unpack_from("<iI", raw, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds) if nanoseconds < 1_000_000_000 else None


class ArrivalTable:
    """A CSV file, one row a message: topic, stamp_ns, received_ns."""

    def __init__(self, path: Path) -> None:
        self._file: Any = path.open("w", encoding="utf-8", newline="\n")
        self._file.write("topic,stamp_ns,received_ns\n")
        self.flush()

    def write(self, arrival: Arrival) -> None:
        """Add a row, unless the message has no stamp."""
        stamp = stamp_ns(arrival.raw)
        if stamp is not None:
            self._file.write(f"{arrival.topic},{stamp},{arrival.received_ns}\n")

    def flush(self) -> None:
        """Let readers see all rows."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
