"""Canvas: a blob and its surroundings at a small size, on which silhouettes are cheap to shift.

Canvas coordinates are image coordinates minus the canvas's corner, times its scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import F64, U8, Box, Segment

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Point = tuple[float, float]

WORK_PX = 40
"""Blobs are scaled down to this size: a silhouette is then positioned to about 2 % of the blob's size."""
MARGIN = 3
"""Margin for rounding, canvas pixels."""
REACH_SIGMAS = 2.5
"""Largest shift of a silhouette, standard deviations."""
MAX_REACH = 12
"""Largest shift of a silhouette, canvas pixels."""


@dataclass(frozen=True, eq=False)
class Silhouette:
    """Prediction of an object's shape and position in this frame.

    Attributes:
        box_px: predicted box.
        shape: (h, w) uint8 0/1 of any size, its last mask when nothing touched it; stretched to the box.
        sigma_px: (2,) float64, standard deviation of its position, x and y.
    """

    box_px: Box
    shape: U8
    sigma_px: F64


class Canvas:
    """A blob at canvas size, and the gain of covering each pixel.

    Attributes:
        scale: canvas pixels per image pixel, at most 1.
        blob: (h, w) uint8 0/1.
        gain: (h, w) float32: 1 in the blob, -1 on the background, 0 where another object or the image's border may
            hide the object.
    """

    def __init__(self, blob: Segment, silhouettes: Sequence[Silhouette], occupied: U8, growth: float) -> None:
        """Draw the canvas; ``growth``: most by which a silhouette is larger than predicted, share of its size."""
        assert blob.mask is not None
        sigma = np.array([np.zeros(2), *(s.sigma_px for s in silhouettes)])
        boxes = np.array([blob.box_px, *(s.box_px for s in silhouettes)], np.float64)
        reach = np.maximum(3 * sigma, REACH_SIGMAS * sigma + growth / 2 * (boxes[:, 2:] - boxes[:, :2]))
        reach[0] = 0
        low = np.floor((boxes[:, :2] - reach).min(axis=0)).astype(int)
        high = np.ceil((boxes[:, 2:] + reach).max(axis=0)).astype(int)
        self.scale = min(1.0, WORK_PX / max(blob.mask.shape))
        self._corner = low - MARGIN / self.scale - 1
        width, height = ((high + MARGIN / self.scale + 1 - self._corner) * self.scale).astype(int) + 2
        self.blob = np.zeros((height, width), np.uint8)
        self.gain = np.zeros((height, width), np.float32)
        (x0, y0), (x1, y1) = np.maximum(low, 0), np.minimum(high, occupied.shape[::-1])
        self._paste(self.gain, np.equal(occupied[y0:y1, x0:x1], 0).view(np.uint8), (x0, y0), -1.0)
        self._paste(self.blob, blob.mask, blob.corner_px, 1)
        self.gain[self.blob != 0] = 1.0

    def _paste(self, into: npt.NDArray[np.generic], mask: U8, corner: tuple[int, int], value: float) -> None:
        if mask.size:
            small = shrunk(mask, self.scale)
            x, y = (round((c - o) * self.scale) for c, o in zip(corner, self._corner, strict=True))
            window(into, (x, y), small)[small != 0] = value

    def centre(self, silhouette: Silhouette) -> Point:
        """Return the predicted centre of a silhouette, (x, y)."""
        left, top, right, bottom = silhouette.box_px
        x, y = (np.array([left + right, top + bottom]) / 2 - self._corner) * self.scale
        return float(x), float(y)

    def reach(self, silhouette: Silhouette) -> tuple[int, int]:
        """Return how far a silhouette may be shifted, x and y."""
        x, y = (min(max(int(REACH_SIGMAS * s * self.scale), 1), MAX_REACH) for s in silhouette.sigma_px)
        return x, y

    def stretched(self, silhouette: Silhouette, growth: float) -> U8:
        """Return its shape, (h, w) uint8 0/1, at ``growth`` times the predicted size."""
        left, top, right, bottom = silhouette.box_px
        factor = self.scale * growth
        size = max(round((right - left) * factor), 1), max(round((bottom - top) * factor), 1)
        return resized(silhouette.shape, size)

    def cut(self, blob: Segment, owners: I32, count: int) -> list[Segment | None]:
        """Return the blob's pixels of each owner 1 ... ``count``; None for one without any."""
        assert blob.mask is not None
        axes = []
        for axis, start, length in zip((0, 1), blob.corner_px, blob.mask.shape[::-1], strict=True):
            at = np.round((np.arange(start, start + length) - self._corner[axis]) * self.scale).astype(int)
            axes.append(np.clip(at, 0, owners.shape[1 - axis] - 1))
        owner = owners[axes[1][:, None], axes[0][None]] * blob.mask
        return [part_of(blob, owner == k) for k in range(1, count + 1)]


def window(array: npt.NDArray[np.generic], place: tuple[int, int], shape: npt.NDArray[np.generic]) -> npt.NDArray:  # type: ignore[type-arg]
    """Return the view of an array that a shape covers with its corner (x, y) at ``place``."""
    return array[place[1] : place[1] + shape.shape[0], place[0] : place[0] + shape.shape[1]]


def resized(mask: U8, size: tuple[int, int]) -> U8:
    """Resize a 0/1 mask to (width, height): 1 where most of the pixels were 1."""
    if mask.shape == size[::-1]:
        return mask
    small: U8 = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    if not small.any():  # too thin to fill most of any pixel
        small = cv2.dilate(mask, np.ones((3, 3), np.uint8))
        small = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
    return small


def shrunk(mask: U8, scale: float) -> U8:
    """Scale a 0/1 mask; the result is at least one pixel wide and high."""
    height, width = mask.shape
    return resized(mask, (max(round(width * scale), 1), max(round(height * scale), 1)))


def part_of(blob: Segment, own: npt.NDArray[np.bool_]) -> Segment | None:
    """Return the pixels ``own`` of a blob, (h, w) bool, as a segment; None if there are none."""
    mask = own.view(np.uint8)
    x, y, w, h = cv2.boundingRect(mask)
    if not w:
        return None
    cut = np.ascontiguousarray(mask[y : y + h, x : x + w])
    moments = cv2.moments(cut, binaryImage=True)
    left, top = blob.corner_px[0] + x, blob.corner_px[1] + y
    centroid = left + moments["m10"] / moments["m00"], top + moments["m01"] / moments["m00"]
    return Segment(blob.class_id, (left, top, left + w, top + h), centroid, int(moments["m00"]), blob.score, cut)
