"""Confusion matrix of a label map and its ground truth, and the scores that come of it; MaskMeter adds up over images.

Confusion matrices add up over images: sum them, then ask for the score (the convention of CamVid and Cityscapes),
rather than averaging scores per image. The boundary F-score that :class:`MaskMeter` has beside them is an average
per image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.metrics import scores
from cmt_seg_ros.metrics.boundary import boundary_f_per_class
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


def class_pixels(confusion: I64) -> I64:
    """Return (..., 3, C): right, true and predicted pixels of each class, of (..., C, C + 1) or (..., C, C) pixels."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    predicted = confusion[..., : confusion.shape[-2]].sum(axis=-2)
    return np.stack([right, confusion.sum(axis=-1), predicted], axis=-2)


def iou_per_class(confusion: I64) -> F64:
    """Return the IoU of each class, (C,) float64 in 0-1; nan for one that is neither true nor predicted."""
    return scores.class_iou(class_pixels(confusion))


def precision_per_class(confusion: I64) -> F64:
    """Return the share of the pixels given to each class that are of it, (C,) float64 in 0-1; nan where none are."""
    return scores.class_precision(class_pixels(confusion))


def recall_per_class(confusion: I64) -> F64:
    """Return the share of the pixels of each class that were given to it, (C,) float64 in 0-1; nan where none are."""
    return scores.class_recall(class_pixels(confusion))


def mean_iou(confusion: I64) -> float:
    """Return the mean of :func:`iou_per_class` over the classes that occur; nan when none does."""
    return float(scores.mean_iou(class_pixels(confusion)))


def pixel_accuracy(confusion: I64) -> float:
    """Return the share of the labelled pixels whose class is right; nan when no pixel is labelled."""
    return float(scores.pixel_accuracy(class_pixels(confusion)))


class MaskMeter:
    """Adds up the scores of classes and of objectness over images.

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
        self._boundary = np.zeros((2, len(labels)))  # sum of each class's boundary F-scores, and of how many images

    def add(self, truth: U8, class_ids: U8, objectness: U8 | None, true_objects: U8 | None = None) -> None:
        """Add one image.

        Args:
            truth: (H, W) uint8, true class ids, 255 = not counted.
            class_ids: (H, W) uint8, predicted class ids.
            objectness: (H, W) uint8, predicted, 0 = no object; None where unknown.
            true_objects: (H, W) uint8, 0 no object, 1 object, 255 = not counted; None: what the true class is.
        """
        self.images += 1
        self.classes += confusion_matrix(truth, class_ids, len(self.labels))
        boundary = boundary_f_per_class(truth, class_ids, len(self.labels))
        self._boundary += np.nan_to_num(boundary), ~np.isnan(boundary)
        if objectness is not None:
            if true_objects is None:
                true_objects = np.where(truth == IGNORE_ID, truth, self.labels.is_object_lut[truth] // 255)
            self.objects += confusion_matrix(true_objects, (objectness != 0).astype(np.uint8), 2)

    @property
    def class_boundary_f(self) -> F64:
        """(C,) float64 in 0-1, boundary F-score at 3 px of each class, mean over images; nan where none has it."""
        return scores.class_boundary_f(self._boundary)

    @property
    def objectness_iou(self) -> float:
        """IoU of "is an object", 0-1; nan when nothing is."""
        return float(iou_per_class(self.objects)[1])

    def to_dict(self) -> dict[str, Any]:
        """Return all scores, 0-1, four digits.

        Returns:
            ``miou``, ``boundary_f`` (mean over the classes, at 3 px), ``pixel_accuracy``, ``objectness_iou``,
            ``objectness_precision``, ``objectness_recall``, the number of ``images``; and by class name
            ``iou`` and ``class_boundary_f``.
        """
        found = {
            "miou": mean_iou(self.classes),
            "boundary_f": float(scores.mean_boundary_f(self._boundary)),
            "pixel_accuracy": pixel_accuracy(self.classes),
            "objectness_iou": self.objectness_iou,
            "objectness_precision": float(precision_per_class(self.objects)[1]),
            "objectness_recall": float(recall_per_class(self.objects)[1]),
        }
        return {
            **{name: round(value, 4) for name, value in found.items()},
            "images": self.images,
            "iou": self._by_name(iou_per_class(self.classes)),
            "class_boundary_f": self._by_name(self.class_boundary_f),
        }

    def _by_name(self, values: F64) -> dict[str, float]:
        return {name: round(float(v), 4) for name, v in zip(self.labels.names, values, strict=True)}
