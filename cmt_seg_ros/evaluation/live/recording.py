"""A recording read back, frame by frame: what recorder_node wrote, or any bag with the same topics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from cmt_seg_ros.errors import CmtSegError, SourceError
from cmt_seg_ros.labels import LabelClass, LabelSet
from cmt_seg_ros.structures import U8, U16

MASK, OBJECTNESS, TRACKS = "segmentation/mask", "segmentation/objectness", "tracking/tracks"
CONFIDENCE, INSTANCES = "segmentation/confidence", "tracking/instances"
LABEL_INFO, DIAGNOSTICS = "segmentation/label_info", "/diagnostics"
FRAME_TOPICS = (MASK, OBJECTNESS, CONFIDENCE, TRACKS, INSTANCES)

WINDOW = 64
"""A frame waits for its late messages until this many newer ones are under way."""


@dataclass(eq=False)
class RecordedFrame:
    """All messages with one stamp; None where there was none.

    Attributes:
        stamp_ns: time of capture, ns.
        messages: deserialized messages (of rosbags) by topic, topics as in :data:`FRAME_TOPICS`.
    """

    stamp_ns: int
    messages: dict[str, Any] = field(default_factory=dict)

    @property
    def class_ids(self) -> U8 | None:
        """(H, W) uint8, predicted class per pixel, 255 = unlabelled."""
        return self._image(MASK, np.uint8)

    @property
    def objectness(self) -> U8 | None:
        """(H, W) uint8, predicted, 0 = no object."""
        return self._image(OBJECTNESS, np.uint8)

    @property
    def confidence(self) -> U8 | None:
        """(H, W) uint8, probability of the network's first choice, 0-255 for 0-1."""
        return self._image(CONFIDENCE, np.uint8)

    @property
    def instances(self) -> U16 | None:
        """(H, W) uint16, track id per pixel, 0 = none."""
        return self._image(INSTANCES, np.uint16)

    @property
    def tracks(self) -> list[Any] | None:
        """cmt_seg_ros/msg/Track messages."""
        message = self.messages.get(TRACKS)
        return None if message is None else list(message.tracks)

    def _image(self, topic: str, dtype: type) -> npt.NDArray[Any] | None:
        """A view of a mono8 or mono16 message.

        Raises:
            SourceError: it is of another encoding, or too short.
        """
        message = self.messages.get(topic)
        if message is None:
            return None
        item, (height, width, step) = np.dtype(dtype).itemsize, (message.height, message.width, message.step)
        size = step * (height - 1) + width * item
        if message.encoding != f"mono{8 * item}" or not height or step < width * item or len(message.data) < size:
            what = f"{width} x {height} {message.encoding} with step {step} and {len(message.data)} bytes"
            raise SourceError(f"{topic} at {self.stamp_ns} ns is {what}; expected mono{8 * item} with all its pixels")
        order = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
        return np.ndarray((height, width), order, np.ascontiguousarray(message.data), strides=(step, item))


@dataclass(frozen=True)
class Header:
    """What a recording says once.

    Attributes:
        model: name of the model package; empty where not recorded.
        labels: meaning of the class ids; None where not recorded.
        counts: number of messages by topic, topics as in :data:`FRAME_TOPICS`.
        diagnostics: last values by status name.
    """

    model: str
    labels: LabelSet | None
    counts: dict[str, int]
    diagnostics: dict[str, dict[str, str]]


class Recording:
    """Reads a bag; iterating gives its frames in order of their stamps, a few in memory at a time.

    Args:
        path: a rosbag2 folder or an .mcap file.
        camera: namespace of the camera, such as ``/camera``; empty: that of the first mask topic.

    Attributes:
        header: see :class:`Header`.

    Raises:
        SourceError: no such bag, damaged, or without masks of that camera.
    """

    def __init__(self, path: str | Path, camera: str = "") -> None:
        self._path = Path(path)
        with self._open() as reader:
            self._names = _topics_of(reader, camera, self._path)
            self.header = self._read_header(reader)

    def __iter__(self) -> Iterator[RecordedFrame]:
        with self._open() as reader:
            expected = {name for name, count in self.header.counts.items() if count}
            pending: dict[int, RecordedFrame] = {}
            for topic, message in self._messages(reader, FRAME_TOPICS):
                stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
                pending.setdefault(stamp, RecordedFrame(stamp)).messages[topic] = message
                while len(pending) > WINDOW or (pending and expected <= set(pending[min(pending)].messages)):
                    yield pending.pop(min(pending))
            for stamp in sorted(pending):
                yield pending[stamp]

    def _read_header(self, reader: AnyReader) -> Header:
        model, labels, diagnostics = "", None, {}
        for topic, message in self._messages(reader, (LABEL_INFO, DIAGNOSTICS)):
            if topic == LABEL_INFO:
                model, labels = str(message.model), _labels(message)
            else:
                for status in message.status:
                    diagnostics[str(status.name)] = {str(v.key): str(v.value) for v in status.values}
        counts = dict.fromkeys(FRAME_TOPICS, 0)
        for connection in reader.connections:
            name = self._names.get(connection.topic)
            if name in counts:
                counts[name] += connection.msgcount
        return Header(model, labels, counts, diagnostics)

    def _messages(self, reader: AnyReader, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """(topic, message) in the order of recording."""
        connections = [c for c in reader.connections if self._names.get(c.topic) in names]
        if not connections:
            return
        try:
            for connection, _, raw in reader.messages(connections):
                yield self._names[connection.topic], reader.deserialize(raw, connection.msgtype)
        except CmtSegError:
            raise
        except Exception as error:  # rosbags raises whatever a damaged bag makes numpy or struct raise
            raise SourceError(f"bag {self._path} is damaged: {error}; record it again") from error

    @contextmanager
    def _open(self) -> Iterator[AnyReader]:
        if not self._path.exists():
            raise SourceError(f"bag {self._path} does not exist; give the folder that recorder_node wrote")
        try:
            reader = AnyReader([self._path], default_typestore=get_typestore(Stores.ROS2_KILTED))
            reader.open()
        except Exception as error:
            raise SourceError(f"bag {self._path} cannot be read: {error}") from error
        with closing(reader):
            yield reader


def _topics_of(reader: AnyReader, camera: str, path: Path) -> dict[str, str]:
    """Full topic name -> name without the camera's namespace."""
    topics = sorted({c.topic for c in reader.connections})
    spaces = [t[: -len(MASK)] for t in topics if t.endswith(f"/{MASK}")]
    space = f"/{camera.strip('/')}/".replace("//", "/") if camera else (spaces[0] if spaces else "")
    if space not in spaces:
        raise SourceError(f"bag {path} has no topic {space}{MASK}; cameras in it: {', '.join(spaces) or 'none'}")
    names = {f"{space}{name}": name for name in (*FRAME_TOPICS, LABEL_INFO)}
    return {t: n for t, n in {**names, DIAGNOSTICS: DIAGNOSTICS}.items() if t in topics}


def _labels(message: Any) -> LabelSet:
    rows = ((c.id, c.name, (c.red, c.green, c.blue), c.is_object) for c in message.classes)
    return LabelSet(tuple(LabelClass(int(i), str(n), tuple(int(v) for v in rgb), bool(o)) for i, n, rgb, o in rows))  # type: ignore[arg-type]
