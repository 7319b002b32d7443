"""What is usual for the objects of a class: their height over their width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmt_seg_ros.structures import Box, Segment
from cmt_seg_ros.tracking.blobs.constrictions import solidity
from cmt_seg_ros.tracking.live_track import LiveTrack

SOLID = 0.95
"""Segments that fill this share of their convex hull are one object."""
PIECE = 0.7
"""Smaller than this share of a track's box that it lies in, a segment is a piece of it."""
ENOUGH = 3
"""So many tracks tell what height over width is usual."""


class AspectRatios:
    """Usual height over width of the objects of each class, found out when asked for."""

    def __init__(self, tracks: Sequence[LiveTrack], segments: Sequence[Segment]) -> None:
        self._tracks, self._segments = tracks, segments
        self._known: dict[int, float] = {}

    def of(self, class_id: int) -> float:
        """The median over what is tracked and, where that is little, what is surely one object; 1 if unknown."""
        if class_id not in self._known:
            ratios = [_ratio(t.state.box_px) for t in self._tracks if t.class_id == class_id]
            if len(ratios) < ENOUGH:
                same = [t.state.box_px for t in self._tracks if t.class_id == class_id]
                ratios += [_ratio(s.box_px) for s in self._segments if s.class_id == class_id and _is_one(s, same)]
            self._known[class_id] = float(np.median(ratios)) if ratios else 1.0
        return self._known[class_id]


def _is_one(segment: Segment, boxes: Sequence[Box]) -> bool:
    """Whether a segment is surely one object: neither several, nor a piece of one that is in one of the boxes."""
    if segment.mask is None or solidity(segment) <= SOLID:
        return False
    left, top, right, bottom = segment.box_px
    x, y, area = (left + right) / 2, (top + bottom) / 2, (right - left) * (bottom - top)
    return not any(b[0] < x < b[2] and b[1] < y < b[3] and area < PIECE * (b[2] - b[0]) * (b[3] - b[1]) for b in boxes)


def _ratio(box: tuple[float, float, float, float]) -> float:
    return (box[3] - box[1]) / (box[2] - box[0])
