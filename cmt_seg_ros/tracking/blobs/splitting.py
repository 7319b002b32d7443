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
from cmt_seg_ros.tracking.blobs.canvas import I32, Canvas, Silhouette, window
from cmt_seg_ros.tracking.blobs.fitting import Fit, fit_all


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


def explain(blob: Segment, silhouettes: Sequence[Silhouette], occupied: U8, config: TrackerConfig) -> list[Part]:
    """Divide a blob among the objects that are expected in it.

    Args:
        blob: with a mask.
        silhouettes: at least one.
        occupied: (H, W) uint8, not 0 where any object of the frame is: these may hide one another.
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
        # The one that reaches further down stands nearer and hides the others.
        window(owners, fits[i].place, fits[i].shape)[fits[i].shape != 0] = i + 1
    owners[canvas.blob == 0] = 0
    segments = canvas.cut(blob, nearest(owners), len(boxes))
    return [Part(*part) for part in zip(boxes, segments, visible, strict=True)]


def nearest(owners: I32) -> I32:
    """Each pixel of (h, w) to the nearest owner; 0 = nobody's."""
    if not owners.any():
        return owners
    free = np.equal(owners, 0).view(np.uint8)
    _, cells = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros(int(cells.max()) + 1, np.int32)
    table[cells[owners != 0]] = owners[owners != 0]
    filled: I32 = table[cells]
    return filled


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


def _box(box: Box, fit: Fit, scale: float) -> Box:
    """A predicted box in the image after its silhouette was fitted."""
    x = (box[0] + box[2]) / 2 + fit.step[0] / scale
    y = (box[1] + box[3]) / 2 + fit.step[1] / scale
    w, h = (box[2] - box[0]) * fit.growth / 2, (box[3] - box[1]) * fit.growth / 2
    return x - w, y - h, x + w, y + h
