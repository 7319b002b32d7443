"""Trackers to compare with: those of Roboflow's `trackers` at their defaults, and ours, on the same input."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.sources.masks import OBJECT
from cmt_seg_ros.sources.motchallenge import TrackRows
from cmt_seg_ros.structures import F64, U8, Segment, Segmentation, Track
from cmt_seg_ros.tracking.tracker import Tracker
from support.mot15 import Material, box_row

RIVALS = {
    "SORT": "SORTTracker",
    "ByteTrack": "ByteTrackTracker",
    "OC-SORT": "OCSORTTracker",
    "BoT-SORT": "BoTSORTTracker",
    "C-BIoU": "CBIoUTracker",
}
DEFAULT_RATE = 30.0  # of all of them: how long they remember an object is so many frames


@dataclass(frozen=True)
class Result:
    """Rows of a results file, and the mean time that the tracker took for a frame, ms."""

    rows: list[str]
    ms: float


class Rival:
    """One of RIVALS at its defaults.

    Args:
        name: of RIVALS.
        fps: frames per second.
    """

    def __init__(self, name: str, fps: float) -> None:
        import trackers

        self._tracker: Any = getattr(trackers, RIVALS[name])(frame_rate=fps)

    def update(self, detections: Any, image: U8 | None = None) -> Any:
        """Take the boxes of a frame (:func:`detections`); the result has ``xyxy``, ``confidence``, ``tracker_id``."""
        return self._tracker.update(detections) if image is None else self._tracker.update(detections, image)


def detections(boxes: F64) -> Any:
    """(n, 5) left, top, right, bottom, score as the trackers of RIVALS take them."""
    import supervision

    return supervision.Detections(xyxy=boxes[:, :4].copy(), confidence=boxes[:, 4].copy())


def run_rival(material: Material, name: str, fps: float | None = None, with_images: bool = False) -> Result:
    """Track with one of RIVALS, told ``fps`` or the sequence's. Boxes with the id -1, those not sure, are left out."""
    warnings.filterwarnings("ignore", category=UserWarning, module="trackers")
    rival, rows, seconds = Rival(name, fps or material.sequence.fps), [], 0.0
    for frame, (boxes, image) in enumerate(zip(material.boxes, _images(material, with_images), strict=False), start=1):
        given = detections(boxes)
        begun = time.perf_counter()
        found = rival.update(given, image)
        seconds += time.perf_counter() - begun
        for box, score, track_id in zip(found.xyxy, found.confidence, found.tracker_id, strict=True):
            if track_id >= 0:
                rows.append(box_row(frame, track_id + 1, np.append(box, score)))
    return Result(rows, 1e3 * seconds / len(material.boxes))


def run_ours(material: Material, with_images: bool = False) -> Result:
    """Track with our tracker: masks where there are some, else boxes. Finding objects in masks counts in its time."""
    tracker, results, seconds = Tracker(OBJECT, TrackerConfig()), TrackRows(), 0.0
    masks: Iterator[U8 | None] = repeat(None) if material.masks is None else material.masks()
    inputs = zip(material.boxes, masks, _images(material, with_images), strict=False)
    for frame, (boxes, mask, image) in enumerate(inputs, start=1):
        stamp_ns = round((frame - 1) * 1e9 / material.sequence.fps)
        given = segments(boxes) if mask is None else segmentation(mask, stamp_ns)
        begun = time.perf_counter()
        tracks = update(tracker, given, stamp_ns, material.sequence.size, image)
        seconds += time.perf_counter() - begun
        results.add(tracks)
    return Result(results.rows(), 1e3 * seconds / len(material.boxes))


def update(
    tracker: Tracker, given: Segmentation | list[Segment], stamp_ns: int, size: tuple[int, int], image: U8 | None
) -> list[Track]:
    """Tell our tracker of a frame."""
    if isinstance(given, Segmentation):
        return tracker.update(given, image)
    return tracker.update_segments(given, stamp_ns, size, image)


def segmentation(mask: U8, stamp_ns: int) -> Segmentation:
    """A binary mask ((H, W), 0 = nothing) as our tracker takes it."""
    objects = mask != 0
    ids, objectness = np.where(objects, 0, IGNORE_ID), np.where(objects, 255, 0)
    return Segmentation("camera", stamp_ns, ids.astype(np.uint8), objectness.astype(np.uint8))


def segments(boxes: F64) -> list[Segment]:
    """(n, 5) left, top, right, bottom, score as our tracker takes them."""
    return [
        Segment(
            0,
            (left, top, right, bottom),
            ((left + right) / 2, (top + bottom) / 2),
            (right - left) * (bottom - top),
            score,
        )
        for left, top, right, bottom, score in boxes.tolist()
    ]


def _images(material: Material, wanted: bool) -> Iterator[U8 | None]:
    return material.images() if wanted and material.images is not None else repeat(None)
