"""Which segment shows which track: a similarity for every pair, then the best assignment.

Pure functions on arrays; N tracks, M segments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import F64

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Looks:
    """One side of the association: what is predicted of tracks, or what segments show.

    Attributes:
        boxes: (N, 4) float64, left, top, right, bottom, pixels.
        class_ids: (N,) int64.
        colors: (N, D) float64, as of appearance.describe, zeros where not known; None without images.
    """

    boxes: F64
    class_ids: I64
    colors: F64 | None = None


@dataclass(frozen=True, eq=False)
class Doubts:
    """How sure the predictions of N tracks are.

    Attributes:
        reach_px: (N,) float64, how far each centre may be off, pixels.
        unseen_s: (N,) float64, since each was last seen, s.
    """

    reach_px: F64
    unseen_s: F64


def similarity(tracks: Looks, doubts: Doubts, segments: Looks, overlap: F64, config: TrackerConfig) -> F64:
    """How well each segment fits each track.

    The weighted mean of three terms in 0-1: overlap (IoU), nearness (1 at the predicted centre, 0 at
    the limit of reach) and shape (ratio of widths times ratio of heights). Overlap alone fails small fast
    objects, which leave their box between two frames; nearness alone fails large ones, whose centre
    jumps when a part is hidden. Likeness in colour is added where both sides have it, penalties for another
    class and for the time unseen are taken off.

    Args:
        tracks: N predictions for the time of the frame.
        doubts: of these predictions.
        segments: M segments of the frame.
        overlap: (N, M) float64, IoU of masks in place of that of boxes where it is not nan.
        config: weights, limits and penalties.

    Returns:
        (N, M) float64; -inf where a pair neither overlaps by ``config.min_iou`` nor is in reach, or is forbidden.
    """
    iou = box_iou(tracks.boxes, segments.boxes)
    (centre_t, size_t), (centre_s, size_s) = _centres_and_sizes(tracks.boxes), _centres_and_sizes(segments.boxes)
    distance = np.linalg.norm(centre_t[:, None] - centre_s[None], axis=-1)
    nearness = np.clip(1 - distance / doubts.reach_px[:, None], 0, None)
    ratio = np.minimum(size_t[:, None], size_s[None]) / np.maximum(size_t[:, None], size_s[None])
    of_pixels = np.where(np.isnan(overlap), iou, overlap)
    score = (config.overlap_weight * of_pixels + nearness + ratio.prod(axis=-1)) / (config.overlap_weight + 2)
    score -= config.class_penalty * (tracks.class_ids[:, None] != segments.class_ids[None])
    score -= config.unseen_penalty * doubts.unseen_s[:, None]
    if tracks.colors is not None and segments.colors is not None:
        likeness = tracks.colors @ segments.colors.T
        known = np.outer(tracks.colors.any(axis=1), segments.colors.any(axis=1))
        score += config.appearance_weight * np.where(known, likeness - config.appearance_usual, 0.0)
    possible = (nearness > 0) | (iou >= config.min_iou)
    if config.class_penalty >= 1:
        possible &= tracks.class_ids[:, None] == segments.class_ids[None]
    return np.where(possible, score, -np.inf)


def assign(score: F64, least: float) -> tuple[list[tuple[int, int]], I64, I64]:
    """Pair rows and columns one to one so that the sum of scores is greatest.

    Args:
        score: (N, M) float64; -inf = never.
        least: pairs below this are not made.

    Returns:
        the pairs (row, column) by row, the rows left over, the columns left over, both ascending.
    """
    allowed = score >= least
    # A pair that is not allowed gains nothing, the same as leaving both alone.
    rows, columns = linear_sum_assignment(np.where(allowed, score - least, 0.0), maximize=True)
    made = allowed[rows, columns]
    pairs = list(zip(rows[made].tolist(), columns[made].tolist(), strict=True))
    rest_rows = np.setdiff1d(np.arange(score.shape[0]), rows[made])
    rest_columns = np.setdiff1d(np.arange(score.shape[1]), columns[made])
    return pairs, rest_rows, rest_columns


def _centres_and_sizes(boxes: F64) -> tuple[F64, F64]:
    """(N, 2) centres and (N, 2) sizes of boxes, pixels; sizes at least one."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
