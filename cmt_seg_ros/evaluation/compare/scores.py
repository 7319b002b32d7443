"""The figures that `cmt-seg compare` judges: each is a function of sums over frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import F64

SHARE, COUNT, MS, PER_S = "%", "", "ms", "/s"
"""Units as they are shown. A share is 0-1 in files and arrays, and % or % points where people see it."""

CLASS_IOU = "class_iou."


@dataclass(frozen=True)
class Score:
    """One score.

    Attributes:
        name: as in summary.json where it is there, too.
        title: in words.
        statistic: which sums it is made of, a key of :data:`SHAPES`.
        score: (..., shape of the statistic) float64, sums over frames -> (...) float64; nan where it is not defined.
        unit: one of SHARE, COUNT, MS, PER_S.
        higher_is_better: or else lower is.
    """

    name: str
    title: str
    statistic: str
    score: Callable[[F64], F64]
    unit: str = SHARE
    higher_is_better: bool = True


def shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """What each frame contributes, by name of the statistic, and its shape.

    result: frames with a result, frames. pixels: right, true, predicted, of each class. boundary: sum of the F-scores,
    frames that have it, of each class. objects: right, true, predicted object pixels. calibration: 15 bins of pixels,
    sum of confidence, right. temporal: agreeing, compared pixels. hota, clear, identity: as of
    :mod:`cmt_seg_ros.metrics.tracking`. panoptic: sum of IoU, TP, FP, FN, of each class.
    """
    return {
        "result": (2,),
        "pixels": (3, classes),
        "boundary": (2, classes),
        "objects": (3,),
        "calibration": (15, 3),
        "temporal": (2,),
        "hota": (5, 19),
        "clear": (4,),
        "identity": (3,),
        "panoptic": (4, classes),
    }


def all_scores(classes: Sequence[str]) -> tuple[Score, ...]:
    """All figures of runs with these classes, the main ones first, then each class's IoU."""
    of_classes = (
        Score(CLASS_IOU + name, f"IoU of {name}", "pixels", lambda s, i=i: _class_iou(s)[..., i])  # type: ignore[misc]
        for i, name in enumerate(classes)
    )
    return (*_MAIN, *of_classes)


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> F64:
    """Part over whole, nan where the whole is nothing."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _mean_known(values: F64) -> F64:
    """Mean over the last axis of what is not nan; nan where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _class_iou(pixels: F64) -> F64:
    """(..., C): intersection over union of each class."""
    right, true, predicted = np.moveaxis(pixels, -2, 0)
    return _ratio(right, true + predicted - right)


def _mean_iou(pixels: F64) -> F64:
    return _mean_known(_class_iou(pixels))


def _pixel_accuracy(pixels: F64) -> F64:
    return _ratio(pixels[..., 0, :].sum(axis=-1), pixels[..., 1, :].sum(axis=-1))


def _calibration_error(bins: F64) -> F64:
    """Expected calibration error: |confidence - accuracy| over the bins, each with the weight of its pixels."""
    pixels, confidence, right = np.moveaxis(bins, -1, 0)
    return _ratio(np.abs(confidence - right).sum(axis=-1), pixels.sum(axis=-1))


def _hota(sums: F64) -> F64:
    """HOTA of a draw: its association is to first order what matching over the draw alone would give."""
    tp, fn, fp, _, association = np.moveaxis(sums, -2, 0)
    return _mean_geometric(tp, fn, fp, np.maximum(0, association))


def _frame_hota(sums: F64) -> F64:
    """HOTA of single frames: how well tracks fit over the whole sequence counts where they are matched."""
    return _mean_geometric(*np.moveaxis(sums, -2, 0)[:4])


def _mean_geometric(tp: F64, fn: F64, fp: F64, association: F64) -> F64:
    det_a = tp / np.maximum(1, tp + fn + fp)
    score: F64 = np.sqrt(det_a * association / np.maximum(1, tp)).mean(axis=-1)
    return np.where((tp + fn + fp).any(axis=-1), score, np.nan)


def _mota(clear: F64) -> F64:
    tp, fn, fp, switches = np.moveaxis(clear, -1, 0)
    # Misses, inventions and switches can be more than the truth: a ratio that may be negative.
    return _ratio(tp - fp - switches, tp + fn)


def _idf1(identity: F64) -> F64:
    idtp, idfn, idfp = np.moveaxis(identity, -1, 0)
    return _ratio(idtp, idtp + 0.5 * idfn + 0.5 * idfp)


def _panoptic_quality(parts: F64) -> F64:
    iou, tp, fp, fn = np.moveaxis(parts, -2, 0)
    return _mean_known(_ratio(iou, tp + 0.5 * fp + 0.5 * fn))


_MAIN = (
    Score("mean_iou", "Mean IoU", "pixels", _mean_iou),
    Score("pixel_accuracy", "Pixel accuracy", "pixels", _pixel_accuracy),
    Score("mean_boundary_f", "Boundary F", "boundary", lambda s: _mean_known(_ratio(s[..., 0, :], s[..., 1, :]))),
    Score("objectness_iou", "Objectness IoU", "objects", lambda s: _ratio(s[..., 0], s[..., 1:].sum(-1) - s[..., 0])),
    Score("objectness_precision", "Objectness precision", "objects", lambda s: _ratio(s[..., 0], s[..., 2])),
    Score("objectness_recall", "Objectness recall", "objects", lambda s: _ratio(s[..., 0], s[..., 1])),
    Score("ece", "Calibration error", "calibration", _calibration_error, higher_is_better=False),
    Score("temporal_agreement", "Temporal agreement", "temporal", lambda s: _ratio(s[..., 0], s[..., 1])),
    Score("hota", "HOTA", "hota", _hota),
    Score("idf1", "IDF1", "identity", _idf1),
    Score("mota", "MOTA", "clear", _mota),
    Score("id_switches", "Identity switches", "clear", lambda s: s[..., 3], COUNT, higher_is_better=False),
    Score("pq", "Panoptic quality", "panoptic", _panoptic_quality),
    Score("result_share", "Frames with a result", "result", lambda s: _ratio(s[..., 0], s[..., 1])),
)

FRAME_SCORES: dict[str, tuple[str, Callable[[F64], F64]]] = {
    "mean_iou": ("pixels", _mean_iou),
    "hota": ("hota", _frame_hota),
}
"""Figures that are given frame by frame, too: statistic, and the score of what one frame contributes to it."""
