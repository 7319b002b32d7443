"""Panoptic quality: are the right segments found (RQ), and how well do they fit (SQ); PQ = SQ x RQ.

Kirillov, He, Girshick, Rothe and Dollár, "Panoptic Segmentation", CVPR 2019. A true and a predicted segment of one
class match if their IoU is over 0.5. Segments are:

- of a class that is no object ("stuff"): all its pixels;
- of a class that is an object ("thing"): its pixels of one instance. Those without an instance (id 0) are one segment
  too, of the truth and of the prediction, as in torchmetrics' ``PanopticQuality``;
- a track has one class, its mask need not: a predicted instance is of the class that most of its object pixels have.
  Where its pixels are of no object class, they are of the stuff that the mask says.

What is unlabelled in the truth does not count: those pixels are taken out of the predicted segments, and a predicted
segment of which they are more than half is not wrong. What is unlabelled in the prediction is missed, as in the paper;
torchmetrics takes such pixels out of the true segments. Otherwise scores are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics import scores
from cmt_seg_ros.structures import F64, U8

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Instances = npt.NDArray[np.unsignedinteger]
Part = tuple[int, float, int, int, int]
"""Of one class: its id, sum of the IoU of its matches, matches, predicted segments too many, true ones missed."""


@dataclass(frozen=True)
class PanopticQuality:
    """Panoptic, segmentation and recognition quality, 0-1.

    Attributes:
        pq, sq, rq: means over the classes that occur; nan when none does.
        class_pq, class_sq, class_rq: (C,) float64; nan for a class that does not occur.
    """

    pq: float
    sq: float
    rq: float
    class_pq: F64
    class_sq: F64
    class_rq: F64


def panoptic_parts(
    truth_ids: U8, truth_instances: Instances, ids: U8, instances: Instances, labels: LabelSet
) -> list[Part]:
    """Match the segments of one frame.

    Args:
        truth_ids: (H, W) uint8, true class ids, 255 = not counted.
        truth_instances: (H, W) unsigned integers, true object id per pixel, 0 = none.
        ids: (H, W) uint8, predicted class ids, 255 = unlabelled.
        instances: (H, W) unsigned integers, track id per pixel, 0 = none.
        labels: what the class ids mean, and which are objects; other ids are taken for 255.

    Returns:
        A row for each class with a segment that counts, true or predicted, ascending; they add up over frames.

    Raises:
        ValueError: the shapes differ.
    """
    images = truth_ids, truth_instances, ids, instances
    if any(image.shape != truth_ids.shape for image in images):
        raise ValueError(f"the four images are {', '.join(str(i.shape) for i in images)}; all must have one shape")
    unlabelled = len(labels)
    rows, row_class = _segments(truth_ids, truth_instances, labels)
    columns, column_class = _segments(ids, instances, labels, one_class=True)
    # Pixels that each true and each predicted segment have in common.
    shape = len(row_class), len(column_class)
    joint = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    true_area, area, ignored = joint.sum(axis=1), joint.sum(axis=0), joint[unlabelled]
    union = true_area[:, None] + (area - ignored) - joint
    match = (row_class[:, None] == column_class) & (2 * joint > union)
    match[unlabelled] = False  # of what is unlabelled in both, the union is nothing
    wrong = (area > 0) & (2 * ignored <= area) & ~match.any(axis=0)
    missed = (true_area > 0) & ~match.any(axis=1)
    row, column = np.nonzero(match)
    sum_iou = np.bincount(row_class[row], joint[row, column] / union[row, column], unlabelled)
    counts = [np.bincount(c, minlength=unlabelled) for c in (row_class[row], column_class[wrong], row_class[missed])]
    parts = zip(range(unlabelled), sum_iou.tolist(), *(c.tolist() for c in counts), strict=False)
    return [part for part in parts if any(part[2:])]


def panoptic_quality(totals: F64) -> PanopticQuality:
    """Return the panoptic quality of a frame or of many.

    Args:
        totals: (C, 4) float64, for each class the sum of IoU, matches, wrong and missed segments: the rows of
            :func:`panoptic_parts`, added up.

    Returns:
        The quality of each class and the means. A class that is never matched has 0 in all three, also in SQ.
    """
    pq, sq, rq = scores.class_pq(totals), scores.class_sq(totals), scores.class_rq(totals)
    means = [float(scores.mean_known(quality)) for quality in (pq, sq, rq)]
    return PanopticQuality(means[0], means[1], means[2], pq, sq, rq)


def _segments(ids: U8, instances: Instances, labels: LabelSet, one_class: bool = False) -> tuple[I32, I64]:
    """Number the segments of an image.

    Args:
        ids: (H, W) uint8, class ids.
        instances: (H, W) unsigned integers, object ids, 0 = none.
        labels: what the class ids mean.
        one_class: give all object pixels of an instance the class that most of them have.

    Returns:
        (H * W,) int32 segment of each pixel, and (N,) int64 class of each segment: first come one for each class and
        one for what is unlabelled, then those of the object classes by instance.
    """
    known = len(labels)
    segments = np.asarray(cv2.LUT(ids, np.minimum(np.arange(256), known).astype(np.int32)), np.int32).ravel()
    # Most pixels show no object: instances are looked at only where one is.
    at = np.flatnonzero(cv2.LUT(ids, labels.is_object_lut) != 0)
    numbers, index = _dense(instances.ravel().take(at))
    pairs = index * known + segments.take(at)
    if one_class:
        votes = np.bincount(pairs, minlength=len(numbers) * known).reshape(-1, known)
        pairs = np.where(numbers[index] == 0, pairs, index * known + votes.argmax(axis=1)[index])
    used, pair_index = _dense(pairs)
    segments[at] = known + 1 + pair_index
    return segments, np.concatenate([np.arange(known + 1), used % known])


def _dense(values: npt.NDArray[np.integer]) -> tuple[I64, I64]:
    """Return the values in use, ascending, and for each value its index: np.unique, but in linear time."""
    used = np.zeros(int(values.max(initial=0)) + 1, bool)
    used[values] = True
    return np.flatnonzero(used), (np.cumsum(used) - 1).take(values)
