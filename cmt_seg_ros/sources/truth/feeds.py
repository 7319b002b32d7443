"""Feeds of ground truth: a topic of the bag, a folder of label images, a MOTChallenge file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from cmt_seg_ros.bags.messages import BagMessage
from cmt_seg_ros.bags.storage import bag_messages
from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.files import MASK_SUFFIXES, files_by_name
from cmt_seg_ros.images.label_images import read_labels
from cmt_seg_ros.images.messages import stamp_ns
from cmt_seg_ros.images.pairing import pair
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.bag import BagSource
from cmt_seg_ros.sources.clip import Source, numbered
from cmt_seg_ros.sources.truth.boxes import read_boxes
from cmt_seg_ros.sources.truth.images import LabelImage, message_labels
from cmt_seg_ros.sources.truth.matching import ByKey, ByStamp, Matcher, file_stamp_ns
from cmt_seg_ros.structures import Frame, TrueBoxes

T_co = TypeVar("T_co", covariant=True)

_PROBED = 64  # frames looked at before it is said how a folder's files are named
_MOST_PROBED = 1000


class Feed(Protocol[T_co]):
    """Ground truth of one kind; it can be read again and again, as its clip."""

    def start(self) -> Matcher[T_co]:
        """Begin another pass."""


class TopicFeed:
    """Label images of a topic, matched by their stamps.

    Those without a stamp are matched by the time when they were recorded, as the images are. If the images have none
    either, label and image may be up to half a period apart: nobody records both at the same time.

    Args:
        source: the images; its problems are told of damaged messages.
        topic: of the same bag, of type sensor_msgs/Image or CompressedImage.
        tolerance_ns: see :class:`~cmt_seg_ros.sources.truth.matching.ByStamp`.
    """

    def __init__(self, source: BagSource, topic: str, tolerance_ns: int) -> None:
        self._source, self._bag, self._problems = source, source.path, source.problems
        self._topic, self._tolerance_ns = topic, tolerance_ns

    def start(self) -> Matcher[LabelImage]:
        """See :class:`Feed`."""
        half_ns = 0 if self._source.has_stamps or self._has_stamps() else round(0.5e9 / self._source.fps) - 1
        return ByStamp(self._labels, max(self._tolerance_ns, half_ns))

    def _has_stamps(self) -> bool:
        """Tell whether the first label that can be read has a stamp."""
        for message in bag_messages(self._bag, self._topic, self._problems):
            with suppress(Exception):  # as below
                return stamp_ns(message.read().header) != 0
        return True

    def _labels(self) -> Iterator[tuple[int, str, LabelImage]]:
        stamps = self._source.receipt_stamps()
        for index, message in enumerate(bag_messages(self._bag, self._topic, self._problems)):
            name = f"bag {self._bag}, topic {self._topic}: message {index}"
            try:
                own_ns = stamp_ns(message.read().header)
                label_ns = stamps.stamp_ns(own_ns, message.received_ns)
            except Exception as error:  # rosbags lets through whatever a damaged message makes numpy or struct raise
                self._problems.add("bad_label", f"{name} is skipped: {error or type(error).__name__}")
                continue
            if label_ns != own_ns:
                text = "a label has no stamp; it is matched by the time of recording (said once)"
                self._problems.add("no_stamp", f"bag {self._bag}, topic {self._topic}: {text}")
            yield label_ns, f"{self._topic} {label_ns}", LabelImage(name, partial(_load_message, message))


def _load_message(message: BagMessage) -> Pixels:
    try:
        return message_labels(message.read())
    except FrameError:
        raise
    except Exception as error:  # as above
        raise FrameError(str(error)) from error


class FolderFeed:
    """Label images of a folder, matched by their names or numbers, or by the stamps they are named by.

    Args:
        folder: with lossless images.
        frames: as :func:`~cmt_seg_ros.images.pairing.pair` takes them.
        source: the clip. Its first frames are read to see which of names and stamps match more; None: names do.
        tolerance_ns: of stamps.

    Attributes:
        folder: as given.

    Raises:
        SourceError: no such folder, no image in it, or two that differ in their suffix only.
    """

    def __init__(self, folder: Path, frames: Sequence[str] | int, source: Source | None, tolerance_ns: int) -> None:
        self.folder, self._tolerance_ns = folder, tolerance_ns
        files = files_by_name(folder, MASK_SUFFIXES)
        self._pairs = pair(frames, files)
        paired = set(self._pairs.values())
        self._others = [path for path in files if path not in paired]
        stamps = ((file_stamp_ns(path), path) for path in files)
        self._stamps = sorted((stamp, path) for stamp, path in stamps if stamp is not None)
        self._by_stamp = source is not None and bool(self._stamps) and self._probe(source)

    def start(self) -> Matcher[LabelImage]:
        """See :class:`Feed`."""
        if self._by_stamp:
            return self._stamp_matcher()
        # No frame asks for the labels under negative keys: they are there to be named as unused.
        files = {**self._pairs, **{-1 - k: path for k, path in enumerate(self._others)}}
        labels = {key: _file_label(path) for key, path in files.items()}
        return ByKey(labels, lambda _, number: number, lambda key: files[key].name)

    def _stamp_matcher(self) -> ByStamp[LabelImage]:
        labels = [(stamp, path.name, _file_label(path)) for stamp, path in self._stamps]
        return ByStamp(lambda: labels, self._tolerance_ns, window=len(self._stamps))

    def _probe(self, source: Source) -> bool:
        """Say whether more frames are matched by stamp than by name."""
        names, stamps, matcher = 0, 0, self._stamp_matcher()
        for index, frame in islice(numbered(source), _MOST_PROBED):
            if not isinstance(frame, Frame):
                continue
            names += index in self._pairs
            stamps += matcher.find(frame, index) is not None
            if index >= _PROBED - 1 and (names or stamps):
                break
        return stamps > names


class BoxFeed:
    """Boxes of a MOTChallenge file: frame 1 is the clip's first; frames that the file does not name show no object.

    Args:
        path: the file.
        problems: is told of lines that cannot be used.
        classes: names of the classes that count; none: see :func:`~cmt_seg_ros.sources.truth.boxes.read_boxes`.

    Raises:
        SourceError: the file cannot be read, or has lines of which none can be used.
    """

    def __init__(self, path: Path, problems: Problems, classes: Collection[str] = ()) -> None:
        self._boxes = read_boxes(path, problems, classes)

    def start(self) -> Matcher[TrueBoxes]:
        """See :class:`Feed`."""
        nothing = TrueBoxes({}, [])
        return ByKey(self._boxes, lambda _, number: number + 1, lambda number: f"frame {number}", missing=nothing)


def _file_label(path: Path) -> LabelImage:
    return LabelImage(str(path), partial(read_labels, path))
