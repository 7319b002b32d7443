"""Fragments: several segments of one object, joined again.

A pedestrian who walks past a car divides its mask; a shirt in the colour of the wall cuts a person in two. Without
this, one fragment would continue the track with a jump of its centre and the other would become a second object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import F64, Segment
from cmt_seg_ros.tracking.association import Appearances

MIN_INSIDE = 0.8
"""Share of a fragment's box that must lie in the predicted box of the object."""
MIN_COVERED = 0.5
"""Share of the gap between fragments that segments of other classes must fill to count as being in front."""


def join_fragments(segments: Sequence[Segment], tracks: Appearances, aspect: Callable[[int], float]) -> list[Segment]:
    """Replace the fragments of an object by their union.

    Fragments are joined if segments of other classes fill the gap between them, or if the aspect ratio of the union is
    more usual for the class than that of the largest fragment. Neither holds for two people who separate after walking
    as one blob.

    Args:
        segments: of one frame.
        tracks: predicted boxes and classes of the confirmed tracks.
        aspect: returns the usual height over width of the objects of a class.

    Returns:
        The segments, in which each union stands in place of the first of its fragments.
    """
    joined = list(segments)
    if len(joined) < 2 or not len(tracks.boxes) or any(segment.mask is None for segment in joined):
        return joined
    boxes = np.array([s.box_px for s in joined], np.float64)
    classes = np.array([s.class_id for s in joined])
    fits = _intersection(boxes, tracks.boxes) >= MIN_INSIDE * _area(boxes)[:, None]
    fits &= classes[:, None] == tracks.class_ids[None]
    fits[[s.is_instance for s in joined]] = False
    fits[fits.sum(axis=1) > 1] = False  # a fragment that could belong to two objects is left alone
    merged: set[int] = set()
    for row in np.flatnonzero(fits.sum(axis=0) > 1):
        fragments = np.flatnonzero(fits[:, row])
        usual = aspect(int(tracks.class_ids[row]))
        others = boxes[classes != tracks.class_ids[row]]
        if _completes(boxes[fragments], tracks.boxes[row], usual) or _is_divided(boxes[fragments], others):
            joined[fragments[0]] = union([joined[fragment] for fragment in fragments])
            merged.update(fragments[1:].tolist())
    return [segment for index, segment in enumerate(joined) if index not in merged]


def union(fragments: Sequence[Segment]) -> Segment:
    """Join segments of one class that do not overlap into one."""
    boxes = np.array([p.box_px for p in fragments])
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    left, top, right, bottom = round(left), round(top), round(right), round(bottom)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for fragment in fragments:
        assert fragment.mask is not None
        x, y = fragment.corner_px[0] - left, fragment.corner_px[1] - top
        mask[y : y + fragment.mask.shape[0], x : x + fragment.mask.shape[1]] |= fragment.mask
    areas = np.array([p.area_px for p in fragments])
    x, y = np.average([p.centroid_px for p in fragments], axis=0, weights=areas).tolist()
    score = float(np.average([p.score for p in fragments], weights=areas))
    return Segment(fragments[0].class_id, (left, top, right, bottom), (x, y), int(areas.sum()), score, mask)


def _completes(fragments: F64, predicted: F64, usual: float) -> bool:
    """Return whether the union fits the usual aspect ratio and the predicted box better than the largest fragment."""
    whole, largest = _whole(fragments), fragments[np.argmax(_area(fragments))]
    ratios = [(box[3] - box[1]) / (box[2] - box[0]) / usual for box in (whole, largest)]
    deviation_whole, deviation_largest = np.abs(np.log(ratios))
    of_whole, of_largest = box_iou([whole, largest], [predicted])[:, 0]
    return bool(deviation_whole < deviation_largest and of_whole > of_largest)


def _is_divided(fragments: F64, others: F64) -> bool:
    """Return whether segments of other classes fill the gap between the fragments."""
    whole = _whole(fragments)[None]
    gap = _area(whole)[0] - _area(fragments).sum()
    return bool(gap > 0 and _intersection(others, whole).sum() >= MIN_COVERED * gap)


def _whole(fragments: F64) -> F64:
    """Return the (4,) box around boxes (N, 4)."""
    return np.concatenate([fragments[:, :2].min(axis=0), fragments[:, 2:].max(axis=0)])


def _area(boxes: F64) -> F64:
    area: F64 = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area


def _intersection(first: F64, second: F64) -> F64:
    """Return the (N, M) areas that boxes (N, 4) and (M, 4) share, square pixels."""
    low, high = np.maximum(first[:, None, :2], second[None, :, :2]), np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared: F64 = np.prod(np.clip(high - low, 0, None), axis=-1)
    return shared
