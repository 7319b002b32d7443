"""Quality of a label map against ground truth: confusion matrix, IoU, pixel accuracy.

All figures come out of one confusion matrix, which adds up over images: sum the matrices, then ask
for the figure (the convention of CamVid and Cityscapes), rather than averaging figures per image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.labels import IGNORE_ID, LabelSet
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


class MaskMeter:
    """Adds up the confusion of classes and of objectness over images.

    Attributes:
        labels: what the class ids mean, and which are objects.
        images: number of images added.
        classes: (C, C + 1) int64, as of :func:`confusion_matrix`.
        objects: (2, 3) int64, the same of no object and object.
    """

    def __init__(self, labels: LabelSet) -> None:
        self.labels, self.images = labels, 0
        self.classes: I64 = np.zeros((len(labels), len(labels) + 1), np.int64)
        self.objects: I64 = np.zeros((2, 3), np.int64)

    def add(self, truth: U8, class_ids: U8, objectness: U8 | None) -> None:
        """Add one image.

        Args:
            truth: (H, W) uint8, true class ids, 255 = not counted.
            class_ids: (H, W) uint8, predicted class ids.
            objectness: (H, W) uint8, predicted, 0 = no object; None where unknown.
        """
        self.images += 1
        self.classes += confusion_matrix(truth, class_ids, len(self.labels))
        if objectness is not None:
            true_objects = np.where(truth == IGNORE_ID, IGNORE_ID, self.labels.is_object_lut[truth] // 255)
            self.objects += confusion_matrix(true_objects.astype(np.uint8), (objectness != 0).astype(np.uint8), 2)

    @property
    def objectness_iou(self) -> float:
        """IoU of "is an object", 0-1; nan when nothing is."""
        return float(iou_per_class(self.objects)[1])

    def to_dict(self) -> dict[str, Any]:
        """``miou``, ``pixel_accuracy``, ``objectness_iou``, ``images``, and ``iou`` by class name; 0-1, four digits."""
        return {
            "miou": round(mean_iou(self.classes), 4),
            "pixel_accuracy": round(pixel_accuracy(self.classes), 4),
            "objectness_iou": round(self.objectness_iou, 4),
            "images": self.images,
            "iou": {
                name: round(float(v), 4) for name, v in zip(self.labels.names, iou_per_class(self.classes), strict=True)
            },
        }
