"""WithTruth: the frames of a clip with ground truth from elsewhere: label images, instance ids, boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import cv2
import numpy as np

from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.labels import CAMVID, LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import Source, numbered
from cmt_seg_ros.sources.truth.feeds import Feed
from cmt_seg_ros.sources.truth.images import LabelImage, true_class_ids, true_instance_ids
from cmt_seg_ros.sources.truth.matching import Matcher
from cmt_seg_ros.structures import U8, U16, Box, Frame, GroundTruth

MAX_LISTED = 1000
"""Frames without truth, and truth without a frame, that are named; what comes after them is only counted."""


class WithTruth:
    """Clip whose frames have ground truth, where there is some.

    A frame's stamps, names and pixels stay as they are; truth that the clip has of its own is replaced.

    Args:
        source: the clip.
        class_ids: label images with class ids; None: there are none.
        instances: label images with object ids.
        boxes: boxes of objects.
        truth_labels: what the class ids mean.
        problems: is told of label images that cannot be used: their frames have none of that kind; None: the clip's.

    Attributes:
        name, fps, problems: as of the clip.
        labels: the true classes; None without class ids.
        frames_with_truth: frames that had some, in the current or last iteration.
        frames_without_truth: frames that had none.
        first_without_truth: their names, the first :data:`MAX_LISTED`.
        truth_without_frame: names or stamps of truth that no frame had, the first :data:`MAX_LISTED`; known only when
            the clip has been iterated to its end.
        truth_without_frame_count: how much there was of that.
    """

    def __init__(
        self,
        source: Source,
        class_ids: Feed[LabelImage] | None = None,
        instances: Feed[LabelImage] | None = None,
        boxes: Feed[dict[int, Box]] | None = None,
        truth_labels: LabelSet = CAMVID,
        problems: Problems | None = None,
    ) -> None:
        self._source, self._truth_labels = source, truth_labels
        self._class_ids, self._instances, self._boxes = class_ids, instances, boxes
        self.name, self.fps, self.problems = source.name, source.fps, problems or source.problems
        self.labels: LabelSet | None = None if class_ids is None else truth_labels
        self._reset()

    @property
    def lost(self) -> Mapping[int, str]:
        """Frames that gave nothing, why by their number."""
        return self._source.lost

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[Frame]:
        self._reset()
        class_ids = self._class_ids.start() if self._class_ids else None
        instances = self._instances.start() if self._instances else None
        boxes = self._boxes.start() if self._boxes else None
        for number, frame in numbered(self._source):
            if not isinstance(frame, Frame):
                continue
            true_ids = self._true_class_ids(frame, class_ids.find(frame, number) if class_ids else None)
            truth = GroundTruth(
                true_ids,
                None if true_ids is None else np.asarray(cv2.LUT(true_ids, self._truth_labels.is_object_lut), np.uint8),
                self._true_instances(frame, instances.find(frame, number) if instances else None),
                boxes.find(frame, number) if boxes else None,
            )
            yield dataclasses.replace(frame, truth=self._counted(frame, truth))
        matchers: tuple[Matcher[object] | None, ...] = (class_ids, instances, boxes)
        self._list_unused(chain.from_iterable(matcher.unused() for matcher in matchers if matcher))

    def _reset(self) -> None:
        self.frames_with_truth = self.frames_without_truth = self.truth_without_frame_count = 0
        self.first_without_truth: list[str] = []
        self.truth_without_frame: list[str] = []

    def _true_class_ids(self, frame: Frame, label: LabelImage | None) -> U8 | None:
        image = self._load(label)
        if label is None or image is None:
            return None
        return true_class_ids(image, label.name, frame.size, self._truth_labels, self.problems)

    def _true_instances(self, frame: Frame, label: LabelImage | None) -> U16 | None:
        image = self._load(label)
        if label is None or image is None:
            return None
        return true_instance_ids(image, label.name, frame.size, self.problems)

    def _load(self, label: LabelImage | None) -> Pixels | None:
        try:
            return None if label is None else label.load()
        except CmtSegError as error:
            assert label is not None  # None has not been loaded
            self.problems.add("bad_label", f"{label.name} cannot be used: {error}")
            return None

    def _counted(self, frame: Frame, truth: GroundTruth) -> GroundTruth | None:
        """Return the truth and count it; None, and noted, if nothing is in it."""
        if truth.class_ids is not None or truth.instance_ids is not None or truth.boxes_px is not None:
            self.frames_with_truth += 1
            return truth
        self.frames_without_truth += 1
        if len(self.first_without_truth) < MAX_LISTED:
            self.first_without_truth.append(frame.name)
        return None

    def _list_unused(self, names: Iterable[str]) -> None:
        for name in names:
            self.truth_without_frame_count += 1
            if len(self.truth_without_frame) < MAX_LISTED:
                self.truth_without_frame.append(name)
