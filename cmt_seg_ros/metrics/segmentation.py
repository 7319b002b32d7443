"""Quality of a label map against ground truth: confusion matrix, IoU, pixel accuracy.

All figures come out of one confusion matrix, which adds up over images: sum the matrices, then ask
for the figure (the convention of CamVid and Cityscapes), rather than averaging figures per image.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import F64, U8

I64 = npt.NDArray[np.int64]


def confusion_matrix(truth: U8, prediction: U8, num_classes: int, ignore_id: int = IGNORE_ID) -> I64:
    """Count pixels by true and predicted class.

    Pixels whose truth is ``ignore_id`` are left out. A pixel that is labelled in the truth but that
    the prediction leaves unlabelled (``ignore_id``, or any id of ``num_classes`` or more) is counted
    in the extra last column: it is a miss of its class and a false positive of none.

    Args:
        truth: (H, W) uint8, true class id per pixel.
        prediction: (H, W) uint8, predicted class id per pixel.
        num_classes: number C of classes, ids 0 to C - 1.
        ignore_id: id of unlabelled pixels.

    Returns:
        (C, C + 1) int64, rows true, columns predicted, last column unlabelled.

    Raises:
        ValueError: shapes differ, an array is not uint8, or the truth has an id that is neither a
            class nor ``ignore_id``.
    """
    if truth.shape != prediction.shape or truth.dtype != np.uint8 or prediction.dtype != np.uint8:
        raise ValueError(
            f"truth is {truth.dtype} {truth.shape}, prediction {prediction.dtype} {prediction.shape}; "
            "both must be uint8 arrays of one shape"
        )
    # Counting all 256 x 256 pairs needs no masking or remapping of the images themselves.
    pairs = truth.ravel().astype(np.uint16)
    pairs <<= 8
    pairs |= prediction.ravel()
    counts = np.bincount(pairs, minlength=65536).reshape(256, 256).astype(np.int64)
    unknown = np.flatnonzero(counts.sum(axis=1))
    unknown = unknown[(unknown >= num_classes) & (unknown != ignore_id)]
    if unknown.size:
        raise ValueError(f"truth has the ids {unknown.tolist()}; allowed are 0 to {num_classes - 1} and {ignore_id}")
    known = [c for c in range(256) if c < num_classes and c != ignore_id]
    matrix = np.zeros((num_classes, num_classes + 1), np.int64)
    matrix[np.ix_(known, known)] = counts[np.ix_(known, known)]
    matrix[known, num_classes] = counts[known].sum(axis=1) - matrix[known, :num_classes].sum(axis=1)
    return matrix


def iou_per_class(confusion: I64) -> F64:
    """Intersection over union of each class.

    Args:
        confusion: (C, C + 1) or (C, C) int64, as of :func:`confusion_matrix`.

    Returns:
        (C,) float64 in 0-1; nan for a class that is in neither the truth nor the prediction.
    """
    num_classes = confusion.shape[0]
    hits = np.diagonal(confusion).astype(np.float64)
    union = confusion.sum(axis=1) + confusion[:, :num_classes].sum(axis=0) - hits
    ious: F64 = np.divide(hits, union, out=np.full(num_classes, np.nan), where=union > 0)
    return ious


def mean_iou(confusion: I64) -> float:
    """Mean of :func:`iou_per_class` over the classes that occur; nan when none does."""
    ious = iou_per_class(confusion)
    return float(np.nanmean(ious)) if not np.isnan(ious).all() else float("nan")


def pixel_accuracy(confusion: I64) -> float:
    """Share of the labelled pixels whose class is right; nan when no pixel is labelled."""
    total = int(confusion.sum())
    return float(np.trace(confusion[:, : confusion.shape[0]]) / total) if total else float("nan")


def binary_iou(truth: U8, prediction: U8, valid: npt.NDArray[np.bool_] | None = None) -> float:
    """Intersection over union of two yes-or-no masks, such as objectness.

    Args:
        truth: (H, W) uint8, 0 = no, anything else = yes.
        prediction: (H, W) uint8, likewise.
        valid: (H, W) bool, pixels to count; all when None.

    Returns:
        0-1; nan when both masks are empty.

    Raises:
        ValueError: shapes differ.
    """
    if truth.shape != prediction.shape or (valid is not None and valid.shape != truth.shape):
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}; all must have one shape")
    yes_truth, yes_prediction = truth != 0, prediction != 0
    if valid is not None:
        yes_truth, yes_prediction = yes_truth & valid, yes_prediction & valid
    union = int(np.count_nonzero(yes_truth | yes_prediction))
    return int(np.count_nonzero(yes_truth & yes_prediction)) / union if union else float("nan")
