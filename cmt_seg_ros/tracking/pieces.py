"""One object cut in two by another in front of it: join its pieces again.

A pedestrian who walks past a car divides its mask. Without this, one piece would continue the car's
track with a jump of its centre and the other would become a second car.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import F64, Segment
from cmt_seg_ros.tracking.association import Boxes

MIN_INSIDE = 0.8
"""Share of a piece's box that must lie in the box predicted of the whole."""
MIN_COVERED = 0.5
"""Share of the gap between the pieces that other segments must fill: what hides the middle is known.
Without this, two people who part after walking as one blob would never be told apart."""


def join_pieces(segments: Sequence[Segment], tracks: Boxes) -> list[Segment]:
    """Replace pieces of one object by their union.

    Args:
        segments: of one frame.
        tracks: predicted boxes and classes of the objects known to exist.

    Returns:
        The segments, with those that were pieces of a track's object joined; the union comes at the
        place of its first piece.
    """
    joined = list(segments)
    if len(joined) < 3 or not len(tracks.boxes):  # two pieces and what hides the middle
        return joined
    boxes = np.array([s.box_px for s in joined], np.float64)
    classes = np.array([s.class_id for s in joined])
    fits = _intersection(boxes, tracks.boxes) >= MIN_INSIDE * _area(boxes)[:, None]
    fits &= classes[:, None] == tracks.class_ids[None]
    fits[fits.sum(axis=1) > 1] = False  # a piece that could be of two objects is left alone
    gone: set[int] = set()
    for row in np.flatnonzero(fits.sum(axis=0) > 1):
        pieces = np.flatnonzero(fits[:, row])
        if _is_divided(boxes, pieces, classes != tracks.class_ids[row]):
            joined[pieces[0]] = union([joined[piece] for piece in pieces])
            gone.update(pieces[1:].tolist())
    return [segment for index, segment in enumerate(joined) if index not in gone]


def union(pieces: Sequence[Segment]) -> Segment:
    """One segment of the pixels of several of one class that do not overlap."""
    boxes = np.array([p.box_px for p in pieces])
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for piece in pieces:
        x, y = piece.box_px[0] - left, piece.box_px[1] - top
        mask[y : y + piece.mask.shape[0], x : x + piece.mask.shape[1]] |= piece.mask
    areas = np.array([p.area_px for p in pieces])
    x, y = np.average([p.centroid_px for p in pieces], axis=0, weights=areas).tolist()
    score = float(np.average([p.score for p in pieces], weights=areas))
    return Segment(pieces[0].class_id, (left, top, right, bottom), (x, y), int(areas.sum()), score, mask)


def _is_divided(boxes: F64, pieces: npt.NDArray[np.int64], others: npt.NDArray[np.bool_]) -> bool:
    """Whether segments of other classes fill the gap between the pieces."""
    whole = np.concatenate([boxes[pieces, :2].min(axis=0), boxes[pieces, 2:].max(axis=0)])[None]
    gap = _area(whole)[0] - _area(boxes[pieces]).sum()
    return bool(gap > 0 and _intersection(boxes[others], whole).sum() >= MIN_COVERED * gap)


def _area(boxes: F64) -> F64:
    area: F64 = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area


def _intersection(first: F64, second: F64) -> F64:
    """(N, M) area that boxes (N, 4) and (M, 4) share, square pixels."""
    low, high = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared: F64 = np.prod(np.clip(high - low, 0, None), axis=-1)
    return shared
