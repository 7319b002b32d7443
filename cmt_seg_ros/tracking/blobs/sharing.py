"""Merged blobs: which tracks are in a blob where objects that touch have become one, and what each has of it.

A track without a segment of its own is assigned to the blob that covers its predicted position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import U8, Box, Segment
from cmt_seg_ros.tracking.blobs.canvas import Silhouette, resized, shrunk
from cmt_seg_ros.tracking.blobs.constrictions import split_at_constrictions
from cmt_seg_ros.tracking.blobs.splitting import Part, divide_blob
from cmt_seg_ros.tracking.live_track import LiveTrack

MIDDLE = 0.7
"""Share of a box's width and height that is its middle."""
SHAPE_PX = 32
"""Shapes are compared at this size."""
MAX_GROWTH = 1.5
"""Largest ratio of an object's area to its predicted area."""
MIN_LIKE_BOX = 0.3
"""Least IoU of an object's box with that of the blob, for the blob to show only this object."""

Matches = dict[Segment, LiveTrack]
"""Each segment that shows exactly one track, and that track."""


def find_merged(
    unmatched: Sequence[LiveTrack],
    matched: Mapping[Segment, LiveTrack],
    segments: Sequence[Segment],
    config: TrackerConfig,
) -> dict[Segment, list[LiveTrack]]:
    """Find the blobs that unmatched tracks are in.

    Args:
        unmatched: tracks without a segment.
        matched: segments that have a track.
        segments: of the frame; of two that cover a track equally, the first one counts.
        config: ``min_cover``.

    Returns:
        For each of these blobs, in the order of the segments, the tracks in it, by id: the unmatched ones and the one
        that is matched with the blob.
    """
    merged: dict[Segment, list[LiveTrack]] = {}
    boxes = np.array([s.box_px for s in segments], np.float64).reshape(-1, 4)
    for track in unmatched:
        x, y = track.state.value[:2]
        around = (boxes[:, 0] < x) & (x < boxes[:, 2]) & (boxes[:, 1] < y) & (y < boxes[:, 3])
        reached = [segments[c] for c in np.flatnonzero(around) if segments[c].class_id == track.class_id]
        covers = [_cover(segment, track.state.box_px) for segment in reached]
        if covers and max(covers) >= config.min_cover:
            blob = reached[int(np.argmax(covers))]
            merged.setdefault(blob, [matched[blob]] if blob in matched else []).append(track)
    return {s: sorted(merged[s], key=lambda t: t.track_id) for s in segments if s in merged}


def share_blob(
    blob: Segment, tracks: Sequence[LiveTrack], occupied: U8, config: TrackerConfig
) -> tuple[LiveTrack | None, dict[LiveTrack, Part]]:
    """Divide a blob among the tracks in it.

    Args:
        blob: with a mask.
        tracks: that are in it, as of :func:`find_merged`.
        occupied: (H, W) uint8, not 0 where any object is.
        config: of the tracker.

    Returns:
        The track that is the only visible one, if the blob has its shape, otherwise None; and the parts of the other
        tracks.
    """
    silhouettes = [track.silhouette for track in tracks]
    visible = _only_visible(blob, silhouettes, config)
    if visible is None:
        return None, dict(zip(tracks, divide_blob(blob, silhouettes, occupied, config), strict=True))
    hidden = {t: Part(s.box_px, None, 0.0) for t, s in zip(tracks, silhouettes, strict=True)}
    del hidden[tracks[visible]]
    return tracks[visible], hidden


def separate(track: LiveTrack, segment: Segment, aspect: float, config: TrackerConfig) -> list[Segment]:
    """Cut a matched segment at its constrictions, where another object emerges from behind the track's.

    Args:
        track: its predicted box decides which part is its own.
        segment: matched with it, with a mask.
        aspect: usual height over width of the objects of its class.
        config: see constrictions.split_at_constrictions.

    Returns:
        The track's own part, then the others; only the segment if it has no constriction.
    """
    parts = split_at_constrictions(segment, aspect, config)
    if len(parts) == 1:
        return parts
    overlap = box_iou([track.state.box_px], [part.box_px for part in parts])[0]
    return [parts.pop(int(np.argmax(overlap))), *parts]


def _only_visible(blob: Segment, silhouettes: Sequence[Silhouette], config: TrackerConfig) -> int | None:
    """Return the index of the silhouette that alone has the blob's shape, if any: the others are hidden behind it."""
    if len(silhouettes) < 2 or blob.mask is None:
        return None
    overlap = box_iou([s.box_px for s in silhouettes], [blob.box_px])[:, 0]
    best = int(np.argmax(overlap))
    if overlap[best] <= MIN_LIKE_BOX:
        return None
    if not 1 / MAX_GROWTH < blob.area_px / _expected_area(silhouettes[best]) < MAX_GROWTH:
        return None
    small = shrunk(blob.mask, min(1.0, SHAPE_PX / max(blob.mask.shape))) != 0
    shape = resized(silhouettes[best].shape, small.shape[::-1]) != 0
    iou = np.count_nonzero(small & shape) / max(np.count_nonzero(small | shape), 1)
    return best if iou > config.one_object_iou else None


def _expected_area(silhouette: Silhouette) -> float:
    """Return the predicted number of an object's pixels."""
    left, top, right, bottom = silhouette.box_px
    return float((right - left) * (bottom - top) * silhouette.shape.mean())


def _cover(segment: Segment, box: Box) -> float:
    """Return the share of the middle of a box that a segment's pixels cover."""
    if segment.mask is None:
        return 0.0
    left, top, right, bottom = box
    cx, cy, w, h = (left + right) / 2, (top + bottom) / 2, (right - left) * MIDDLE / 2, (bottom - top) * MIDDLE / 2
    x, y = segment.corner_px
    x0, y0, x1, y1 = round(cx - w) - x, round(cy - h) - y, round(cx + w) - x, round(cy + h) - y
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    inside = segment.mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    return np.count_nonzero(inside) / ((x1 - x0) * (y1 - y0))
