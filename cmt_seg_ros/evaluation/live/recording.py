"""Recording: the results that recorder_node wrote, read back frame by frame; or any bag with the same topics."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmt_seg_ros.bags.storage import BagTopic, bag_messages, bag_topics
from cmt_seg_ros.encodings import Pixels, view_pixels
from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.images.messages import stamp_ns
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
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
        return self._image(MASK, "mono8")

    @property
    def objectness(self) -> U8 | None:
        """(H, W) uint8, predicted, 0 = no object."""
        return self._image(OBJECTNESS, "mono8")

    @property
    def confidence(self) -> U8 | None:
        """(H, W) uint8, probability of the network's first choice, 0-255 for 0-1."""
        return self._image(CONFIDENCE, "mono8")

    @property
    def instances(self) -> U16 | None:
        """(H, W) uint16, track id per pixel, 0 = none."""
        return self._image(INSTANCES, "mono16")

    @property
    def tracks(self) -> list[Any] | None:
        """cmt_seg_ros/msg/Track messages."""
        message = self.messages.get(TRACKS)
        return None if message is None else list(message.tracks)

    def _image(self, topic: str, encoding: str) -> Pixels | None:
        """View the pixels of an image.

        Raises:
            SourceError: it is of another encoding, or malformed.
        """
        message = self.messages.get(topic)
        if message is None:
            return None
        if message.encoding == encoding:
            with suppress(FrameError):
                return view_pixels(message)
        what = f"{message.width} x {message.height} {message.encoding} with step {message.step}"
        what += f" and {len(message.data)} bytes"
        raise SourceError(f"{topic} at {self.stamp_ns} ns is {what}; expected {encoding} with all its pixels")


@dataclass(frozen=True)
class Header:
    """What a recording says once.

    Attributes:
        model: name of the model package; empty where not recorded.
        labels: meaning of the class ids; None where not recorded.
        counts: number of messages by topic, topics as in :data:`FRAME_TOPICS`; of a damaged bag those that are left.
        diagnostics: last values by status name.
    """

    model: str
    labels: LabelSet | None
    counts: dict[str, int]
    diagnostics: dict[str, dict[str, str]]


class Recording:
    """Results in a bag; iterating gives them frame by frame in the order of stamps, a few in memory at a time.

    A damaged bag is read as far as that is possible.

    Args:
        path: a rosbag2 folder or a file of a bag.
        camera: namespace of the camera, such as ``/camera``; empty: that of the first mask topic.
        problems: is told of each damage.

    Attributes:
        header: see :class:`Header`.

    Raises:
        SourceError: no such bag, nothing in it can be read, or it has no masks of that camera.
    """

    def __init__(self, path: str | Path, camera: str = "", problems: Problems | None = None) -> None:
        self._path, self._problems = Path(path), problems or Problems()
        topics = bag_topics(self._path, self._problems)
        self._names = _names(topics, camera, self._path)
        self.header = self._read_header(topics)

    def __iter__(self) -> Iterator[RecordedFrame]:
        expected = {name for name, count in self.header.counts.items() if count}
        pending: dict[int, RecordedFrame] = {}
        for stamp, topic, message in self._messages(FRAME_TOPICS):
            pending.setdefault(stamp, RecordedFrame(stamp)).messages[topic] = message
            while len(pending) > WINDOW or (pending and expected <= set(pending[min(pending)].messages)):
                yield pending.pop(min(pending))
        for stamp in sorted(pending):
            yield pending[stamp]

    def _read_header(self, topics: list[BagTopic]) -> Header:
        model, labels, diagnostics = "", None, {}
        for _, topic, message in self._messages((LABEL_INFO, DIAGNOSTICS)):
            if topic == LABEL_INFO:
                model, labels = str(message.model), LabelSet.from_class_map(message)
            else:
                for status in message.status:
                    diagnostics[str(status.name)] = {str(v.key): str(v.value) for v in status.values}
        counts = dict.fromkeys(FRAME_TOPICS, 0)
        for found in topics:
            name = self._names.get(found.name)
            if name in counts:
                counts[name] += found.count
        return Header(model, labels, counts, diagnostics)

    def _messages(self, names: Collection[str]) -> Iterator[tuple[int, str, Any]]:
        """Read (stamp in ns, topic, message) in the order of recording; what cannot be read is reported."""
        topics = [topic for topic, name in self._names.items() if name in names]
        for raw in bag_messages(self._path, topics, self._problems):
            try:
                message = raw.read()
                found_ns = stamp_ns(message.header)
            except Exception as error:  # rosbags lets through whatever a damaged message makes numpy or struct raise
                text = f"a message is skipped: {error or type(error).__name__}"
                self._problems.add("damaged_message", f"bag {self._path}, topic {raw.topic}: {text}")
                continue
            yield found_ns, self._names[raw.topic], message


def _names(found: list[BagTopic], camera: str, path: Path) -> dict[str, str]:
    """Map names of topics to those without the camera's namespace."""
    topics = [topic.name for topic in found]
    spaces = [t[: -len(MASK)] for t in topics if t.endswith(f"/{MASK}")]
    space = f"/{camera.strip('/')}/".replace("//", "/") if camera else (spaces[0] if spaces else "")
    if space not in spaces:
        raise SourceError(f"bag {path} has no topic {space}{MASK}; cameras in it: {', '.join(spaces) or 'none'}")
    names = {f"{space}{name}": name for name in (*FRAME_TOPICS, LABEL_INFO)}
    return {t: n for t, n in {**names, DIAGNOSTICS: DIAGNOSTICS}.items() if t in topics}
