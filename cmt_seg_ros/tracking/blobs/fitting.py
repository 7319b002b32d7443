"""Fitting of silhouettes: they are shifted and scaled until together they cover a blob.

In turn each silhouette is moved to where it covers most of what no other one covers, until none moves any more:
coordinate descent, as in deformable template matching (Jain, Zhong and Lakshmanan 1996).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import U8
from cmt_seg_ros.tracking.blobs.canvas import F32, Canvas, Point, Silhouette, window

SWEEPS = 2
"""Number of passes over the silhouettes."""
STRIDE = 4
"""Length of the first steps, canvas pixels."""
AROUND = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
"""Directions of a step."""
GROWTH_WEIGHT = 0.01
"""Cost of a size that differs from the predicted one, share of the silhouette."""
MIN_SIGMA = 0.5
"""Least standard deviation of a position, canvas pixels."""


class Fit:
    """Position and size of one silhouette on the canvas.

    Attributes:
        start: predicted centre, (x, y).
        step: shift from there, (x, y), whole canvas pixels.
        growth: its size over the predicted one.
        shape: (h, w) uint8 0/1 of that size.
        place: (x, y) of its first pixel on the canvas.
    """

    def __init__(self, canvas: Canvas, silhouette: Silhouette, config: TrackerConfig) -> None:
        self.start: Point = canvas.centre(silhouette)
        self.step = (0, 0)
        self._reach = canvas.reach(silhouette)
        sigma = np.maximum(silhouette.sigma_px * canvas.scale, MIN_SIGMA)
        self._pull = (config.place_weight / np.square(sigma)).tolist()
        self._growths = (1.0, 1 - config.growth_step, 1 + config.growth_step)
        self._shapes = [canvas.stretched(silhouette, growth) for growth in self._growths]
        area = max(int(np.count_nonzero(self._shapes[0])), 1)
        self._weights = [shape / np.float32(area) for shape in self._shapes]
        self._corners = [_corner(self.start, shape) for shape in self._shapes]
        self._size = 0  # index of the current one

    @property
    def growth(self) -> float:
        """See above."""
        return self._growths[self._size]

    @property
    def shape(self) -> U8:
        """See above."""
        return self._shapes[self._size]

    @property
    def place(self) -> tuple[int, int]:
        """See above."""
        x, y = self._corners[self._size]
        return x + self.step[0], y + self.step[1]

    def improve(self, worth: F32) -> bool:
        """Find the best position and size; return whether they changed.

        Args:
            worth: (h, w) float32 of the canvas, gain of covering each pixel.
        """
        before = self.step, self._size
        x, y = self._descend(worth)
        # An object stands on the ground and grows upwards, so another size has another best position.
        options = [(size, (x + dx, y + dy)) for size in range(len(self._shapes)) for dx, dy in AROUND]
        self._size, self.step = max(options, key=lambda option: self._value(worth, *option))
        return (self.step, self._size) != before

    def _descend(self, worth: F32) -> tuple[int, int]:
        """Find the best position at the predicted size, with steps that shrink so that few positions are tried."""
        known: dict[tuple[int, int], float] = {}
        here, stride = (0, 0), STRIDE
        while stride:
            x, y = here
            best, most = here, -np.inf
            for dx, dy in AROUND:
                place = x + stride * dx, y + stride * dy
                if place not in known:
                    known[place] = self._value(worth, 0, place)
                if known[place] > most:
                    best, most = place, known[place]
            stride = stride // 2 if best == here else stride
            here = best
        return here

    def _value(self, worth: F32, size: int, step: tuple[int, int]) -> float:
        """Return the gain at a position, share of the silhouette, less the cost of the shift and of the size."""
        dx, dy = step
        if abs(dx) > self._reach[0] or abs(dy) > self._reach[1]:
            return -np.inf
        (x, y), weights = self._corners[size], self._weights[size]
        x, y = x + dx, y + dy
        filled = np.vdot(worth[y : y + weights.shape[0], x : x + weights.shape[1]], weights)
        return float(filled) - self._pull[0] * dx * dx - self._pull[1] * dy * dy - GROWTH_WEIGHT * (size > 0)


def fit_all(canvas: Canvas, silhouettes: Sequence[Silhouette], config: TrackerConfig) -> list[Fit]:
    """Fit the silhouettes to the blob, each near its prediction."""
    fits = [Fit(canvas, silhouette, config) for silhouette in silhouettes]
    cover = np.zeros(canvas.blob.shape, np.int32)
    for one in fits:
        window(cover, one.place, one.shape)[:] += one.shape
    for _ in range(SWEEPS):
        moved = False
        for one in fits:
            window(cover, one.place, one.shape)[:] -= one.shape
            # Where another silhouette covers the blob already, there is no gain.
            worth = np.where(canvas.blob & (cover != 0), np.float32(0), canvas.gain)
            moved |= one.improve(worth)
            window(cover, one.place, one.shape)[:] += one.shape
        if not moved or len(fits) == 1:
            break
    return fits


def _corner(centre: Point, shape: U8) -> tuple[int, int]:
    """Return (x, y) of the first pixel of a shape with that centre."""
    return round(centre[0] - shape.shape[1] / 2), round(centre[1] - shape.shape[0] / 2)
