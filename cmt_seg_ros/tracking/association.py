"""Association of tracks with segments: a similarity for every pair, then the best assignment.

Pure functions; N tracks, M segments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import F64, Segment
from cmt_seg_ros.tracking.blobs.canvas import Silhouette, resized

I64 = npt.NDArray[np.int64]

WORK_PX = 48
"""Masks are compared at this size."""
MIN_OVERLAP = 0.1
"""Boxes that overlap less do not compete."""


@dataclass(frozen=True, eq=False)
class Appearances:
    """One side of the association: predictions of tracks, or segments of the frame.

    Attributes:
        boxes: (N, 4) float64, left, top, right, bottom, pixels.
        class_ids: (N,) int64.
        colors: (N, D) float64, as of observation.color_histogram, zeros where not known; None without images.
    """

    boxes: F64
    class_ids: I64
    colors: F64 | None = None


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Uncertainty of the predictions of N tracks.

    Attributes:
        reach_px: (N,) float64, how far each centre may be from its prediction, pixels.
        unseen_s: (N,) float64, time since each was last seen, s.
    """

    reach_px: F64
    unseen_s: F64


def similarity(
    tracks: Appearances, uncertainty: Uncertainty, segments: Appearances, overlap: F64, config: TrackerConfig
) -> F64:
    """Compute how well each segment fits each track.

    The weighted mean of three terms in 0-1: overlap (IoU), nearness (1 at the predicted centre, 0 at
    the limit of its reach) and shape (ratio of widths times ratio of heights). Overlap alone fails for small fast
    objects, which leave their box between two frames; nearness alone fails for large ones, whose centre
    jumps when a part is hidden. The similarity of colours is added where both are known; penalties for another
    class and for the time unseen are subtracted.

    Args:
        tracks: N predictions for the time of the frame.
        uncertainty: of these predictions.
        segments: M segments of the frame.
        overlap: (N, M) float64, IoU of masks, used in place of that of boxes where it is not nan.
        config: weights, limits and penalties.

    Returns:
        (N, M) float64; -inf where a pair neither overlaps by ``config.min_iou`` nor is in reach, or is forbidden.
    """
    iou = box_iou(tracks.boxes, segments.boxes)
    (centre_t, size_t), (centre_s, size_s) = _centres_and_sizes(tracks.boxes), _centres_and_sizes(segments.boxes)
    distance = np.linalg.norm(centre_t[:, None] - centre_s[None], axis=-1)
    nearness = np.clip(1 - distance / uncertainty.reach_px[:, None], 0, None)
    ratio = np.minimum(size_t[:, None], size_s[None]) / np.maximum(size_t[:, None], size_s[None])
    of_pixels = np.where(np.isnan(overlap), iou, overlap)
    score = (config.overlap_weight * of_pixels + nearness + ratio.prod(axis=-1)) / (config.overlap_weight + 2)
    score -= config.class_penalty * (tracks.class_ids[:, None] != segments.class_ids[None])
    score -= config.unseen_penalty * uncertainty.unseen_s[:, None]
    if tracks.colors is not None and segments.colors is not None:
        likeness = tracks.colors @ segments.colors.T
        known = np.outer(tracks.colors.any(axis=1), segments.colors.any(axis=1))
        score += config.appearance_weight * np.where(known, likeness - config.appearance_usual, 0.0)
    possible = (nearness > 0) | (iou >= config.min_iou)
    if config.class_penalty >= 1:
        possible &= tracks.class_ids[:, None] == segments.class_ids[None]
    return np.where(possible, score, -np.inf)


def mask_overlaps(silhouette_of: Callable[[int], Silhouette], segments: Sequence[Segment], of_boxes: F64) -> F64:
    """Compute the IoU of masks where boxes are ambiguous.

    Args:
        silhouette_of: returns the predicted silhouette of each of N tracks.
        segments: (M,) of the frame.
        of_boxes: (N, M) float64, IoU of their boxes.

    Returns:
        (N, M) float64; nan where boxes do not overlap, no other box competes, or there is no mask.
    """
    found = np.full(of_boxes.shape, np.nan)
    touch = of_boxes >= MIN_OVERLAP
    ambiguous = touch & ((touch.sum(axis=1) > 1)[:, None] | (touch.sum(axis=0) > 1)[None])
    for row, column in np.argwhere(ambiguous).tolist():
        if segments[column].mask is not None:
            found[row, column] = _iou(silhouette_of(row), segments[column])
    return found


def assign(score: F64, least: float) -> tuple[list[tuple[int, int]], I64, I64]:
    """Pair rows and columns one to one with the greatest sum of scores.

    Args:
        score: (N, M) float64; -inf = never.
        least: pairs with a lower score are not made.

    Returns:
        the pairs (row, column) by row, the rows left over, the columns left over, both ascending.
    """
    allowed = score >= least
    # A pair that is not allowed gains nothing, as if both stayed alone.
    rows, columns = linear_sum_assignment(np.where(allowed, score - least, 0.0), maximize=True)
    made = allowed[rows, columns]
    pairs = list(zip(rows[made].tolist(), columns[made].tolist(), strict=True))
    rest_rows = np.setdiff1d(np.arange(score.shape[0]), rows[made])
    rest_columns = np.setdiff1d(np.arange(score.shape[1]), columns[made])
    return pairs, rest_rows, rest_columns


def _centres_and_sizes(boxes: F64) -> tuple[F64, F64]:
    """Return the (N, 2) centres and (N, 2) sizes of boxes, pixels; sizes are at least one."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)


def _iou(silhouette: Silhouette, segment: Segment) -> float:
    """Compute the IoU of one pair whose boxes overlap."""
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
