"""Constrictions of blobs: where a blob is thin, it is cut into objects by its distance transform alone."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import Segment
from cmt_seg_ros.tracking.blobs.canvas import F32, I32, part_of, resized, shrunk
from cmt_seg_ros.tracking.blobs.splitting import assign_to_nearest

SPLIT_PX = 96
"""Blobs are scaled down to this size before they are cut."""
SOLID_PX = 48
"""Blobs are scaled down to this size for their convex hull."""
MIN_PART = 0.3
"""Smallest part over the largest one, ratio of areas: a smaller one is a limb."""


def split_at_constrictions(blob: Segment, aspect: float, config: TrackerConfig) -> list[Segment]:
    """Cut a blob at its constrictions, if the parts are plausible objects.

    Args:
        blob: with a mask.
        aspect: usual height over width of the objects of its class; the blob is scaled so that they are about round.
        config: ``max_solidity``, ``max_constriction_ratio`` and ``max_aspect_deviation``.

    Returns:
        Its parts, or only the blob.
    """
    if solidity(blob) >= config.max_solidity:
        return [blob]
    assert blob.mask is not None
    height, width = blob.mask.shape
    scale = min(1.0, SPLIT_PX / max(height / aspect, width))
    size = max(round(width * scale), 1), max(round(height / aspect * scale), 1)
    small = cv2.copyMakeBorder(resized(blob.mask, size), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    distance = np.asarray(cv2.distanceTransform(small, cv2.DIST_L2, 5), np.float32)
    regions = _peak_regions(distance, config.max_constriction_ratio)
    count = int(regions.max())
    if count < 2:
        return [blob]
    nearest = assign_to_nearest(regions)[1:-1, 1:-1]
    owners = cv2.resize(nearest, (width, height), interpolation=cv2.INTER_NEAREST) * blob.mask
    parts = [part for k in range(1, count + 1) if (part := part_of(blob, owners == k)) is not None]
    areas = [part.area_px for part in parts]
    large = min(areas) > MIN_PART * max(areas)
    plausible = large and all(aspect_deviation(part, aspect) < config.max_aspect_deviation for part in parts)
    return parts if plausible else [blob]


def solidity(segment: Segment) -> float:
    """Return the share of its convex hull that a segment fills, 0-1."""
    assert segment.mask is not None
    small = shrunk(segment.mask, min(1.0, SOLID_PX / max(segment.mask.shape)))
    outlines = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    hull = cv2.convexHull(np.concatenate(outlines))
    # The hull goes through the centres of pixels; half a pixel is missing all around.
    area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    return float(np.count_nonzero(small) / area)


def aspect_deviation(segment: Segment, aspect: float) -> float:
    """Return how far its height over width is from the usual one: the absolute logarithm of their ratio."""
    left, top, right, bottom = segment.box_px
    return float(abs(np.log((bottom - top) / (right - left) / aspect)))


def _peak_regions(distance: F32, waist: float) -> I32:
    """Find the peaks of a distance transform, as regions 1, 2, ... of (h, w) int32; 0 elsewhere.

    Two peaks are separate if the saddle between them is lower than ``waist`` times the lower peak.
    """
    peaks: list[tuple[float, npt.NDArray[np.bool_]]] = []  # height and region; regions do not overlap
    levels = float(distance.max()) * 0.9 ** np.arange(1, 40)
    for level in levels[levels >= 1.5]:
        count, regions = cv2.connectedComponents((distance >= level).view(np.uint8), connectivity=8)
        peaks = [peak for k in range(1, count) for peak in _separate_peaks(peaks, regions == k, distance, level, waist)]
    markers = np.zeros(distance.shape, np.int32)
    for k, (_, region) in enumerate(peaks):
        markers[region] = k + 1
    return markers


def _separate_peaks(
    peaks: list[tuple[float, npt.NDArray[np.bool_]]],
    region: npt.NDArray[np.bool_],
    distance: F32,
    level: float,
    waist: float,
) -> list[tuple[float, npt.NDArray[np.bool_]]]:
    """Return the separate peaks inside a region above ``level``; if there are fewer than two, the region as one."""
    separate = [peak for peak in peaks if peak[0] * waist >= level and (peak[1] & region).any()]
    return separate if len(separate) > 1 else [(float(distance[region].max()), region)]
