"""One object in several pieces: join them again.

A pedestrian who walks past a car divides its mask; a shirt in the colour of the wall cuts a person in two. Without
this, one piece would continue the track with a jump of its centre and the other would become a second object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import F64, Segment
from cmt_seg_ros.tracking.association import Looks

MIN_INSIDE = 0.8
"""Share of a piece's box that must lie in the box predicted of the whole."""
MIN_COVERED = 0.5
"""Share of the gap between the pieces that segments of other classes fill where one of these is in front."""


def join_pieces(segments: Sequence[Segment], tracks: Looks, aspect: Callable[[int], float]) -> list[Segment]:
    """Replace pieces of one object by their union.

    Pieces are joined where it is known what hides the middle, or where the union is shaped more like an object of
    its class than the largest piece is. Two people who part after walking as one blob are neither.

    Args:
        segments: of one frame.
        tracks: predicted boxes and classes of the objects known to exist.
        aspect: usual height over width of a class's objects.

    Returns:
        The segments, with those that were pieces of a track's object joined; the union comes at the
        place of its first piece.
    """
    joined = list(segments)
    if len(joined) < 2 or not len(tracks.boxes) or any(segment.mask is None for segment in joined):
        return joined
    boxes = np.array([s.box_px for s in joined], np.float64)
    classes = np.array([s.class_id for s in joined])
    fits = _intersection(boxes, tracks.boxes) >= MIN_INSIDE * _area(boxes)[:, None]
    fits &= classes[:, None] == tracks.class_ids[None]
    fits[fits.sum(axis=1) > 1] = False  # a piece that could be of two objects is left alone
    gone: set[int] = set()
    for row in np.flatnonzero(fits.sum(axis=0) > 1):
        pieces = np.flatnonzero(fits[:, row])
        usual = aspect(int(tracks.class_ids[row]))
        others = boxes[classes != tracks.class_ids[row]]
        if _completes(boxes[pieces], tracks.boxes[row], usual) or _is_divided(boxes[pieces], others):
            joined[pieces[0]] = union([joined[piece] for piece in pieces])
            gone.update(pieces[1:].tolist())
    return [segment for index, segment in enumerate(joined) if index not in gone]


def union(pieces: Sequence[Segment]) -> Segment:
    """One segment of the pixels of several of one class that do not overlap."""
    boxes = np.array([p.box_px for p in pieces])
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    left, top, right, bottom = round(left), round(top), round(right), round(bottom)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for piece in pieces:
        assert piece.mask is not None
        x, y = piece.corner_px[0] - left, piece.corner_px[1] - top
        mask[y : y + piece.mask.shape[0], x : x + piece.mask.shape[1]] |= piece.mask
    areas = np.array([p.area_px for p in pieces])
    x, y = np.average([p.centroid_px for p in pieces], axis=0, weights=areas).tolist()
    score = float(np.average([p.score for p in pieces], weights=areas))
    return Segment(pieces[0].class_id, (left, top, right, bottom), (x, y), int(areas.sum()), score, mask)


def _completes(pieces: F64, predicted: F64, usual: float) -> bool:
    """Whether the union of the pieces is shaped more usually, and is more where it should be, than the largest one."""
    whole, largest = _whole(pieces), pieces[np.argmax(_area(pieces))]
    ratios = [(box[3] - box[1]) / (box[2] - box[0]) / usual for box in (whole, largest)]
    odd_whole, odd_largest = np.abs(np.log(ratios))
    of_whole, of_largest = box_iou([whole, largest], [predicted])[:, 0]
    return bool(odd_whole < odd_largest and of_whole > of_largest)


def _is_divided(pieces: F64, others: F64) -> bool:
    """Whether segments of other classes fill the gap between the pieces."""
    whole = _whole(pieces)[None]
    gap = _area(whole)[0] - _area(pieces).sum()
    return bool(gap > 0 and _intersection(others, whole).sum() >= MIN_COVERED * gap)


def _whole(pieces: F64) -> F64:
    """(4,) the box around boxes (N, 4)."""
    return np.concatenate([pieces[:, :2].min(axis=0), pieces[:, 2:].max(axis=0)])


def _area(boxes: F64) -> F64:
    area: F64 = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area


def _intersection(first: F64, second: F64) -> F64:
    """(N, M) area that boxes (N, 4) and (M, 4) share, square pixels."""
    low, high = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared: F64 = np.prod(np.clip(high - low, 0, None), axis=-1)
    return shared
