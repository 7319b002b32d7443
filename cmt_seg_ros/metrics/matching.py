"""Matching of the true objects and the tracks of one frame: IoU of boxes and of instance masks, and which count."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.metrics.tracking import FrameMatch
from cmt_seg_ros.structures import F64, U8, U16, Box, OtherBox

I64 = npt.NDArray[np.int64]

_ON_IOU = 0.5 - np.finfo(np.float64).eps

MIN_OBJECT_FRACTION = 0.0005
"""Smaller true objects do not count in tracking; share of the image's area. KITTI draws the line in the
same place: 25 pixels of height, which for a pedestrian is 0.05 % of its image."""


def match_instances(truth: U16, tracks: U16, min_px: int, truth_classes: U8 | None = None) -> tuple[FrameMatch, int]:
    """Return the similarity of the true objects and the tracks of one frame.

    True objects of fewer than ``min_px`` pixels do not count. A track of which more than half lies on
    such objects, or on pixels without a true class, does not count either: it is neither right nor wrong.

    Args:
        truth: (H, W) uint16, true object per pixel, 0 = none.
        tracks: (H, W) uint16, track per pixel, 0 = none.
        min_px: least area of a true object, pixels.
        truth_classes: (H, W) uint8, true class per pixel, 255 = unlabelled.

    Returns:
        (true ids, track ids, IoU of their masks), and how many true objects did not count.
    """
    truth_ids, track_ids, joint = shared_pixels(truth, tracks)
    small = joint.sum(axis=1) < min_px
    small[0] = False  # no object
    outside = joint[small].sum(axis=0)
    unlabelled = None if truth_classes is None or truth_classes.shape != truth.shape else truth_classes == IGNORE_ID
    if unlabelled is not None and unlabelled.any():
        others = ~np.isin(truth[unlabelled], truth_ids[small])  # the rest is counted already
        outside = outside + np.bincount(tracks[unlabelled][others], minlength=65536)[track_ids]
    counts, keep = ~small[1:], (2 * outside <= joint.sum(axis=0))[1:]
    match = truth_ids[1:][counts], track_ids[1:][keep], iou_of(joint)[np.ix_(counts, keep)]
    return match, int(np.count_nonzero(small))


def match_boxes(truth: Mapping[int, Box], rows: Sequence[Sequence[Any]]) -> FrameMatch:
    """Return the similarity of true boxes and the boxes of tracks.

    Args:
        truth: (left, top, right, bottom) in pixels by id.
        rows: of tracks: id, class, state, left, top, width, height, ...

    Returns:
        (true ids, track ids, IoU of their boxes).
    """
    boxes = [(left, top, left + width, top + height) for _, _, _, left, top, width, height, *_ in rows]
    return list(truth), [row[0] for row in rows], box_iou(list(truth.values()), boxes)


class Others(NamedTuple):
    """True boxes of a frame that do not count, beside N that do and M tracks.

    Attributes:
        places: (K,) int64, for each how many boxes that count come before it.
        distractor: (K,) bool, whether a track on it does not count either.
        iou: (K, M) float64 IoU with each track, 0-1.
    """

    places: I64
    distractor: npt.NDArray[np.bool_]
    iou: F64


def match_others(others: Sequence[OtherBox], rows: Sequence[Sequence[Any]]) -> Others | None:
    """Return how true boxes that do not count overlap the boxes of tracks; None where that takes no track out.

    Args:
        others: the boxes.
        rows: of tracks, as of :func:`match_boxes`.
    """
    _, _, iou = match_boxes({i: other.box_px for i, other in enumerate(others)}, rows)
    near = np.flatnonzero((np.asarray(iou) >= _ON_IOU).any(axis=1))
    kept = [others[i] for i in near]
    if not any(other.is_distractor for other in kept):
        return None
    places, distractor = (
        np.array([o.place for o in kept], np.int64),
        np.array([o.is_distractor for o in kept], np.bool_),
    )
    return Others(places, distractor, np.asarray(iou, np.float64)[near])


def confirmed_only(
    matches: Sequence[FrameMatch], confirmed: Collection[int], others: Sequence[Others | None] = ()
) -> list[FrameMatch]:
    """Return the matches without tracks that were never confirmed, and without those on distractors.

    Args:
        matches: of the frames of one sequence; track ids as in instance images, from 1 to 65535, or as they are.
        confirmed: ids of the tracks that were.
        others: of each frame the true boxes that do not count; empty: there are none.
    """
    known = np.array(sorted({*confirmed, *((i - 1) % 65535 + 1 for i in confirmed)}), np.int64)
    kept: list[FrameMatch] = []
    for (truth, tracks, iou), beside in zip(matches, others or repeat(None), strict=False):
        keep = np.flatnonzero(np.isin(np.asarray(tracks, np.int64), known))
        if beside is not None:
            keep = np.delete(keep, _on_distractors(np.asarray(iou)[:, keep], beside, beside.iou[:, keep]))
        kept.append((truth, np.asarray(tracks)[keep], np.asarray(iou)[:, keep]))
    return kept


def _on_distractors(iou: F64, others: Others, others_iou: F64) -> I64:
    """Return which tracks lie on distractors: all boxes are matched with all tracks, at an IoU of 0.5 (MOT16)."""
    all_iou = np.insert(iou, others.places, others_iou, axis=0)  # in the order of the file, as TrackEval has them
    distractor = np.insert(np.zeros(len(iou), np.bool_), others.places, others.distractor)
    all_iou[all_iou < _ON_IOU] = 0
    rows, columns = linear_sum_assignment(all_iou, maximize=True)
    on: I64 = columns[(all_iou[rows, columns] > 0) & distractor[rows]]
    return on


def box_iou(first: npt.ArrayLike, second: npt.ArrayLike) -> F64:
    """Return the intersection over union of every pair of boxes.

    Args:
        first: (N, 4) boxes (left, top, right, bottom) in pixels, right and bottom exclusive.
        second: (M, 4) boxes, likewise.

    Returns:
        (N, M) float64 in 0-1; 0 where a box has no area.
    """
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inter: F64 = np.prod(np.clip(sides, 0, None), axis=-1)
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1) - inter
    iou: F64 = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return iou


def shared_pixels(
    truth: npt.NDArray[np.unsignedinteger], prediction: npt.NDArray[np.unsignedinteger]
) -> tuple[I64, I64, I64]:
    """Count the pixels that each pair of instances of two instance-id images shares.

    Args:
        truth: (H, W) unsigned integers, instance id per pixel, 0 = none.
        prediction: (H, W) unsigned integers, likewise.

    Returns:
        Ids in the truth (N + 1,) and in the prediction (M + 1,), int64 and ascending, 0 first even if no pixel has
        it; and (N + 1, M + 1) int64, the number of pixels of each pair.

    Raises:
        ValueError: shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}; both must have one shape")
    truth_ids, rows = _dense(truth)
    other_ids, columns = _dense(prediction)
    shape = (len(truth_ids), len(other_ids))
    joint = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return truth_ids, other_ids, joint.astype(np.int64, copy=False)


def iou_of(joint: I64) -> F64:
    """Return (N, M) float64 IoU in 0-1 of all pairs but those of 0, from what :func:`shared_pixels` counted."""
    inter = joint[1:, 1:].astype(np.float64)
    union = joint.sum(axis=1)[1:, None] + joint.sum(axis=0)[None, 1:] - inter
    iou: F64 = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return iou


def _dense(ids: npt.NDArray[np.unsignedinteger]) -> tuple[I64, I64]:
    """Return the ids in use, 0 first even if no pixel has it, and for each pixel the index of its id."""
    # A table over the ids is several times faster than np.unique, which sorts all pixels.
    used = np.zeros(int(ids.max(initial=0)) + 1, bool)
    used[ids.ravel()] = True
    used[0] = True
    return np.flatnonzero(used).astype(np.int64), (np.cumsum(used) - 1).take(ids.ravel())
