"""BagFile: a rosbag2 folder that is written message by message; needs no ROS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.typesys.store import Typestore

from cmt_seg_ros.bags.messages import message_types
from cmt_seg_ros.errors import SourceError


@dataclass(frozen=True)
class Arrival:
    """One message of a topic, as it came.

    Attributes:
        topic: full name.
        type_name: as in ``sensor_msgs/msg/Image``.
        received_ns: when it came, ROS clock, ns; what a bag plays it by.
        raw: serialized (CDR).
    """

    topic: str
    type_name: str
    received_ns: int
    raw: bytes


class BagFile:
    """A rosbag2 folder in MCAP format, compressed chunk by chunk; it carries all message definitions.

    Args:
        path: the folder; must not exist.
        store: knows the types of all messages; None: those of ROS 2 and of this package.

    Raises:
        SourceError: it exists, or cannot be written; also while writing.
    """

    def __init__(self, path: Path, store: Typestore | None = None) -> None:
        self._path, self._store = path, store or message_types()
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise SourceError(f"bag {path} cannot be written: {error}; move it away or give another folder") from error

    def __contains__(self, topic: str) -> bool:
        """Say whether the topic was announced."""
        return topic in self._connections

    def add_topic(self, topic: str, type_name: str, latched: bool) -> None:
        """Announce a topic, so that it is in the bag even if nothing ever comes."""
        self._connections[topic] = self._writer.add_connection(
            topic, type_name, typestore=self._store, offered_qos_profiles=[_qos(latched)]
        )

    def add_topic_of(self, connection: Connection) -> None:
        """Announce a topic as it is in another bag: its definition is taken from there."""
        self._connections[connection.topic] = self._writer.add_connection(
            connection.topic,
            connection.msgtype,
            msgdef=connection.msgdef.data,
            rihs01=connection.digest,
            serialization_format=connection.ext.serialization_format,
            offered_qos_profiles=connection.ext.offered_qos_profiles,
        )

    def write(self, arrival: Arrival) -> None:
        """Write the bytes as they came."""
        try:
            self._writer.write(self._connections[arrival.topic], arrival.received_ns, arrival.raw)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Write index and metadata; without them the bag cannot be read."""
        try:
            self._writer.close()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> SourceError:
        return SourceError(f"bag {self._path} cannot be written: {error.strerror}; is the disk full?")


def _qos(latched: bool) -> Qos:
    """Return what publishers offer: `ros2 bag play` offers the same."""
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
