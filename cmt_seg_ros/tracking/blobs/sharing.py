"""Which live tracks are in which blob, where objects that touch have become one.

A track that found no segment of its own is in the blob that covers its predicted place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import U8, Box, Segment
from cmt_seg_ros.tracking.blobs.canvas import Silhouette, resized, shrunk
from cmt_seg_ros.tracking.blobs.constrictions import split
from cmt_seg_ros.tracking.blobs.splitting import Part, explain
from cmt_seg_ros.tracking.live_track import LiveTrack

MIDDLE = 0.7
"""Share of a box's width and height that is its middle."""
SHAPE_PX = 32
"""Shapes are compared at this size."""
MAX_GROWTH = 1.5
"""Most that an object's area changes against what was predicted."""
MIN_LIKE_BOX = 0.3
"""Least IoU with the blob's box of an object that could be all that the blob shows."""

Owners = dict[int, LiveTrack]
"""Column of a segment to the track that it shows."""


@dataclass
class Shares:
    """What came of the blobs.

    Attributes:
        owners: segments that show one track and nothing else.
        parts: tracks that share a blob, and their share.
        divided: columns of segments that are used up.
        placed: tracks that need no segment of their own any more.
    """

    owners: Owners
    parts: list[tuple[LiveTrack, Part]] = field(default_factory=list)
    divided: set[int] = field(default_factory=set)
    placed: set[int] = field(default_factory=set)


def share(
    waiting: Sequence[LiveTrack],
    owners: Owners,
    segments: Sequence[Segment],
    occupied: U8,
    config: TrackerConfig,
) -> Shares:
    """Divide the blobs that show several objects.

    Args:
        waiting: tracks without a segment.
        owners: tracks that have one.
        segments: of the frame.
        occupied: (H, W) uint8, not 0 where any object is.
        config: of the tracker.
    """
    shares = Shares(dict(owners))
    for column, tracks in sorted(_groups(waiting, owners, segments, config).items()):
        blob = segments[column]
        silhouettes = [track.silhouette for track in tracks]
        one = _only_one(blob, silhouettes, config)
        if one is None:
            parts = explain(blob, silhouettes, occupied, config)
        else:
            parts = [Part(s.box_px, None, 0.0) for s in silhouettes]
        shares.owners.pop(column, None)
        shares.divided.add(column)
        for index, (track, part) in enumerate(zip(tracks, parts, strict=True)):
            shares.placed.add(track.track_id)
            if index == one:
                shares.owners[column] = track
            else:
                shares.parts.append((track, part))
    return shares


def part_company(
    shares: Shares, segments: Sequence[Segment], aspect: Callable[[int], float], config: TrackerConfig
) -> dict[int, list[Segment]]:
    """Blobs of one track that have got a waist: its own part first, then what came out from behind it."""
    found = {}
    for column, track in shares.owners.items():
        if column in shares.divided or segments[column].mask is None:
            continue
        parts = split(segments[column], aspect(track.class_id), config)
        if len(parts) > 1:
            overlap = box_iou([track.state.box_px], [part.box_px for part in parts])[0]
            parts.insert(0, parts.pop(int(np.argmax(overlap))))
            found[column] = parts
    return found


def _groups(
    waiting: Sequence[LiveTrack], owners: Mapping[int, LiveTrack], segments: Sequence[Segment], config: TrackerConfig
) -> dict[int, list[LiveTrack]]:
    """The tracks in each blob that a track without a segment is in, by column, the oldest first."""
    groups: dict[int, list[LiveTrack]] = {}
    boxes = np.array([s.box_px for s in segments], np.float64).reshape(-1, 4)
    for track in waiting:
        x, y = track.state.value[:2]
        around = (boxes[:, 0] < x) & (x < boxes[:, 2]) & (boxes[:, 1] < y) & (y < boxes[:, 3])
        reached = [c for c in np.flatnonzero(around).tolist() if segments[c].class_id == track.class_id]
        covers = [_cover(segments[c], track.state.box_px) for c in reached]
        if covers and max(covers) >= config.min_cover:
            best = reached[int(np.argmax(covers))]
            groups.setdefault(best, [owners[best]] if best in owners else []).append(track)
    return {column: sorted(tracks, key=lambda t: t.track_id) for column, tracks in groups.items()}


def _only_one(blob: Segment, silhouettes: Sequence[Silhouette], config: TrackerConfig) -> int | None:
    """Index of the silhouette whose shape the blob has, if any: the others are hidden behind that one."""
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
    """Pixels that an object should have."""
    left, top, right, bottom = silhouette.box_px
    return float((right - left) * (bottom - top) * silhouette.shape.mean())


def _cover(segment: Segment, box: Box) -> float:
    """Share of the middle of a box that a segment's pixels cover."""
    if segment.mask is None:
        return 0.0
    left, top, right, bottom = box
    cx, cy, w, h = (left + right) / 2, (top + bottom) / 2, (right - left) * MIDDLE / 2, (bottom - top) * MIDDLE / 2
    x, y = segment.corner_px
    x0, y0, x1, y1 = round(cx - w) - x, round(cy - h) - y, round(cx + w) - x, round(cy + h) - y
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    inside = segment.mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    return np.count_nonzero(inside) / ((x1 - x0) * (y1 - y0))
