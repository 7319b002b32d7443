"""What nobody should give the tracker, and what it rarely gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import U8, Segment, Segmentation
from cmt_seg_ros.tracking.tracker import Tracker

CAR, SIZE = 8, (90, 160)
GOOD = Segment(CAR, (20, 30, 40, 42), (30.0, 36.0), 240, 1.0, np.ones((12, 20), np.uint8))


def masks(class_ids: U8, k: int) -> Segmentation:
    return Segmentation("", k * 10**8, class_ids, np.where(class_ids == CAR, 255, 0).astype(np.uint8))


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (replace(GOOD, box_px=(np.nan, 30, 40, 42)), "box"),
        (replace(GOOD, box_px=(20, 30, np.inf, 42)), "box"),
        (replace(GOOD, box_px=(1e160, 30, 2e160, 42)), "box"),
        (replace(GOOD, box_px=(40, 30, 20, 42)), "left < right"),
        (replace(GOOD, score=np.nan), "score"),
        (replace(GOOD, score=1.5), "score"),
        (replace(GOOD, area_px=0), "area"),
        (replace(GOOD, class_id=77), "class is 77"),
        (replace(GOOD, mask=np.zeros((12, 20), np.uint8)), "mask"),
        (replace(GOOD, mask=np.full((12, 20), 255, np.uint8)), "mask"),
        (replace(GOOD, mask=np.ones((12, 21), np.uint8)), "mask"),
        (replace(GOOD, mask=np.ones((12, 20), bool)), "mask"),
        (replace(GOOD, mask=np.ones((0, 0), np.uint8)), "mask"),
        (replace(GOOD, mask=None), "give all of them masks, or none"),
    ],
)
def test_a_segment_that_cannot_be_is_refused_and_nothing_changes(segment: Segment, message: str) -> None:
    tracker, other = (Tracker(CAMVID, TrackerConfig()) for _ in range(2))
    for k in range(3):
        for each in (tracker, other):
            each.update_segments([GOOD], k * 10**8, SIZE)
    with pytest.raises(TrackingError, match=message):
        tracker.update_segments([GOOD, segment], 3 * 10**8, SIZE)
    mine, others = (each.update_segments([GOOD], 3 * 10**8, SIZE) for each in (tracker, other))
    assert [(t.track_id, t.box_px, t.state) for t in mine] == [(t.track_id, t.box_px, t.state) for t in others]


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(TrackingError, match=r"\(0, 0\)"):
        Tracker(CAMVID, TrackerConfig()).update_segments([], 0, (0, 0))


def test_hundreds_of_objects_that_become_one_blob() -> None:
    tracker, apart = Tracker(CAMVID, TrackerConfig()), np.zeros((480, 640), np.uint8)
    for y in range(0, 480, 24):
        for x in range(0, 640, 32):
            apart[y + 2 : y + 20, x + 2 : x + 28] = CAR
    for k in range(5):
        tracks = tracker.update(masks(apart, k))
    assert len(tracks) == 400
    tracks = tracker.update(masks(np.full_like(apart, CAR), 5))
    assert {t.track_id for t in tracks} >= set(range(1, 401))


def test_boxes_in_one_frame_and_masks_in_the_next() -> None:
    tracker = Tracker(CAMVID, TrackerConfig())
    left, right = (replace(GOOD, box_px=(x, 30, x + 20, 42), centroid_px=(x + 10, 36)) for x in (20, 60))
    for k in range(12):
        both = [left, right] if k % 3 else [replace(left, mask=None), replace(right, mask=None)]
        assert [t.track_id for t in tracker.update_segments(both, k * 10**8, SIZE)] == [1, 2]
    blob = replace(GOOD, box_px=(20, 30, 80, 42), mask=np.ones((12, 60), np.uint8), area_px=720)
    assert {t.track_id for t in tracker.update_segments([blob], 12 * 10**8, SIZE)} >= {1, 2}


def test_velocity_is_that_of_the_box_with_images_and_without() -> None:
    ground = np.random.default_rng(0).integers(0, 256, (30, 110, 1), np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    velocities = []
    for with_images in (True, False):
        tracker = Tracker(CAMVID, TrackerConfig())
        for k in range(12):
            class_ids = np.zeros((240, 480), np.uint8)
            for x, y in ((380, 30), (300, 100), (420, 150), (340, 190)):
                class_ids[y : y + 24, x - 10 * k : x - 10 * k + 36] = CAR
            image = np.ascontiguousarray(ground[:, 10 * k : 10 * k + 480]) if with_images else None
            tracks = tracker.update(masks(class_ids, k), image)
        assert [t.track_id for t in tracks] == [1, 2, 3, 4]
        velocities.append([t.velocity_px_s for t in tracks])
    np.testing.assert_allclose(velocities, np.broadcast_to((-100.0, 0.0), (2, 4, 2)), atol=15.0)


def test_images_that_come_only_sometimes_while_the_camera_turns() -> None:
    ground = np.random.default_rng(0).integers(0, 256, (30, 150, 1), np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    tracker = Tracker(CAMVID, TrackerConfig())
    for k in range(24):
        class_ids = np.zeros((240, 480), np.uint8)
        for x, y in ((430, 30), (380, 100), (410, 170)):
            class_ids[y : y + 24, x - 12 * k : x - 12 * k + 36] = CAR
        image = np.ascontiguousarray(ground[:, 12 * k : 12 * k + 480]) if k % 5 else None
        tracks = tracker.update(masks(class_ids, k), image)
        assert [t.track_id for t in tracks] == [1, 2, 3]
