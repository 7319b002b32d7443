"""Instances of a network that gives boxes, each with its mask, or with what its mask is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.regions import MAX_ID
from cmt_seg_ros.structures import F64, U8, U16, Box, Instance

F32 = npt.NDArray[np.float32]
Outputs = Mapping[str, npt.NDArray[Any]]

MAX_IOU = 0.7
"""Of boxes of one class that overlap more, the better one is kept: non-maximum suppression, as Ultralytics has it. What
a network has suppressed itself, mostly at 0.5, is not changed."""


def find_instances(
    outputs: Outputs, size: tuple[int, int], least_score: float, num_classes: int
) -> tuple[U16, tuple[Instance, ...]]:
    """Make instances of what a network gives for one image.

    Where instances overlap, the one with the higher score has the pixel.

    Args:
        outputs: ``boxes`` (K, 4) float32, left, top, right, bottom as shares of the image's width and height;
            ``box_scores`` (K,) float32, 0-1; ``box_labels`` (K,) float32, class ids; and either ``box_masks`` (K, m, m)
            float32, probabilities of the pixels in the box, or ``box_coefficients`` (K, P) float32 and ``prototypes``
            (P, h, w) float32, whose sum weighted by the coefficients is above 0 on the object (Bolya et al. 2019).
        size: (H, W) of the image.
        least_score: instances with a lower score are left out, 0-1.
        num_classes: labels are below this.

    Returns:
        (H, W) uint16, 0 = none, 1, 2, ... by falling score; and the instances in that order. Those without a visible
        pixel are left out.

    Raises:
        ModelError: a score is no probability, a label is no class, or a box is not finite.
    """
    chosen = _chosen(outputs, least_score, num_classes)
    ids = np.zeros(size, np.uint16)
    found: list[Instance] = []
    scale = np.array([size[1], size[0]] * 2)
    for k in chosen:
        box = outputs["boxes"][k].astype(np.float64) * scale
        rows, columns = _pixels_between(box[1], box[3], size[0]), _pixels_between(box[0], box[2], size[1])
        if not (len(rows) and len(columns)) or len(found) == MAX_ID:
            continue
        inside = _mask(outputs, k, box, rows, columns, size)
        window = ids[rows.start : rows.stop, columns.start : columns.stop]
        visible = inside & (window == 0)
        if area := int(np.count_nonzero(visible)):
            window[visible] = len(found) + 1
            label, score = int(outputs["box_labels"][k]), float(outputs["box_scores"][k])
            found.append(Instance(len(found) + 1, label, score, _within(box, size), area))
    return ids, tuple(found)


def masks_of_instances(ids: U16, instances: Sequence[Instance], labels: LabelSet) -> dict[str, U8]:
    """Make the masks of a network that gives instances alone: pixels of none are unlabelled.

    Returns:
        (H, W) uint8 ``class_ids`` (255 = unlabelled), ``objectness`` (0 or 255) and ``confidence`` (0-255 for 0-1).
    """
    classes, scores = np.full(len(instances) + 1, IGNORE_ID, np.uint8), np.zeros(len(instances) + 1, np.uint8)
    for instance in instances:
        classes[instance.instance_id] = instance.class_id
        scores[instance.instance_id] = round(255 * min(instance.score, 1.0))
    class_ids = classes[ids]
    return {"class_ids": class_ids, "objectness": cv2.LUT(class_ids, labels.is_object_lut), "confidence": scores[ids]}


def _chosen(outputs: Outputs, least_score: float, num_classes: int) -> list[int]:
    """Return the rows of the instances that are kept, by falling score."""
    scores, labels = outputs["box_scores"].astype(np.float64), outputs["box_labels"]
    if scores.size and not (scores.min() >= -0.01 and scores.max() <= 1.01):  # NaN, too
        raise ModelError(
            f"output box_scores has values from {scores.min():.3g} to {scores.max():.3g}; probabilities are 0 to 1"
        )
    rows = np.flatnonzero(scores >= max(least_score, 1e-6))
    if not len(rows):
        return []
    labels = labels[rows]
    if not ((labels >= 0) & (labels < num_classes)).all():
        wrong = labels[(labels < 0) | (labels >= num_classes)][0]
        raise ModelError(f"output box_labels has {wrong:g}; the model has {num_classes} classes")
    boxes = outputs["boxes"][rows].astype(np.float64)
    if not np.isfinite(boxes).all():
        raise ModelError("output boxes is not finite")
    corners = [*boxes[:, :2].T, *np.maximum(boxes[:, 2:] - boxes[:, :2], 0).T]
    kept = cv2.dnn.NMSBoxesBatched(np.stack(corners, 1).tolist(), scores[rows].tolist(), labels.astype(int).tolist(),
                                   0.0, MAX_IOU)  # fmt: skip
    kept_rows = rows[np.asarray(kept, int)]
    return [int(k) for k in kept_rows[np.argsort(-scores[kept_rows], kind="stable")]]


def _pixels_between(low: float, high: float, count: int) -> range:
    """Return the pixels whose centres lie between two edges, in an image with so many."""
    first, end = (int(np.clip(np.ceil(edge - 0.5), 0, count)) for edge in (low, high))
    return range(first, end)


def _mask(
    outputs: Outputs, k: int, box: F64, rows: range, columns: range, size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return which pixels of the window of an instance belong to it."""
    if "box_masks" in outputs:
        plane = outputs["box_masks"][k].astype(np.float32)
        down = _taps(_centres(rows, box[1], box[3], plane.shape[0]), plane.shape[0])
        across = _taps(_centres(columns, box[0], box[2], plane.shape[1]), plane.shape[1])
        return np.asarray(down @ plane @ across.T >= 0.5)
    prototypes = outputs["prototypes"]
    height, width = prototypes.shape[1:]
    y, x = (
        _centres(rows, 0, size[0], height).clip(0, height - 1),
        _centres(columns, 0, size[1], width).clip(0, width - 1),
    )
    top, left = int(y[0]), int(x[0])
    part = prototypes[:, top : int(y[-1]) + 2, left : int(x[-1]) + 2]
    plane = np.tensordot(outputs["box_coefficients"][k], part, 1).astype(np.float32)
    return np.asarray(_taps(y - top, plane.shape[0]) @ plane @ _taps(x - left, plane.shape[1]).T > 0)


def _centres(pixels: range, low: float, high: float, count: int) -> F64:
    """Return where the centres of pixels lie among ``count`` samples that fill the space between two edges."""
    places = (np.arange(pixels.start, pixels.stop) + 0.5 - low) * (count / max(high - low, 1e-9)) - 0.5
    return np.asarray(places, np.float64)


def _taps(places: F64, count: int) -> F32:
    """Return the weights (places, count) of linear interpolation; beyond the samples there are zeros."""
    weights: F32 = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(count))).astype(np.float32)
    return weights


def _within(box: F64, size: tuple[int, int]) -> Box:
    left, top, right, bottom = np.clip(box, 0, [size[1], size[0]] * 2).tolist()
    return left, top, right, bottom
