"""Aspect ratios: usual height over width of the objects of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmt_seg_ros.structures import Box, Segment
from cmt_seg_ros.tracking.blobs.constrictions import solidity
from cmt_seg_ros.tracking.live_track import LiveTrack

SINGLE_SOLIDITY = 0.95
"""Segments that fill this share of their convex hull are single objects."""
FRAGMENT_AREA = 0.7
"""A segment inside the box of a track and smaller than this share of that box is a fragment of its object."""
MIN_TRACKS = 3
"""With fewer tracks of a class, segments of the frame count, too."""


class AspectRatios:
    """Usual height over width of the objects of each class; computed when it is first asked for."""

    def __init__(self, tracks: Sequence[LiveTrack], segments: Sequence[Segment]) -> None:
        self._tracks, self._segments = tracks, segments
        self._known: dict[int, float] = {}

    def of(self, class_id: int) -> float:
        """Return the median over the tracks and, if there are few, the single objects of the frame; 1 if unknown."""
        if class_id not in self._known:
            ratios = [_ratio(t.state.box_px) for t in self._tracks if t.class_id == class_id]
            if len(ratios) < MIN_TRACKS:
                same = [t.state.box_px for t in self._tracks if t.class_id == class_id]
                ratios += [_ratio(s.box_px) for s in self._segments if s.class_id == class_id and _is_single(s, same)]
            self._known[class_id] = float(np.median(ratios)) if ratios else 1.0
        return self._known[class_id]


def _is_single(segment: Segment, boxes: Sequence[Box]) -> bool:
    """Return whether a segment is one whole object: not several, and no fragment of one that is in one of the boxes."""
    if segment.mask is None or solidity(segment) <= SINGLE_SOLIDITY:
        return False
    left, top, right, bottom = segment.box_px
    x, y, area = (left + right) / 2, (top + bottom) / 2, (right - left) * (bottom - top)
    return not any(
        b[0] < x < b[2] and b[1] < y < b[3] and area < FRAGMENT_AREA * (b[2] - b[0]) * (b[3] - b[1]) for b in boxes
    )


def _ratio(box: tuple[float, float, float, float]) -> float:
    return (box[3] - box[1]) / (box[2] - box[0])
