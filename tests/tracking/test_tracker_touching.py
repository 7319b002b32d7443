"""Objects that touch, pass or hide one another: who is who, and whose pixel is which."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.small_scenes import (
    CAR,
    PEDESTRIAN,
    RED,
    ROAD,
    SIZE,
    blobs,
    cover,
    masks,
    new_tracker,
    of_classes,
    people,
    texture,
)

from cmt_seg_ros.structures import Segmentation, Track, TrackState

Film = list[Segmentation]


def test_crossing_objects_keep_their_ids() -> None:
    # A car drives behind a pedestrian who walks the other way: they meet at k = 11.
    tracker = new_tracker()
    for k in range(25):
        tracks = tracker.update(masks([(CAR, 10 + 5 * k, 40, 40, 24), (PEDESTRIAN, 140 - 6 * k, 38, 12, 34)], k / 10))
        seen = {t.class_id: t.track_id for t in tracks if t.state == TrackState.CONFIRMED}
        if k == 3:
            first = dict(seen)
    assert len(first) == 2 and seen == first


def test_hidden_little_by_little_comes_out_at_the_other_side() -> None:
    # A pedestrian walks behind a parked car that is wider than he is: he seems to shrink, is gone, comes out.
    tracker = new_tracker()
    ids: list[int] = []
    for k in range(32):
        tracks = tracker.update(masks([(PEDESTRIAN, 20 + 5 * k, 40, 14, 36), (CAR, 80, 38, 36, 42)], k / 10))
        ids += [t.track_id for t in tracks if t.class_id == PEDESTRIAN]
        assert all(t.box_px[2] - t.box_px[0] > 8 for t in tracks if t.state == TrackState.OCCLUDED)
    assert len(ids) == 32 and len(set(ids)) == 1 and tracks[-1].state == TrackState.CONFIRMED


def test_same_class_passing_with_a_gap_keeps_ids() -> None:
    tracker = new_tracker()
    for k in range(20):
        tracks = tracker.update(masks([(CAR, 10 + 7 * k, 30, 30, 18), (CAR, 150 - 7 * k, 50, 30, 18)], k / 10))
    upper = min(tracks, key=lambda t: t.box_px[1])
    assert [t.track_id for t in tracks] == [1, 2] and upper.track_id == 1 and upper.velocity_px_s[0] > 0


def meeting() -> Film:
    """Two people walk towards one another, stand close, and walk apart."""
    gaps = [2 * max(20 - k, 4) for k in range(24)] + [8 + 4 * k for k in range(16)]
    return [people([(100 - gap, 90, 60), (100 + gap, 90, 60)], k / 10) for k, gap in enumerate(gaps)]


def passing(speed: int = 4, foot: int = 84, height: int = 56) -> Film:
    """Two people walk past one another, one in front of the other."""
    count = 160 // speed
    return [people([(20 + speed * k, 90, 60), (180 - speed * k, foot, height)], k / 10) for k in range(count)]


def shown(tracks: list[Track]) -> dict[int, float]:
    """Where the objects that are seen are, by id: x of the middle."""
    return {t.track_id: (t.box_px[0] + t.box_px[2]) / 2 for t in tracks if t.segment is not None}


@pytest.mark.parametrize("with_images", [False, True])
def test_two_people_who_meet_and_part_keep_their_ids_and_pixels(with_images: bool) -> None:
    tracker, ground, touched = new_tracker(), texture(*SIZE), 0
    for frame in meeting():
        image = ground.copy()
        image[frame.class_ids == PEDESTRIAN] = RED
        tracks = tracker.update(frame, image if with_images else None)
        assert [t.track_id for t in tracks] == [1, 2]
        # Each pixel of the blob belongs to one of the two.
        np.testing.assert_array_equal(cover(tracks, SIZE), frame.class_ids == PEDESTRIAN)
        if blobs(frame) == 1:
            touched += 1
            assert all(t.state == TrackState.CONFIRMED for t in tracks)
            widths = [t.box_px[2] - t.box_px[0] for t in tracks]
            assert shown(tracks)[1] < 100 < shown(tracks)[2] and max(widths) < 26  # one of them is 21 px wide
    assert touched > 5 and blobs(frame) == 2
    assert shown(tracks)[1] < 100 < shown(tracks)[2]


def test_two_people_who_pass_each_other_keep_their_ids_and_ways() -> None:
    tracker = new_tracker()
    for k, frame in enumerate(passing()):
        tracks = tracker.update(frame)
        assert [t.track_id for t in tracks] == [1, 2]
        np.testing.assert_array_equal(cover(tracks, SIZE), frame.class_ids == PEDESTRIAN)
        middle = [(t.box_px[0] + t.box_px[2]) / 2 for t in tracks]
        np.testing.assert_allclose(middle, (20.5 + 4 * k, 180.5 - 4 * k), atol=5.0)
    assert [round(t.velocity_px_s[0] / 40) for t in tracks] == [1, -1]


@pytest.mark.parametrize("speed", [2, 3, 4])
def test_where_one_hides_another_of_his_shape_each_pixel_belongs_to_one(speed: int) -> None:
    tracker = new_tracker()
    for frame in passing(speed, foot=90, height=60):
        tracks = tracker.update(frame)
        np.testing.assert_array_equal(cover(tracks, SIZE), frame.class_ids == PEDESTRIAN)
    assert shown(tracks)[1] > shown(tracks)[2] and len(tracks) == 2


def wedges(rear: int, gap: int, time_s: float) -> Segmentation:
    """Two cars, the rear one rising to the front and the other falling: together a roof without any waist."""
    class_ids = np.full((120, 300), ROAD, np.uint8)
    front = rear + 40 + gap
    for corners in (
        [(rear, 70), (rear, 62), (rear + 39, 44), (rear + 39, 70)],
        [(front, 70), (front, 44), (front + 39, 62), (front + 39, 70)],
    ):
        cv2.fillPoly(class_ids, [np.array(corners, np.int32)], CAR)
    return of_classes(class_ids, time_s)


def test_two_that_make_one_solid_blob_are_told_apart_by_what_was_known_of_them() -> None:
    # They drive bumper to bumper for 1.2 s.
    tracker, size = new_tracker(), (120, 300)
    for k in range(34):
        rear = 10 + 4 * min(k, 10) + 6 * max(k - 10, 0)
        gap = (20 - 2 * k if k < 10 else 0) if k < 22 else 2 * (k - 22)
        frame = wedges(rear, gap, k / 10)
        tracks = tracker.update(frame)
        assert [t.track_id for t in tracks] == [1, 2]
        np.testing.assert_array_equal(cover(tracks, size), frame.class_ids == CAR)
        if 10 <= k < 22:
            assert blobs(frame) == 1 and all(t.state == TrackState.CONFIRMED for t in tracks)
        np.testing.assert_allclose([*shown(tracks).values()], (rear + 20, rear + 60 + gap), atol=8.0)
    assert blobs(frame) == 2


def test_two_alike_that_touch_are_not_taken_for_one_of_twice_the_width() -> None:
    # Stretched to the blob, each of two equal rectangles has its shape: only their sizes tell that there are two.
    tracker, size = new_tracker(), (120, 300)
    for k in range(30):
        rear, gap = 10 + 4 * k, max(20 - 2 * k, 0) if k < 18 else 2 * (k - 18)
        frame = masks([(CAR, rear, 50, 36, 20), (CAR, rear + 36 + gap, 50, 36, 20)], k / 10, size=size)
        tracks = tracker.update(frame)
        assert [t.track_id for t in tracks] == [1, 2]
        np.testing.assert_allclose([*shown(tracks).values()], (rear + 18, rear + 54 + gap), atol=8.0)


def test_three_in_one_blob_are_all_updated() -> None:
    tracker = new_tracker()
    for k in range(36):
        gap = max(34 - 2 * k, 16) if k < 26 else 16 + 2 * (k - 25)
        frame = people([(100 - gap, 90, 60), (100, 90, 60), (100 + gap, 90, 60)], k / 10)
        tracks = tracker.update(frame)
        assert [t.track_id for t in tracks] == [1, 2, 3]
        np.testing.assert_allclose([*shown(tracks).values()], (100.5 - gap, 100.5, 100.5 + gap), atol=4.0)
    assert blobs(frame) == 3


def test_who_is_hidden_in_a_blob_is_waited_for_longer_than_who_is_gone() -> None:
    # A car passes behind a bus of the same class: nothing of it is seen for longer than max_lost_s.
    patient, hasty = new_tracker(max_lost_s=0.5, max_hidden_s=3.0), new_tracker(max_lost_s=0.5, max_hidden_s=0.0)
    unseen = []
    for k in range(40):
        frame = masks([(CAR, 5 + 4 * k, 60, 30, 20), (CAR, 70, 40, 80, 50)], k / 10)
        tracks, others = patient.update(frame), hasty.update(frame)
        unseen += [t.unseen_s for t in tracks]
        assert [t.track_id for t in tracks] == [1, 2]
        assert all(t.state == TrackState.CONFIRMED for t in tracks if t.unseen_s == 0 and k >= 5)
    assert max(unseen) > 0.5 and all(t.state == TrackState.CONFIRMED for t in tracks)
    assert len(others) == 2 and [t.track_id for t in others] != [1, 2]
