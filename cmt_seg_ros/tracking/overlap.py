"""Overlap of predicted silhouettes with segments, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cmt_seg_ros.structures import F64, Segment
from cmt_seg_ros.tracking.blobs.canvas import Silhouette, resized

WORK_PX = 48
"""Masks are compared at this size."""
MIN_OVERLAP = 0.1
"""Boxes that overlap less do not compete."""


def overlaps(silhouette_of: Callable[[int], Silhouette], segments: Sequence[Segment], of_boxes: F64) -> F64:
    """IoU of masks where boxes leave a doubt.

    Args:
        silhouette_of: what is predicted of each of N tracks.
        segments: (M,) of the frame.
        of_boxes: (N, M) float64, IoU of their boxes.

    Returns:
        (N, M) float64; nan where no other box competes, or where there is no mask.
    """
    found = np.full(of_boxes.shape, np.nan)
    touch = of_boxes >= MIN_OVERLAP
    doubtful = touch & ((touch.sum(axis=1) > 1)[:, None] | (touch.sum(axis=0) > 1)[None])
    for row, column in np.argwhere(doubtful).tolist():
        if segments[column].mask is not None:
            found[row, column] = _iou(silhouette_of(row), segments[column])
    return found


def _iou(silhouette: Silhouette, segment: Segment) -> float:
    """Of one pair whose boxes overlap."""
    assert segment.mask is not None
    boxes = np.array([silhouette.box_px, segment.box_px])
    scale = min(1.0, WORK_PX / float((boxes[:, 2:] - boxes[:, :2]).max()))
    corners = np.round(boxes * scale).astype(int)
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
    low, high = corners[:, :2].max(axis=0), corners[:, 2:].min(axis=0)
    first, second = (
        resized(mask, (int(x1 - x0), int(y1 - y0)))
        for mask, (x0, y0, x1, y1) in zip((silhouette.shape, segment.mask), corners, strict=True)
    )
    (x, y), (u, v) = low - corners[0, :2], low - corners[1, :2]
    w, h = np.maximum(high - low, 0)
    both = np.count_nonzero(first[y : y + h, x : x + w] & second[v : v + h, u : u + w])
    return both / (np.count_nonzero(first) + np.count_nonzero(second) - both)
