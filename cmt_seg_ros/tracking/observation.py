"""Observation: the segments of one frame, which tracks explain them, and the colours that re-identify objects.

Comaniciu, Ramesh and Meer 2003, "Kernel-Based Object Tracking": histograms compared by the Bhattacharyya coefficient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from cmt_seg_ros.structures import F64, U8, Segment
from cmt_seg_ros.tracking.association import Appearances
from cmt_seg_ros.tracking.blobs.sharing import Matches
from cmt_seg_ros.tracking.blobs.splitting import Part
from cmt_seg_ros.tracking.live_track import LiveTrack
from cmt_seg_ros.tracking.visibility import Flags, hidden_sides

BINS = (8, 4, 4)
"""Of hue, saturation, value."""


class Observation:
    """The segments of one frame; the steps of the tracker move them from ``unexplained`` to ``matched`` and ``parts``.

    Args:
        segments: in any order; kept in this one.
        stamp_ns: of the frame.
        size: (height, width) of the masks, pixels.
        image: (H, W, 3) uint8 BGR of that size; None without.

    Attributes:
        segments: of the frame, as given.
        matched: each segment that shows exactly one track, and that track.
        parts: each track that is in a blob with others, and its part of the blob.
        unexplained: the segments that no track explains so far.
    """

    def __init__(self, segments: Sequence[Segment], stamp_ns: int, size: tuple[int, int], image: U8 | None) -> None:
        self.segments, self.stamp_ns, self.size, self._image = segments, stamp_ns, size, image
        self.matched: Matches = {}
        self.parts: dict[LiveTrack, Part] = {}
        self.unexplained = list(segments)
        self._all = list(segments)  # also the parts of what was cut
        self._hidden: dict[Segment, Flags] = {}
        self._colors: dict[Segment, F64] = {}

    def explains(self, track: LiveTrack) -> bool:
        """Return whether a track has a segment or a part of one."""
        return track in self.parts or track in self.matched.values()

    def match(self, matches: Matches) -> None:
        """Record that each of these segments shows the track beside it."""
        self.matched |= matches
        self.unexplained = [s for s in self.unexplained if s not in matches]

    def divide(self, blob: Segment, visible: LiveTrack | None, parts: Mapping[LiveTrack, Part]) -> None:
        """Record the parts of the tracks in a blob; ``visible``: it shows only this track, which hides the others."""
        self.matched.pop(blob, None)
        self.unexplained = [s for s in self.unexplained if s is not blob]
        self.parts |= parts
        if visible is not None:
            self.matched[blob] = visible

    def separate(self, segment: Segment, own: Segment, others: Sequence[Segment]) -> None:
        """Record that only one part of a matched segment shows the track; the others are unexplained."""
        self.matched[own] = self.matched.pop(segment)
        self.unexplained += others
        self._all += [own, *others]

    def split(self, segment: Segment, parts: Sequence[Segment]) -> None:
        """Replace an unexplained segment by its parts."""
        place = self.unexplained.index(segment)
        self.unexplained[place : place + 1] = parts
        self._all += parts

    def appearances(self, segments: Sequence[Segment]) -> Appearances:
        """Return segments of this frame as one side of the association."""
        boxes = np.array([s.box_px for s in segments], np.float64).reshape(-1, 4)
        colors = None if self._image is None else np.array([self.color(s) for s in segments])
        class_ids = np.array([s.class_id for s in segments], np.int64)
        return Appearances(np.clip(boxes, 0, np.tile(self.size[::-1], 2)), class_ids, colors)

    def color(self, segment: Segment) -> F64 | None:
        """Return the colours of a segment, as of :func:`color_histogram`; None without an image."""
        if self._image is not None and segment not in self._colors:
            self._colors[segment] = color_histogram(segment, self._image)
        return self._colors.get(segment)

    def hidden_sides(self, segment: Segment) -> Flags:
        """Return (4,) bool, as of visibility.hidden_sides; a part of a blob is also hidden where the blob continues."""
        if len(self._hidden) != len(self._all):
            flags = hidden_sides(np.array([s.box_px for s in self._all], np.float64), self.size)
            self._hidden = dict(zip(self._all, flags, strict=True))
        return self._hidden[segment]


def color_histogram(segment: Segment, image_bgr: U8) -> F64:
    """Compute the colour histogram of a segment.

    Args:
        segment: its pixels count, or those of its box if it has no mask.
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
