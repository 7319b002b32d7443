"""Camera motion: displacement of the picture since the last frame, by optical flow or by what all segments share.

Flow: Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search", as implemented in OpenCV.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import F64, U8, Box, Segment

FLOW_PX = 320
"""Images are scaled down to this width or height for the flow."""
MIN_SAMPLES = 16
"""Least number of background pixels that give its displacement."""
MIN_FLOW_PX = 32
"""And no further than this: OpenCV's flow fails on smaller images."""
SAMPLES = 128
"""About how many pixels of an object its displacement is measured at."""
MIN_PAIRS = 3
"""Least number of objects; with fewer, the camera's motion cannot be told from their own."""


def common_shift(residuals_px: F64) -> F64:
    """Return how far the objects moved beyond their predictions in common, which is attributed to camera motion.

    Args:
        residuals_px: (N, 2) float64, observed minus predicted position of each, x and y.

    Returns:
        (2,) float64, their median; zero if there are too few.
    """
    return np.zeros(2) if len(residuals_px) < MIN_PAIRS else np.asarray(np.median(residuals_px, axis=0), np.float64)


class Flow:
    """Optical flow: displacement of every pixel from one frame to the next.

    Args:
        field: (h, w, 2) float32, x and y, in its own pixels; it is smaller than the mask.
        static: (h, w) bool, where no object was in the first frame.
        scale: its pixels per pixel of the mask, x and y.
    """

    def __init__(self, field: npt.NDArray[np.float32], static: npt.NDArray[np.bool_], scale: F64) -> None:
        self._field, self._static, self._scale = field, static, scale

    def of_segment(self, segment: Segment) -> tuple[float, float]:
        """Return how far an object of the first frame moved, (x, y): the median over its pixels."""
        if segment.mask is None:
            return self._median(self._field[self._area(segment.box_px)].reshape(-1, 2))
        step = max(1, round(math.sqrt(segment.area_px / SAMPLES)))
        places = np.argwhere(segment.mask[::step, ::step]) * step  # y, x
        places = places if len(places) else np.argwhere(segment.mask)
        height, width = self._static.shape
        x, y = ((places[:, ::-1] + segment.corner_px + 0.5) * self._scale).astype(int).T
        return self._median(self._field[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)])

    def of_background(self, box: Box) -> tuple[float, float]:
        """Return how far the background around a box of the first frame moved, (x, y)."""
        left, top, right, bottom = box
        w, h = (right - left) / 2, (bottom - top) / 2
        height, width = self._static.shape
        around = self._area((left - w, top - h, right + w, bottom + h))
        for rows, columns in (around, (slice(0, height), slice(0, width))):
            step = max(1, round(math.sqrt((rows.stop - rows.start) * (columns.stop - columns.start) / (2 * SAMPLES))))
            some = np.s_[rows.start : rows.stop : step, columns.start : columns.stop : step]
            field = self._field[some][self._static[some]]
            if len(field) >= MIN_SAMPLES:
                return self._median(field)
        return 0.0, 0.0

    def _median(self, points: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Return the median of (n, 2) displacements in pixels of the mask; some hundred of them are enough."""
        some = np.sort(points[:: max(1, len(points) // SAMPLES)], axis=0)
        x, y = some[len(some) // 2] / self._scale
        return float(x), float(y)

    def _area(self, box: Box) -> tuple[slice, slice]:
        """Return a box as indices of the field, at least one pixel of it."""
        height, width = self._static.shape
        x0, y0 = (int(v) for v in np.clip(np.array(box[:2]) * self._scale, 0, (width - 1, height - 1)))
        x1, y1 = (int(v) for v in np.clip(np.ceil(np.array(box[2:]) * self._scale), 1, (width, height)))
        return slice(y0, max(y1, y0 + 1)), slice(x0, max(x1, x0 + 1))


class FlowEstimator:
    """Estimates the optical flow between each image and the one before."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last image."""
        self._last: tuple[U8, npt.NDArray[np.bool_], tuple[int, int]] | None = None

    def update(self, image_bgr: U8 | None, occupied: U8) -> Flow | None:
        """Estimate the flow to the next frame.

        Args:
            image_bgr: (H, W, 3) uint8, blue, green, red, of the mask's size; None if there is none.
            occupied: (H, W) uint8, not 0 where any object is.

        Returns:
            The flow from the last frame to this; None if one of them has no image, or the size changed.
        """
        last, self._last = self._last, None
        if image_bgr is None:
            return None
        size = occupied.shape[:2]
        small = min(1.0, FLOW_PX / max(size))
        shape = max(round(size[1] * small), MIN_FLOW_PX), max(round(size[0] * small), MIN_FLOW_PX)
        gray = cv2.resize(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), shape, interpolation=cv2.INTER_AREA)
        static = cv2.resize(occupied, shape, interpolation=cv2.INTER_NEAREST) == 0
        self._last = np.asarray(gray, np.uint8), static, (size[0], size[1])
        if last is None or last[2] != size:
            return None
        scale = np.array([shape[0] / size[1], shape[1] / size[0]])
        field = _engine().calc(last[0], self._last[0], None)  # type: ignore[call-overload]
        return Flow(field, last[1], scale)


@lru_cache(1)  # not part of the tracker's state, which an evaluation saves and loads
def _engine() -> cv2.DISOpticalFlow:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
