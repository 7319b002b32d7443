"""What the recorder writes: a bag and a table of arrivals; no rclpy here."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from cmt_seg_ros.errors import SourceError

PACKAGE = "cmt_seg_ros"


@dataclass(frozen=True)
class Arrival:
    """One message as it came.

    Attributes:
        topic: full name.
        type_name: as in ``sensor_msgs/msg/Image``.
        received_ns: when it came, ROS clock, ns.
        raw: serialized (CDR).
    """

    topic: str
    type_name: str
    received_ns: int
    raw: bytes


def stamp_ns(raw: bytes) -> int | None:
    """Stamp of a serialized message that begins with a std_msgs/Header, ns; None if it is no such message."""
    if len(raw) < 12 or raw[:2] != b"\x00\x01":  # little-endian CDR, what every ROS 2 sends
        return None
    seconds, nanoseconds = struct.unpack_from("<iI", raw, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds) if nanoseconds < 1_000_000_000 else None


class BagFile:
    """A rosbag2 folder in MCAP format, compressed chunk by chunk; it carries all message definitions.

    Args:
        path: the folder; must not exist.

    Raises:
        SourceError: it exists, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._store = _typestore()
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise SourceError(f"bag {path} cannot be written: {error}; move it away or give another folder") from error

    def add_topic(self, topic: str, type_name: str, latched: bool) -> None:
        """Announce a topic, so that it is in the bag even if nothing ever comes."""
        self._connections[topic] = self._writer.add_connection(
            topic, type_name, typestore=self._store, offered_qos_profiles=[_qos(latched)]
        )

    def write(self, arrival: Arrival) -> None:
        """Write the bytes as they came."""
        self._writer.write(self._connections[arrival.topic], arrival.received_ns, arrival.raw)

    def close(self) -> None:
        """Write index and metadata."""
        self._writer.close()


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


def _typestore() -> Typestore:
    """Types of ROS 2 and those of this package, from its installed files."""
    store = get_typestore(Stores.ROS2_KILTED)
    folder = Path(get_package_share_directory(PACKAGE)) / "msg"
    types = {}
    for path in sorted(folder.glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"{PACKAGE}/msg/{path.stem}"))
    store.register(types)
    return store


def _qos(latched: bool) -> Qos:
    """What publishers offer: `ros2 bag play` offers the same."""
    never = QosTime(0x7FFFFFFF, 0xFFFFFFFF)
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 5,
        QosReliability.RELIABLE,
        durability,
        never,
        never,
        QosLiveliness.AUTOMATIC,
        never,
        False,
    )
