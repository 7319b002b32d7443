"""Feeds of ground truth: a topic of the bag, a folder of label images, a MOTChallenge file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import cv2

from cmt_seg_ros.bags.messages import BagMessage
from cmt_seg_ros.bags.storage import bag_messages
from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.files import files_by_name, read_image
from cmt_seg_ros.images.messages import stamp_ns
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import Source
from cmt_seg_ros.sources.masks import MASK_SUFFIXES
from cmt_seg_ros.sources.truth.boxes import read_boxes
from cmt_seg_ros.sources.truth.images import LabelImage, message_labels
from cmt_seg_ros.sources.truth.matching import ByKey, ByStamp, Matcher, file_stamp_ns
from cmt_seg_ros.structures import TrueBoxes

T_co = TypeVar("T_co", covariant=True)

_PROBED = 64  # frames looked at before it is said how a folder's files are named
_MOST_PROBED = 1000


class Feed(Protocol[T_co]):
    """Ground truth of one kind; it can be read again and again, as its clip."""

    def start(self) -> Matcher[T_co]:
        """Begin another pass."""


class TopicFeed:
    """Label images of a topic, matched by their stamps.

    Args:
        bag: path of the bag.
        topic: of type sensor_msgs/Image or CompressedImage.
        tolerance_ns: see :class:`~cmt_seg_ros.sources.truth.matching.ByStamp`.
        problems: is told of damaged messages.
    """

    def __init__(self, bag: Path, topic: str, tolerance_ns: int, problems: Problems) -> None:
        self._bag, self._topic, self._tolerance_ns, self._problems = bag, topic, tolerance_ns, problems

    def start(self) -> Matcher[LabelImage]:
        """See :class:`Feed`."""
        return ByStamp(self._labels, self._tolerance_ns)

    def _labels(self) -> Iterator[tuple[int, str, LabelImage]]:
        for index, message in enumerate(bag_messages(self._bag, self._topic, self._problems)):
            name = f"bag {self._bag}, topic {self._topic}: message {index}"
            try:
                label_ns = stamp_ns(message.read().header)
            except Exception as error:  # rosbags lets through whatever a damaged message makes numpy or struct raise
                self._problems.add("bad_label", f"{name} is skipped: {error or type(error).__name__}")
                continue
            yield label_ns, f"{self._topic} {label_ns}", LabelImage(name, partial(_load_message, message))


def _load_message(message: BagMessage) -> Pixels:
    try:
        return message_labels(message.read())
    except FrameError:
        raise
    except Exception as error:  # as above
        raise FrameError(str(error)) from error


class FolderFeed:
    """Label images of a folder, matched by their names or by the stamps they are named by.

    Args:
        folder: with lossless images.
        source: the clip. Its first frames are read to see which of names and stamps match more; None: names do.
        tolerance_ns: of stamps.

    Attributes:
        folder: as given.

    Raises:
        SourceError: no such folder, or no image in it.
    """

    def __init__(self, folder: Path, source: Source | None, tolerance_ns: int) -> None:
        self.folder, self._tolerance_ns = folder, tolerance_ns
        self._files = {path.stem: path for path in files_by_name(folder, MASK_SUFFIXES)}
        stamps = ((file_stamp_ns(path), path) for path in self._files.values())
        self._stamps = sorted((stamp, path) for stamp, path in stamps if stamp is not None)
        self._by_stamp = source is not None and bool(self._stamps) and self._probe(source)

    def start(self) -> Matcher[LabelImage]:
        """See :class:`Feed`."""
        if self._by_stamp:
            return self._stamp_matcher()
        images = {stem: _file_label(path) for stem, path in self._files.items()}
        return ByKey(images, lambda frame, _: frame.name, lambda stem: self._files[stem].name)

    def _stamp_matcher(self) -> ByStamp[LabelImage]:
        labels = [(stamp, path.name, _file_label(path)) for stamp, path in self._stamps]
        return ByStamp(lambda: labels, self._tolerance_ns, window=len(self._stamps))

    def _probe(self, source: Source) -> bool:
        """Say whether more frames are matched by stamp than by name."""
        names, stamps, matcher = 0, 0, self._stamp_matcher()
        for index, frame in enumerate(islice(source, _MOST_PROBED)):
            names += frame.name in self._files
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
    return LabelImage(str(path), partial(read_image, path, cv2.IMREAD_UNCHANGED))
