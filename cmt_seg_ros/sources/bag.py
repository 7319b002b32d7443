"""Frames of an image topic of a bag: rosbag2 folder, .mcap or .db3 file, ROS 1 .bag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from statistics import median

from cmt_seg_ros.bags.messages import BagMessage
from cmt_seg_ros.bags.storage import BagTopic, bag_messages, bag_topics, camera_names
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.images.messages import frame_from_message, stamp_ns
from cmt_seg_ros.images.pixels import decoded
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import DEFAULT_FPS
from cmt_seg_ros.stamps import UNSET, ReceiptStamps
from cmt_seg_ros.structures import Frame

_SAMPLE = 64  # messages read to learn the rate
_MAX_FPS = 1000.0
_LISTED = 20  # topics named in an error: a robot has hundreds


class BagSource:
    """The images of one topic, stamped by their headers or, without a stamp, by the time when they were recorded.

    Whatever can be read of a damaged bag is read. A frame is named by the number of its message, so that those after a
    damaged one keep their names. Compressed images are decoded here, in the thread that reads: only that shows which
    are damaged. The file itself is in ``Frame.decoded_from``.

    Args:
        path: a rosbag2 folder, a single .mcap or .db3 file, or a ROS 1 .bag.
        topic: of type sensor_msgs/Image or sensor_msgs/CompressedImage; empty: the first of :func:`camera_topics`.
        camera: name the frames carry.
        problems: is told of each damage.
        max_image_px: compressed images of more pixels are lost (``too_large``).

    Attributes:
        path: of the bag.
        name: the bag's name.
        topic: the topic that is read.
        image_topics: names of all topics with images, cameras' and others.
        has_stamps: whether any of the first messages has one.
        fps: median rate of the first messages that can be read, by their stamps; 15 where these say nothing.
        labels: None, see :class:`~cmt_seg_ros.sources.truth.with_truth.WithTruth`.
        problems: what was wrong with the bag so far.
        lost: messages that gave no frame in the current or last iteration, why by number: "malformed" or another
            ``FrameError.reason``.

    Raises:
        SourceError: no such bag, nothing in it can be read, no topic of a camera, no such topic, no message on it that
            can be read; while iterating: no message of the topic has an image that can be read.
    """

    labels: LabelSet | None = None

    def __init__(
        self,
        path: str | Path,
        topic: str = "",
        camera: str = "camera",
        problems: Problems | None = None,
        max_image_px: int = SegmentationConfig.max_image_px,
    ) -> None:
        self.path, self._camera, self._max_image_px = Path(path), camera, max_image_px
        self.name = self.path.resolve().name
        self.problems, self.lost = problems or Problems(), dict[int, str]()
        topics = bag_topics(self.path, self.problems)
        self.topic = _checked(topics, topic, self.path) if topic else _cameras(self.path, topics, self.problems)[0].name
        self.image_topics = tuple(t.name for t in topics if t.is_image)
        self._length = sum(t.count for t in topics if t.name == self.topic)
        stamps = self._first_stamps()
        self._first_set_ns = next((header_ns for _, header_ns, _ in stamps if header_ns), 0)
        self.has_stamps = self._first_set_ns != 0
        rule = self.receipt_stamps()
        self.fps = _rate([(i, rule.stamp_ns(header_ns, received_ns)) for i, header_ns, received_ns in stamps])

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        self.lost, stamps = {}, self.receipt_stamps()
        found, first = False, "it has no message"
        for index, message in enumerate(bag_messages(self.path, self.topic, self.problems)):
            try:
                frame = self._frame(index, message, stamps)
            except FrameError as error:
                first = self._lose(index, error, error.reason)
            except Exception as error:  # rosbags lets through whatever a damaged message makes numpy or struct raise
                first = self._lose(index, error, "malformed")
            else:
                found = True
                yield frame
        if not found:
            raise SourceError(f"topic {self.topic} of bag {self.path} has no image that can be read; {first}")

    def receipt_stamps(self) -> ReceiptStamps:
        """Return the rule for messages without a stamp, which knows already what clock the camera's stamps are of."""
        stamps = ReceiptStamps()
        stamps.stamp_ns(self._first_set_ns, 0)
        return stamps

    def _frame(self, index: int, message: BagMessage, stamps: ReceiptStamps) -> Frame:
        image = message.read()
        frame = decoded(frame_from_message(image, self._camera), self._max_image_px)
        taken_ns = stamps.stamp_ns(frame.stamp_ns, message.received_ns)
        if taken_ns != frame.stamp_ns:
            self.problems.add("no_stamp", f"bag {self.path}, topic {self.topic}: an image {UNSET} (said once)")
        return replace(frame, stamp_ns=taken_ns, name=f"{index:06d}")

    def _lose(self, index: int, error: Exception, reason: str) -> str:
        """Note a message that gives no frame; return the sentence that tells of it."""
        self.lost[index] = reason
        text = f"message {index} is skipped: {error or type(error).__name__}"
        kind = reason if reason in ("bad_encoding", "too_large") else "damaged_message"
        self.problems.add(kind, f"bag {self.path}, topic {self.topic}: {text}")
        return text

    def _first_stamps(self) -> list[tuple[int, int, int]]:
        """Return of the first messages that can be read: number, stamp of the header, stamp of the recording (ns)."""
        stamps = list(islice(self._stamps(), _SAMPLE))
        if not stamps:
            raise SourceError(f"topic {self.topic} of bag {self.path} has no message that can be read{self._reason()}")
        return stamps

    def _reason(self) -> str:
        """Say why the first message cannot be read."""
        for message in bag_messages(self.path, self.topic, self.problems):
            try:
                message.read()
            except Exception as error:  # as above
                return f"; of the first one: {error or type(error).__name__}"
        return ""

    def _stamps(self) -> Iterator[tuple[int, int, int]]:
        for index, message in enumerate(bag_messages(self.path, self.topic, self.problems)):
            try:
                header_ns = stamp_ns(message.read().header)
            except Exception:  # as above; said when the frames are read
                continue
            yield index, header_ns, message.received_ns


def _rate(stamps: list[tuple[int, int]]) -> float:
    """Return the frames per second, from numbers of messages and their stamps in ns: damaged ones between count.

    The median over neighbours: single stamps may be far off.
    """
    pairs = pairwise(stamps)
    rates = [(n - m) * 1e9 / (end - begin) for (m, begin), (n, end) in pairs if end > begin]
    fps = median(rates) if rates else 0.0
    return fps if 0 < fps <= _MAX_FPS else DEFAULT_FPS


def camera_topics(path: Path, problems: Problems) -> list[BagTopic]:
    """List the topics of a bag that have a camera's pictures, by name; tell of other images, which are left out.

    Those that are a camera's by their names, unless their first message has an encoding of depth or the like.

    Args:
        path: of the bag.
        problems: is told of each damage.

    Raises:
        SourceError: no such bag, nothing in it can be read, or it has no such topic.
    """
    return _cameras(path, bag_topics(path, problems), problems)


def _cameras(path: Path, topics: list[BagTopic], problems: Problems) -> list[BagTopic]:
    """Return what :func:`camera_topics` does, of topics that are known already."""
    depth = {t: why for t in camera_names(topics) if (why := _why_no_picture(path, t, problems))}
    cameras = [t for t in camera_names(topics) if t not in depth]
    if not cameras:
        there = [f"{t}: {depth[t]}" if t in depth else t for t in topics]
        raise SourceError(f"bag {path} has no topic with camera images; it has: {_listed(there)}")
    out = [f"{t}: {why}" for t, why in depth.items()]
    out += [f"{t}: only messages of ROS are read" for t in topics if t.count and not t.readable]
    if out:
        problems.note(f"bag {path}: not read as cameras: {_listed(out)}")
    return cameras


def _why_no_picture(path: Path, topic: BagTopic, problems: Problems) -> str:
    """Say why the first message of a topic that can be read is no picture; empty: it is one, or none can be read."""
    for message in islice(bag_messages(path, topic.name, problems), _SAMPLE):
        try:
            frame_from_message(message.read(), "")
        except FrameError as error:
            if error.reason == "bad_encoding":
                return str(error).partition("; supported")[0]
        except Exception:  # said when the frames are read
            continue
        else:
            break
    return ""


def _listed(topics: Sequence[object]) -> str:
    more = f" and {len(topics) - _LISTED} more" if len(topics) > _LISTED else ""
    return ", ".join(map(str, topics[:_LISTED])) + more or "nothing"


def _checked(topics: list[BagTopic], topic: str, path: Path) -> str:
    """Return the topic if it has images.

    Raises:
        SourceError: it has not, or it is not in the bag.
    """
    if any(t.is_image for t in topics if t.name == topic):
        return topic
    other = next((t for t in topics if t.name == topic), None)
    what = f"is not an image: {other}" if other else "is not in it"
    images = ", ".join(t.name for t in topics if t.is_image)
    there = f"image topics: {images}" if images else f"it has no images, only {_listed(topics)}"
    raise SourceError(f"topic {topic} of bag {path} {what}; {there}")
