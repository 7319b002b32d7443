"""Splitting of blobs: the pixels of a merged blob, divided among the objects in it.

Each track knows the shape of its object when nothing touched it, and predicts its position. These silhouettes are
shifted and scaled until together they cover the blob: a pixel of the blob that only one silhouette covers is a gain for
its position, a pixel of the background a loss. Pixels that no silhouette covers belong to the nearest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import U8, Box, Segment
from cmt_seg_ros.tracking.blobs.canvas import I32, Canvas, Silhouette, window
from cmt_seg_ros.tracking.blobs.fitting import Fit, fit_all


@dataclass(frozen=True, eq=False)
class Part:
    """The part of a blob that one object has.

    Attributes:
        box_px: of the whole object, including what others hide.
        segment: its own pixels; None if it has none.
        visible: share of its silhouette that covers what no other one covers, 0-1.
    """

    box_px: Box
    segment: Segment | None
    visible: float


def divide_blob(blob: Segment, silhouettes: Sequence[Silhouette], occupied: U8, config: TrackerConfig) -> list[Part]:
    """Divide a blob among the objects that are predicted in it.

    Args:
        blob: with a mask.
        silhouettes: at least one.
        occupied: (H, W) uint8, not 0 where any object of the frame is: objects may hide one another.
        config: see TrackerConfig.

    Returns:
        A part for each silhouette.
    """
    canvas = Canvas(blob, silhouettes, occupied, config.growth_step)
    fits = fit_all(canvas, silhouettes, config)
    boxes = [_box(s.box_px, f, canvas.scale) for s, f in zip(silhouettes, fits, strict=True)]
    visible = _visible(canvas.blob, fits, config.min_visible)
    owners = np.zeros(canvas.blob.shape, np.int32)
    for i in sorted(range(len(boxes)), key=lambda i: (boxes[i][3], boxes[i])):
        # The object that reaches further down is nearer and hides the others.
        window(owners, fits[i].place, fits[i].shape)[fits[i].shape != 0] = i + 1
    owners[canvas.blob == 0] = 0
    segments = canvas.cut(blob, assign_to_nearest(owners), len(boxes))
    return [Part(*part) for part in zip(boxes, segments, visible, strict=True)]


def assign_to_nearest(owners: I32) -> I32:
    """Give each pixel of (h, w) int32 without an owner (0) the nearest one."""
    if not owners.any():
        return owners
    free = np.equal(owners, 0).view(np.uint8)
    _, cells = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros(int(cells.max()) + 1, np.int32)
    table[cells[owners != 0]] = owners[owners != 0]
    filled: I32 = table[cells]
    return filled


def _visible(blob: U8, fits: Sequence[Fit], least: float) -> list[float]:
    """Compute the share of each silhouette that covers what no other one covers.

    Silhouettes with the smallest shares are left out one by one until each share is at least ``least``: of two that
    cover the same pixels, one remains.
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


def _box(box: Box, fit: Fit, scale: float) -> Box:
    """Return the box in the image after the silhouette was fitted."""
    x = (box[0] + box[2]) / 2 + fit.step[0] / scale
    y = (box[1] + box[3]) / 2 + fit.step[1] / scale
    w, h = (box[2] - box[0]) * fit.growth / 2, (box[3] - box[1]) * fit.growth / 2
    return x - w, y - h, x + w, y + h
