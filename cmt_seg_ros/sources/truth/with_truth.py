"""WithTruth: the frames of a clip with ground truth from elsewhere: label images, instance ids, boxes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping

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
from cmt_seg_ros.structures import U8, U16, Frame, GroundTruth, TrueBoxes

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
        boxes: Feed[TrueBoxes] | None = None,
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
            label = class_ids.find(frame, number) if class_ids else None
            objects = instances.find(frame, number) if instances else None
            true_boxes = boxes.find(frame, number) if boxes else None
            for kind, found in (
                ("class ids", label),
                ("instances", objects),
                ("boxes", true_boxes and any(true_boxes)),
            ):
                self._matched[kind] += bool(found)
            true_ids = self._true_class_ids(frame, label)
            truth = GroundTruth(
                true_ids,
                None if true_ids is None else np.asarray(cv2.LUT(true_ids, self._truth_labels.is_object_lut), np.uint8),
                self._true_instances(frame, objects),
                true_boxes.boxes_px if true_boxes else None,
                other_boxes=true_boxes.others if true_boxes else (),
            )
            yield dataclasses.replace(frame, truth=self._counted(frame, truth))
        matchers: dict[str, Matcher[object] | None] = {"class ids": class_ids, "instances": instances, "boxes": boxes}
        self._list_unused({kind: matcher for kind, matcher in matchers.items() if matcher})

    def _reset(self) -> None:
        self.frames_with_truth = self.frames_without_truth = self.truth_without_frame_count = 0
        self.first_without_truth: list[str] = []
        self.truth_without_frame: list[str] = []
        self._matched, self._unused, self._first_unused = Counter[str](), Counter[str](), dict[str, str]()

    def tell_unmatched(self) -> None:
        """Note as a problem each kind of truth that no frame had, and boxes of frames that the clip does not have."""
        feeds = {"class ids": self._class_ids, "instances": self._instances, "boxes": self._boxes}
        for kind in (kind for kind, feed in feeds.items() if feed):
            count, first = self._unused[kind], self._first_unused.get(kind, "")
            text = f"{self.name}: {count} true {kind}{first and f', such as {first},'} have no frame"
            if kind == "boxes" and count > len(self.lost):  # those of frames that were lost are no wonder
                what = "truth_beyond_clip" if self._matched[kind] else "no_truth_matched"
                ask = "frame 1 is the clip's first. Are file and clip of the same part of a film?"
                self.problems.add(what, f"{text}: {ask}")
            elif kind != "boxes" and not self._matched[kind]:
                ask = "are names or stamps those of the frames? See --tolerance-ms"
                self.problems.add("no_truth_matched", f"{text}, and no frame has any: {ask}")

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

    def _list_unused(self, matchers: Mapping[str, Matcher[object]]) -> None:
        for kind, name in ((kind, name) for kind, matcher in matchers.items() for name in matcher.unused()):
            self.truth_without_frame_count += 1
            self._unused[kind] += 1
            self._first_unused.setdefault(kind, name)
            if len(self.truth_without_frame) < MAX_LISTED:
                self.truth_without_frame.append(name)
