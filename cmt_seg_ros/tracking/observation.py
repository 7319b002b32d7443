"""Observation of one frame: its segments, their numbers as arrays, and the colours by which objects are re-identified.

Comaniciu, Ramesh and Meer 2003, "Kernel-Based Object Tracking": histograms compared by the Bhattacharyya coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cmt_seg_ros.structures import F64, U8, Segment
from cmt_seg_ros.tracking.association import I64, Looks
from cmt_seg_ros.tracking.visibility import Flags, hidden_sides

BINS = (8, 4, 4)
"""Of hue, saturation, value."""


class Observation:
    """The segments of one frame.

    Args:
        segments: in any order; kept in this one.
        stamp_ns: of the frame.
        size: (height, width) of the masks, pixels.
        image: (H, W, 3) uint8 BGR of that size; None without.

    Attributes:
        boxes: (M, 4) float64, pixels.
        class_ids: (M,) int64.
        scores: (M,) float64, 0-1.
        hidden: (M, 4) bool, as of visibility.hidden_sides.
        colors: (M, D) float64, as of observation.describe; None without an image.
    """

    def __init__(self, segments: Sequence[Segment], stamp_ns: int, size: tuple[int, int], image: U8 | None) -> None:
        self.segments: list[Segment] = []
        self.stamp_ns, self.size, self._image = stamp_ns, size, image
        self.colors: F64 | None = None
        self.add(segments)

    def add(self, segments: Sequence[Segment]) -> I64:
        """Take more segments; returns their columns."""
        first = len(self.segments)
        self.segments += segments
        self.boxes: F64 = np.array([s.box_px for s in self.segments], np.float64).reshape(-1, 4)
        self.class_ids: I64 = np.array([s.class_id for s in self.segments], np.int64)
        self.scores: F64 = np.array([s.score for s in self.segments], np.float64)
        self.hidden: Flags = hidden_sides(self.boxes, self.size)
        if self._image is not None and segments:
            colors = np.array([describe(segment, self._image) for segment in segments])
            self.colors = colors if self.colors is None else np.concatenate([self.colors, colors])
        return np.arange(first, len(self.segments))

    def looks(self, columns: I64) -> Looks:
        """The given segments as one side of the association."""
        colors = None if self.colors is None else self.colors[columns]
        return Looks(np.clip(self.boxes[columns], 0, np.tile(self.size[::-1], 2)), self.class_ids[columns], colors)

    def color_of(self, column: int) -> F64 | None:
        """Colours of one segment; None without an image."""
        return None if self.colors is None else self.colors[column]


def describe(segment: Segment, image_bgr: U8) -> F64:
    """Colours of a segment's pixels.

    Args:
        segment: its pixels, or its box where it has no mask.
        image_bgr: (H, W, 3) uint8, blue, green, red, of the mask's size.

    Returns:
        (128,) float64 of length 1; the product of two is their Bhattacharyya coefficient, 0-1.
    """
    height, width = image_bgr.shape[:2]
    left, top, right, bottom = (round(v) for v in segment.box_px)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if x0 >= x1 or y0 >= y1:
        return np.zeros(int(np.prod(BINS)))
    mask = None if segment.mask is None else segment.mask[y0 - top : y1 - top, x0 - left : x1 - left]
    step = max(1, int(np.sqrt((x1 - x0) * (y1 - y0)) // 48))  # some thousand pixels are enough
    crop = cv2.cvtColor(np.ascontiguousarray(image_bgr[y0:y1:step, x0:x1:step]), cv2.COLOR_BGR2HSV)
    mask = None if mask is None else np.ascontiguousarray(mask[::step, ::step])
    histogram = cv2.calcHist([crop], [0, 1, 2], mask, BINS, [0, 180, 0, 256, 0, 256]).ravel().astype(np.float64)
    return np.sqrt(histogram / max(histogram.sum(), 1.0))
