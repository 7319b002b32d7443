"""Small scenes drawn by hand: rectangles, people, pictures of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import U8, Box, Segment, Segmentation, Track, TrackState
from cmt_seg_ros.tracking.segments import find_segments
from cmt_seg_ros.tracking.tracker import Tracker

CAR, PEDESTRIAN, ROAD = 8, 9, 3
SIZE = (120, 200)  # height, width
RED, BLUE, GREEN = (40, 40, 220), (220, 60, 40), (40, 200, 40)

Rectangle = tuple[int, float, float, float, float]  # class, left, top, width, height


def new_tracker(**changes: float) -> Tracker:
    return Tracker(CAMVID, TrackerConfig(**changes))  # type: ignore[arg-type]


def masks(
    rectangles: Iterable[Rectangle], time_s: float, *, size: tuple[int, int] = SIZE, doubtful: bool = False
) -> Segmentation:
    """Rectangles on a road, later ones in front; when doubtful, the objectness mask has none of them."""
    class_ids = np.full(size, ROAD, np.uint8)
    for class_id, left, top, width, height in rectangles:
        x, y = max(round(left), 0), max(round(top), 0)
        class_ids[y : max(round(top + height), 0), x : max(round(left + width), 0)] = class_id
    return of_classes(class_ids, time_s, doubtful=doubtful)


def of_classes(class_ids: U8, time_s: float, *, doubtful: bool = False) -> Segmentation:
    objectness = np.where((class_ids != ROAD) & (not doubtful), 255, 0).astype(np.uint8)
    return Segmentation("front", round(time_s * 1e9), class_ids, objectness)


def person(class_ids: U8, x: float, foot: float, height: float, class_id: int = PEDESTRIAN) -> None:
    """Draw one who is a third as wide as high."""
    for middle, rx, ry in ((0.9, 0.08, 0.1), (0.42, 0.16, 0.42)):
        axes = round(rx * height), round(ry * height)
        cv2.ellipse(class_ids, (round(x), round(foot - middle * height)), axes, 0, 0, 360, class_id, -1)


def people(places: Iterable[tuple[float, float, float]], time_s: float, size: tuple[int, int] = SIZE) -> Segmentation:
    """Pedestrians on a road: (x, y of the feet, height) of each."""
    class_ids = np.full(size, ROAD, np.uint8)
    for x, foot, height in places:
        person(class_ids, x, foot, height)
    return of_classes(class_ids, time_s)


def texture(height: int, width: int, seed: int = 0) -> U8:
    """A picture with detail of every size, as natural ones have."""
    rng = np.random.default_rng(seed)
    noise = (
        cv2.GaussianBlur(rng.standard_normal((height, width, 3)), (0, 0), float(sigma)) for sigma in (2, 4, 8, 16, 32)
    )
    total = np.sum([layer / layer.std() for layer in noise], axis=0)
    return np.asarray(cv2.normalize(total, np.empty(0), 0, 255, cv2.NORM_MINMAX), np.uint8)


def rectangle(left: int, top: int, right: int, bottom: int, class_id: int = CAR, score: float = 1.0) -> Segment:
    """A full segment."""
    mask = np.ones((bottom - top, right - left), np.uint8)
    centroid = (left + right - 1) / 2, (top + bottom - 1) / 2
    return Segment(class_id, (left, top, right, bottom), centroid, mask.size, score, mask)


def confirmed_car(tracker: Tracker, frames: int = 5, *, left: float = 20, speed: float = 20) -> float:
    """Show a car for some frames at 10 Hz; return the time of the last."""
    for k in range(frames):
        (track,) = tracker.update(masks([(CAR, left + speed * k / 10, 50, 30, 20)], k / 10))
    assert track.state == TrackState.CONFIRMED
    return (frames - 1) / 10


def plain(tracks: Sequence[Track]) -> list[tuple[object, ...]]:
    """Everything of tracks, to the last bit, in a form that compares."""
    return [
        (
            *(t.track_id, t.class_id, t.box_px, t.velocity_px_s, t.score, t.state, t.event, t.age_s, t.unseen_s),
            t.covariance.tobytes(),
            None if t.segment is None else (t.segment.box_px, t.segment.centroid_px, t.segment.area_px),
            None if t.mask is None else t.mask.tobytes(),
        )
        for t in tracks
    ]


def centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def cover(tracks: Sequence[Track], size: tuple[int, int]) -> np.ndarray:
    """(H, W) int64, how many tracks have each pixel; every mask must lie in the image."""
    count = np.zeros(size, np.int64)
    for track in tracks:
        if track.segment is None or track.mask is None:
            continue
        (x, y), (h, w) = track.segment.corner_px, track.mask.shape
        assert min(x, y) >= 0 and x + w <= size[1] and y + h <= size[0]
        assert track.segment.box_px == (x, y, x + w, y + h)
        assert track.mask.dtype == np.uint8 and track.mask.max() == 1
        count[y : y + h, x : x + w] += track.mask
    return count


def blobs(frame: Segmentation) -> int:
    """How many connected pieces the objects of a frame make."""
    return len(find_segments(frame.class_ids, frame.class_ids, CAMVID, min_area_fraction=0.0))
