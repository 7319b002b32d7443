"""Blobs that no track explains, cut where they are thin."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import Segment
from cmt_seg_ros.tracking.blobs.canvas import F32, I32, part_of, resized, shrunk
from cmt_seg_ros.tracking.blobs.splitting import nearest

SPLIT_PX = 96
"""Blobs are scaled down to this size before they are cut."""
SOLID_PX = 48
"""And to this one for their convex hull."""
MIN_PART = 0.3
"""Smallest part against the largest one, ratio of areas: less is a limb."""


def split(blob: Segment, aspect: float, config: TrackerConfig) -> list[Segment]:
    """Cut a blob at its waists, if the parts look like objects.

    Args:
        blob: with a mask.
        aspect: usual height over width of objects of its class: seen with that, each is about round.
        config: ``max_solidity``, ``max_constriction_ratio`` and ``max_aspect_deviation``.

    Returns:
        Its parts, or the blob alone.
    """
    if solidity(blob) >= config.max_solidity:
        return [blob]
    assert blob.mask is not None
    height, width = blob.mask.shape
    scale = min(1.0, SPLIT_PX / max(height / aspect, width))
    size = max(round(width * scale), 1), max(round(height / aspect * scale), 1)
    small = cv2.copyMakeBorder(resized(blob.mask, size), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    summits = _summits(
        np.asarray(cv2.distanceTransform(small, cv2.DIST_L2, 5), np.float32), config.max_constriction_ratio
    )
    count = int(summits.max())
    if count < 2:
        return [blob]
    owners = cv2.resize(nearest(summits)[1:-1, 1:-1], (width, height), interpolation=cv2.INTER_NEAREST) * blob.mask
    parts = [part for k in range(1, count + 1) if (part := part_of(blob, owners == k)) is not None]
    areas = [part.area_px for part in parts]
    plausible = min(areas) > MIN_PART * max(areas) and all(
        oddness(part, aspect) < config.max_aspect_deviation for part in parts
    )
    return parts if plausible else [blob]


def solidity(segment: Segment) -> float:
    """Share of its convex hull that a segment fills, 0-1."""
    assert segment.mask is not None
    small = shrunk(segment.mask, min(1.0, SOLID_PX / max(segment.mask.shape)))
    outlines = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    hull = cv2.convexHull(np.concatenate(outlines))
    # Through the pixels' centres; half a pixel is missing all around.
    area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    return float(np.count_nonzero(small) / area)


def oddness(segment: Segment, aspect: float) -> float:
    """How far its height over width is from the usual one: the ratio's logarithm, without sign."""
    left, top, right, bottom = segment.box_px
    return float(abs(np.log((bottom - top) / (right - left) / aspect)))


def _summits(depth: F32, waist: float) -> I32:
    """Hills of the distance transform as regions 1, 2, ...

    Two hills are two if the pass between them is lower than ``waist`` times the lower summit.
    """
    hills: list[tuple[float, npt.NDArray[np.bool_]]] = []  # summit and region; regions do not overlap
    levels = float(depth.max()) * 0.9 ** np.arange(1, 40)
    for level in levels[levels >= 1.5]:
        count, regions = cv2.connectedComponents((depth >= level).view(np.uint8), connectivity=8)
        hills = [hill for k in range(1, count) for hill in _merged(hills, regions == k, depth, level, waist)]
    markers = np.zeros(depth.shape, np.int32)
    for k, (_, region) in enumerate(hills):
        markers[region] = k + 1
    return markers


def _merged(
    hills: list[tuple[float, npt.NDArray[np.bool_]]],
    region: npt.NDArray[np.bool_],
    depth: F32,
    level: float,
    waist: float,
) -> list[tuple[float, npt.NDArray[np.bool_]]]:
    """The hills of one region that is above ``level``: those that met in it, or it as one."""
    high = [hill for hill in hills if hill[0] * waist >= level and (hill[1] & region).any()]
    return high if len(high) > 1 else [(float(depth[region].max()), region)]
