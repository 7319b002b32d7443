"""Objects of one class that touch are one blob in a mask: whose pixel is which?

Each live track knows how its object looked when nothing touched it, and about where it must be now. The
silhouettes are shifted and stretched until together they fill the blob: a pixel of the blob that only one
fills counts for its place, a pixel of the background against it. Pixels that no silhouette fills go
to the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import U8, Box, Segment
from cmt_seg_ros.tracking.canvas import F32, Canvas, Point, Silhouette, window

SWEEPS = 3
"""How often every silhouette is moved, given the places of the others."""
GROWTH_WEIGHT = 0.01
"""What another size than the predicted one must gain, share of the silhouette."""


@dataclass(frozen=True, eq=False)
class Part:
    """One object's share in a blob.

    Attributes:
        box_px: of the whole object, with what others hide.
        segment: the pixels that are its own; None if it has none.
        visible: share of its silhouette that fills what no other one fills, 0-1.
    """

    box_px: Box
    segment: Segment | None
    visible: float


@dataclass
class Fit:
    """One silhouette on the canvas.

    Attributes:
        start: (x, y) of its predicted centre.
        centre: (x, y) of its centre now; whole numbers apart from the start.
        growth: its size now over the predicted one.
        shape: (h, w) uint8 0/1 of that size.
    """

    start: Point
    centre: Point
    growth: float
    shape: U8

    @property
    def place(self) -> tuple[int, int]:
        """(x, y) of the pixel where its first pixel lies."""
        return _corner(self.centre, self.shape)


def explain(
    blob: Segment, silhouettes: Sequence[Silhouette], occupied: U8, config: TrackerConfig
) -> list[Part]:
    """Divide a blob among the objects that are expected in it.

    Args:
        blob: with a mask.
        silhouettes: at least one.
        occupied: (H, W) uint8, not 0 where any object of the frame is: these may hide one another.
        config: see TrackerConfig.

    Returns:
        A part for each silhouette.
    """
    canvas = Canvas(blob, silhouettes, occupied)
    fits = _fit(canvas, silhouettes, config)
    boxes = [_box(s.box_px, f, canvas.scale) for s, f in zip(silhouettes, fits, strict=True)]
    visible = _visible(canvas.blob, fits, config.min_visible)
    owners = np.zeros(canvas.blob.shape, np.uint8)
    for i in sorted(range(len(boxes)), key=lambda i: (boxes[i][3], boxes[i])):
        # The one that reaches further down stands nearer and hides the others.
        window(owners, fits[i].place, fits[i].shape)[fits[i].shape != 0] = i + 1
    owners[canvas.blob == 0] = 0
    segments = canvas.cut(blob, nearest(owners), len(boxes))
    return [Part(*part) for part in zip(boxes, segments, visible, strict=True)]


def nearest(owners: U8) -> U8:
    """Each pixel of (h, w) to the nearest owner; 0 = nobody's."""
    if not owners.any():
        return owners
    free = np.equal(owners, 0).view(np.uint8)
    _, cells = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros(int(cells.max()) + 1, np.uint8)
    table[cells[owners != 0]] = owners[owners != 0]
    filled: U8 = table[cells]
    return filled


def _fit(canvas: Canvas, silhouettes: Sequence[Silhouette], config: TrackerConfig) -> list[Fit]:
    """Places and sizes of the silhouettes that fill the blob best, each near what was predicted."""
    growths = (1.0, 1 - config.growth_step, 1 + config.growth_step)
    sizes = [[canvas.stretched(s, growth) for growth in growths] for s in silhouettes]
    centres = [canvas.centre(s) for s in silhouettes]
    fits = [Fit(centre, centre, 1.0, shapes[0]) for centre, shapes in zip(centres, sizes, strict=True)]
    cover = np.zeros(canvas.blob.shape, np.float32)
    for fit in fits:
        window(cover, fit.place, fit.shape)[:] += fit.shape
    for _ in range(SWEEPS if len(fits) > 1 else 1):
        before = [(fit.centre, fit.growth) for fit in fits]
        for fit, silhouette, shapes in zip(fits, silhouettes, sizes, strict=True):
            window(cover, fit.place, fit.shape)[:] -= fit.shape
            worth = np.where((canvas.blob != 0) & (cover > 0.5), np.float32(0), canvas.gain)
            search = _Search(worth, fit.start, silhouette.sigma_px * canvas.scale, config.place_weight)
            best, fit.centre = search.best(shapes[0], fit.start, canvas.reach(silhouette))
            fit.growth, fit.shape = growths[0], shapes[0]
            for growth, shape in zip(growths[1:], shapes[1:], strict=True):
                value, centre = search.best(shape, fit.centre, (1, 1))
                value = value * int(shape.sum()) / max(int(shapes[0].sum()), 1) - GROWTH_WEIGHT
                if value > best:
                    best, fit.centre, fit.growth, fit.shape = value, centre, growth, shape
            window(cover, fit.place, fit.shape)[:] += fit.shape
        if [(fit.centre, fit.growth) for fit in fits] == before:
            break
    return fits


@dataclass(frozen=True, eq=False)
class _Search:
    """Looks for the place where a shape fills most.

    Attributes:
        worth: (h, w) float32, what filling each pixel is worth.
        start: (x, y) where the centre should be.
        sigma: (2,) float64, how sure that is.
        weight: what a place one sigma off must gain, share of the shape.
    """

    worth: F32
    start: Point
    sigma: np.ndarray
    weight: float

    def best(self, shape: U8, at: Point, reach: tuple[int, int]) -> tuple[float, Point]:
        """The value of the best place within ``reach`` of ``at``, and that place."""
        (x0, y0), (h, w) = _corner(at, shape), shape.shape
        weights = shape.astype(np.float32).ravel()
        weights /= max(float(weights.sum()), 1.0)
        sigma_x, sigma_y = np.maximum(self.sigma, 0.5).tolist()
        off_x, off_y = at[0] - self.start[0], at[1] - self.start[1]
        known: dict[tuple[int, int], float] = {}

        def value(step: tuple[int, int]) -> float:
            if step not in known:
                x, y = x0 + step[0], y0 + step[1]
                filled = float(self.worth[y : y + h, x : x + w].ravel() @ weights)
                far = ((step[0] + off_x) / sigma_x) ** 2 + ((step[1] + off_y) / sigma_y) ** 2
                known[step] = filled - self.weight * far
            return known[step]

        # Downhill with shrinking steps: a few places are tried, not all.
        here, stride = (0, 0), 4 if max(reach) >= 4 else max(reach)
        while stride:
            x, y = here
            around = [here, (x - stride, y), (x + stride, y), (x, y - stride), (x, y + stride)]
            best = max((p for p in around if abs(p[0]) <= reach[0] and abs(p[1]) <= reach[1]), key=value)
            stride = stride // 2 if best == here else stride
            here = best
        return value(here), (at[0] + here[0], at[1] + here[1])


def _visible(blob: U8, fits: Sequence[Fit], least: float) -> list[float]:
    """Share of each silhouette that fills what no other one fills.

    The least needed ones are left out one by one until each fills at least the share ``least``: of two that
    fill the same, one is needed.
    """
    cover = np.where(blob != 0, 0, 100).astype(np.int32)
    for fit in fits:
        window(cover, fit.place, fit.shape)[:] += fit.shape
    shares = [1.0] * len(fits)
    needed = list(range(len(fits)))
    while len(needed) > 1:
        for i in needed:
            alone = window(cover, fits[i].place, fits[i].shape)[fits[i].shape != 0] == 1
            shares[i] = float(np.count_nonzero(alone)) / max(len(alone), 1)
        spare = min(needed, key=lambda i: shares[i])
        if shares[spare] >= least:
            break
        window(cover, fits[spare].place, fits[spare].shape)[:] -= fits[spare].shape
        needed.remove(spare)
    if len(needed) == 1:
        shares[needed[0]] = 1.0
    return shares


def _corner(centre: Point, shape: U8) -> tuple[int, int]:
    """(x, y) of the first pixel of a shape with that centre."""
    return round(centre[0] - shape.shape[1] / 2), round(centre[1] - shape.shape[0] / 2)


def _box(box: Box, fit: Fit, scale: float) -> Box:
    """A predicted box in the image after its silhouette was fitted."""
    x = (box[0] + box[2]) / 2 + (fit.centre[0] - fit.start[0]) / scale
    y = (box[1] + box[3]) / 2 + (fit.centre[1] - fit.start[1]) / scale
    w, h = (box[2] - box[0]) * fit.growth / 2, (box[3] - box[1]) * fit.growth / 2
    return x - w, y - h, x + w, y + h
