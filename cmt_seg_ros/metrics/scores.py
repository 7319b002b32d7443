"""Scores of masks and tracks as functions of sums over frames: one formula each, for frames, runs and resampled frames.

What is summed is called a statistic. Its shape, with C classes:

    result       (2,)     frames with a result, frames
    pixels       (3, C)   right, true, predicted pixels of each class
    boundary     (2, C)   sum of the boundary F-scores of each class, frames in which it has one
    objects      (3, 2)   as pixels, of the two classes no object and object
    calibration  (15, 3)  pixels, sum of their confidences, right pixels of each bin of confidence
    temporal     (2,)     agreeing, compared pixels
    hota         (5, 19)  as of :func:`cmt_seg_ros.metrics.tracking.hota_parts`
    clear        (4,)     TP, FN, FP, identity switches
    identity     (3,)     IDTP, IDFN, IDFP
    panoptic     (C, 4)   sum of IoU, TP, FP, FN of each class

Every function takes an array of shape (..., shape of its statistic), with any axes in front, and returns float64 of
shape (...), or (..., C) where its name begins with ``class_``: 0-1, nan where the score is not defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import F64

Sums = npt.NDArray[Any]

SHARE, COUNT = "%", ""
"""Units as they are shown. A share is 0-1 in files and arrays, and % or % points where people see it."""
CLASS_IOU = "class_iou."
"""What names of scores of one class begin with."""


@dataclass(frozen=True)
class Score:
    """A score that is a function of one statistic.

    Attributes:
        name: as in summary.json where it is there, too.
        title: in words.
        statistic: name of the statistic.
        score: the function; see the top of this file.
        unit: SHARE or COUNT.
        higher_is_better: or else lower is.
    """

    name: str
    title: str
    statistic: str
    score: Callable[[Sums], F64]
    unit: str = SHARE
    higher_is_better: bool = True


def statistic_shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each statistic by its name."""
    return {
        "result": (2,),
        "pixels": (3, classes),
        "boundary": (2, classes),
        "objects": (3, 2),
        "calibration": (15, 3),
        "temporal": (2,),
        "hota": (5, 19),
        "clear": (4,),
        "identity": (3,),
        "panoptic": (classes, 4),
    }


def ratio(part: Sums, whole: Sums) -> F64:
    """Return part over whole, nan where the whole is nothing."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def mean_known(values: F64) -> F64:
    """Return the mean over the last axis of what is not nan; nan where nothing is."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def class_iou(pixels: Sums) -> F64:
    """Return the intersection over union of each class; nan for one that is neither true nor predicted."""
    right, true, predicted = np.moveaxis(pixels, -2, 0)
    return ratio(right, true + predicted - right)


def class_precision(pixels: Sums) -> F64:
    """Return the share of the pixels given to each class that are of it."""
    return ratio(pixels[..., 0, :], pixels[..., 2, :])


def class_recall(pixels: Sums) -> F64:
    """Return the share of the pixels of each class that were given to it."""
    return ratio(pixels[..., 0, :], pixels[..., 1, :])


def mean_iou(pixels: Sums) -> F64:
    """Return the mean IoU over the classes that occur."""
    return mean_known(class_iou(pixels))


def pixel_accuracy(pixels: Sums) -> F64:
    """Return the share of the labelled pixels whose class is right."""
    return ratio(pixels[..., 0, :].sum(axis=-1), pixels[..., 1, :].sum(axis=-1))


def class_boundary_f(boundary: Sums) -> F64:
    """Return the boundary F-score of each class, mean over the frames where the class has a boundary."""
    return ratio(boundary[..., 0, :], boundary[..., 1, :])


def mean_boundary_f(boundary: Sums) -> F64:
    """Return the mean of :func:`class_boundary_f` over the classes that have one."""
    return mean_known(class_boundary_f(boundary))


def expected_calibration_error(calibration: Sums) -> F64:
    """Return the mean distance of confidence and accuracy over the bins, weighted by pixels; 0 is best."""
    pixels, confidence, right = np.moveaxis(calibration, -1, 0)
    # A bin's distance of means, times its pixels, is the distance of its sums.
    return ratio(np.abs(confidence - right).sum(axis=-1), pixels.sum(axis=-1))


def share(parts: Sums) -> F64:
    """Return the first over the second: the temporal agreement, or the share of frames with a result."""
    return ratio(parts[..., 0], parts[..., 1])


def det_a_alpha(hota: Sums) -> F64:
    """Return (..., 19), detection accuracy (a Jaccard index) at each threshold; 0 where there is nothing to detect."""
    tp, fn, fp = np.moveaxis(hota[..., :3, :], -2, 0)
    return np.asarray(tp / np.maximum(1, tp + fn + fp), np.float64)


def ass_a_alpha(hota: Sums) -> F64:
    """Return (..., 19), association accuracy, mean over the matches at each threshold; 0 where there is none."""
    return np.asarray(hota[..., 3, :] / np.maximum(1, hota[..., 0, :]), np.float64)


def det_a(hota: Sums) -> F64:
    """Return the detection accuracy, mean over the thresholds; nan without true objects and tracks."""
    return _over_thresholds(hota, det_a_alpha(hota))


def ass_a(hota: Sums) -> F64:
    """Return the association accuracy, mean over the thresholds; nan without true objects and tracks."""
    return _over_thresholds(hota, ass_a_alpha(hota))


def hota(hota: Sums) -> F64:
    """Return the mean over the thresholds of sqrt(DetA x AssA); nan without true objects and tracks."""
    return _over_thresholds(hota, np.sqrt(det_a_alpha(hota) * ass_a_alpha(hota)))


def resampled_hota(sums: Sums) -> F64:
    """Return the HOTA of frames that were drawn: to first order what matching over the draw alone would give."""
    # The derivative stands for the sum of the association accuracies; see hota_parts.
    association = np.maximum(0, sums[..., 4:5, :])
    return hota(np.concatenate([sums[..., :3, :], association], axis=-2))


def _over_thresholds(hota: Sums, values: F64) -> F64:
    return np.where(hota[..., :3, :].any(axis=(-2, -1)), values.mean(axis=-1), np.nan)


def mota(clear: Sums) -> F64:
    """Return 1 - (FN + FP + switches) / truth: 1 is perfect, below 0 is possible, nan without true objects."""
    tp, fn, fp, switches = np.moveaxis(clear, -1, 0)
    return ratio(tp - fp - switches, tp + fn)


def idf1(identity: Sums) -> F64:
    """Return the share of detections with the right identity (an F1 score); nan without true objects and tracks."""
    idtp, idfn, idfp = np.moveaxis(identity, -1, 0)
    return ratio(idtp, idtp + 0.5 * idfn + 0.5 * idfp)


def class_sq(panoptic: Sums) -> F64:
    """Return the segmentation quality of each class: the mean IoU of its matches, 0 without a match."""
    sum_iou, tp, fp, fn = np.moveaxis(panoptic, -1, 0)
    return np.where(tp + fp + fn > 0, sum_iou / np.maximum(tp, 1), np.nan)


def class_rq(panoptic: Sums) -> F64:
    """Return the recognition quality of each class, an F1 score of its segments."""
    _, tp, fp, fn = np.moveaxis(panoptic, -1, 0)
    return ratio(tp, tp + (fp + fn) / 2)


def class_pq(panoptic: Sums) -> F64:
    """Return the panoptic quality of each class, SQ x RQ."""
    quality: F64 = class_sq(panoptic) * class_rq(panoptic)
    return quality


def panoptic_quality(panoptic: Sums) -> F64:
    """Return the mean panoptic quality over the classes that occur."""
    return mean_known(class_pq(panoptic))


SCORES = (
    Score("mean_iou", "Mean IoU", "pixels", mean_iou),
    Score("pixel_accuracy", "Pixel accuracy", "pixels", pixel_accuracy),
    Score("mean_boundary_f", "Boundary F", "boundary", mean_boundary_f),
    Score("objectness_iou", "Objectness IoU", "objects", lambda s: class_iou(s)[..., 1]),
    Score("objectness_precision", "Objectness precision", "objects", lambda s: class_precision(s)[..., 1]),
    Score("objectness_recall", "Objectness recall", "objects", lambda s: class_recall(s)[..., 1]),
    Score("ece", "Calibration error", "calibration", expected_calibration_error, higher_is_better=False),
    Score("temporal_agreement", "Temporal agreement", "temporal", share),
    Score("hota", "HOTA", "hota", resampled_hota),
    Score("idf1", "IDF1", "identity", idf1),
    Score("mota", "MOTA", "clear", mota),
    Score("id_switches", "Identity switches", "clear", lambda s: s[..., 3], COUNT, higher_is_better=False),
    Score("pq", "Panoptic quality", "panoptic", panoptic_quality),
    Score("result_share", "Frames with a result", "result", share),
)
"""What `cmt-seg compare` judges."""


def all_scores(classes: Sequence[str]) -> tuple[Score, ...]:
    """Return all scores of runs with these classes: the main ones first, then each class's IoU."""
    of_classes = (
        Score(CLASS_IOU + name, f"IoU of {name}", "pixels", lambda s, i=i: class_iou(s)[..., i])  # type: ignore[misc]
        for i, name in enumerate(classes)
    )
    return (*SCORES, *of_classes)
