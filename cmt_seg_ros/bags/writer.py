"""BagFile: a rosbag2 folder that is written message by message; needs no ROS."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys.store import Typestore

from cmt_seg_ros.bags.committed import CommittedFile
from cmt_seg_ros.bags.messages import message_types
from cmt_seg_ros.errors import SourceError

_SPARE = 8  # chunks, of a megabyte each, that may be given up for index and metadata
_CHUNK_S = 1.0  # of a chunk at most, as long as messages come: what a killed recorder loses


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


class BagWriteError(SourceError):
    """A bag cannot be written any more.

    Attributes:
        dropped: messages and bytes, by topic, that the bag took before and that are not in it: it is written in chunks.
    """

    def __init__(self, message: str, dropped: Mapping[str, tuple[int, int]]) -> None:
        super().__init__(message)
        self.dropped = dropped


class _WholeChunks(McapWriter):
    """Writer of MCAP whose file has whole chunks only: a full disk costs the chunk that does not fit.

    Attributes:
        bio: the file.
        starts: where each chunk begins, and the messages in it by channel.
    """

    bio: Any

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        super().__init__(path, compression)
        self.bio.close()
        self.bio = CommittedFile(self.path)
        self.starts: list[tuple[int, dict[int, int]]] = []

    def close_chunk(self) -> None:
        """Write the chunk; where that fails its messages are no more counted, nor kept."""
        counts = {channel: len(messages) for channel, messages in self.chunk.msgs.items()}
        self.starts.append((self.bio.tell(), counts))
        super().close_chunk()
        try:
            self.bio.commit()
        except OSError:
            self.drop_chunk()
            raise

    def drop_chunk(self) -> None:
        """Take back the last chunk, and what was to follow it."""
        start, counts = self.starts.pop()
        self.chunks.pop()
        for channel, count in counts.items():
            self.channel_stats[channel] -= count
        self.bio.drop()
        self.bio.cut(start)


class _Writer(Writer):
    STORAGE_PLUGINS: ClassVar = {StoragePlugin.MCAP: _WholeChunks}


_Taken = dict[str, tuple[int, int]]


class BagFile:
    """A rosbag2 folder in MCAP format, compressed chunk by chunk; it carries all message definitions.

    Where the disk is full, or the process is killed, the bag ends with the last whole chunk, and can be read. A chunk
    has a megabyte, or what came within a second.

    Args:
        path: the folder; must not exist.
        store: knows the types of all messages; None: those of ROS 2 and of this package.

    Raises:
        SourceError: it exists, or cannot be written.
    """

    def __init__(self, path: Path, store: Typestore | None = None) -> None:
        self._path, self._store = path, store or message_types()
        self._connections: dict[str, Connection] = {}
        self._unsaved: _Taken = {}  # what the chunk has that is being filled
        self._saved: deque[_Taken] = deque(maxlen=_SPARE)  # what each of the last chunks on disk has
        self._broken = self._closed = False
        self._saved_s = time.monotonic()
        try:
            self._writer = _Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise SourceError(f"bag {path} cannot be written: {error}; move it away or give another folder") from error
        self._storage: _WholeChunks = self._writer.storage

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
        """Write the bytes as they came.

        Raises:
            BagWriteError: it cannot be written, nor could anything after it.
        """
        if self._broken:
            raise BagWriteError(f"bag {self._path} has ended: it could not be written", {})
        chunks = len(self._storage.chunks)
        try:
            self._writer.write(self._connections[arrival.topic], arrival.received_ns, arrival.raw)
            if time.monotonic() - self._saved_s > _CHUNK_S and self._storage.chunk.bio.tell():
                self._storage.close_chunk()
        except OSError as error:
            raise self._failed(error, self._taken()) from error
        count, size = self._unsaved.get(arrival.topic, (0, 0))
        self._unsaved[arrival.topic] = count + 1, size + len(arrival.raw)
        if len(self._storage.chunks) > chunks:
            self._saved.append(self._taken())
            self._saved_s = time.monotonic()

    def close(self) -> None:
        """Write index and metadata, once. The last chunks are given up where the disk has no room for these.

        Raises:
            BagWriteError: messages that were taken are not in the bag, or it has no index.
        """
        if self._closed:
            return
        self._closed = True
        failure, dropped = None, _Taken()
        while True:
            try:
                self._finish()
                break
            except OSError as error:
                failure = error
                if self._unsaved:
                    lost = self._taken()
                elif self._writer.storage is not None and self._saved:
                    lost = self._saved.pop()
                    self._storage.drop_chunk()
                else:
                    break
                for topic, (count, size) in lost.items():
                    before = dropped.get(topic, (0, 0))
                    dropped[topic] = before[0] + count, before[1] + size
        if failure is not None:
            if self._writer.storage is not None:
                self._storage.bio.drop()
                self._storage.abort()
            raise self._failed(failure, dropped) from failure

    def _finish(self) -> None:
        if self._storage.chunk.bio.tell():
            self._storage.close_chunk()
            self._saved.append(self._taken())
        self._writer.counts = dict(self._storage.channel_stats)  # without those of chunks that were lost
        self._writer.close()

    def _taken(self) -> _Taken:
        """Return what is not saved, and begin anew."""
        taken, self._unsaved = self._unsaved, {}
        return taken

    def _failed(self, error: OSError, dropped: _Taken) -> BagWriteError:
        self._broken = True
        return BagWriteError(f"bag {self._path} cannot be written: {disk_words(error)}", dropped)


def disk_words(error: OSError) -> str:
    """Say why a file cannot be written, and what to do about it."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return f"{error.strerror or error}" + ("; make room on that disk, or give a folder on another one" * full)


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
