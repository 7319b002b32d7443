"""How the tracker follows motion: of objects, of the camera, over gaps in the stream."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_scenes import (
    BLUE,
    CAR,
    PEDESTRIAN,
    ROAD,
    SIZE,
    Rectangle,
    centre,
    confirmed_car,
    masks,
    new_tracker,
    of_classes,
    texture,
)

from cmt_seg_ros.structures import U8, Segmentation, TrackEvent, TrackState


def test_velocity_is_in_pixels_per_second() -> None:
    tracker = new_tracker()
    for k in range(15):
        (track,) = tracker.update(masks([(CAR, 20 + 6 * k, 80 - 2 * k, 30, 20)], k / 15))
    assert track.velocity_px_s == pytest.approx((90, -30), abs=4)


def test_irregular_frames_are_one_object() -> None:
    tracker = new_tracker()
    times = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.3, 40))
    for time_s in times:
        tracks = tracker.update(masks([(CAR, 5 + 20 * time_s, 40, 30, 20)], float(time_s)))
        assert [t.track_id for t in tracks] == [1]
    assert tracks[0].velocity_px_s[0] == pytest.approx(20, abs=3)


def test_small_fast_object_without_overlap() -> None:
    tracker = new_tracker(start_speed=6.0)
    for k in range(12):
        tracks = tracker.update(masks([(PEDESTRIAN, 5 + 11 * k, 40, 10, 16)], k / 10))
    assert [t.track_id for t in tracks] == [1]


def test_tracks_survive_one_frame_in_ten_lost_over_a_minute() -> None:
    rng = np.random.default_rng(6)
    tracker = new_tracker()
    ids: set[int] = set()
    for k in range(300):
        x = 85 + 70 * np.sin(k / 20)
        shown = [(CAR, x, 40 + 10 * np.cos(k / 15), 30, 20)] if rng.random() < 0.9 or k < 3 else []
        ids |= {t.track_id for t in tracker.update(masks(shown, k / 10))}
    assert ids == {1}


def test_leaving_the_image_ends_a_track_at_once() -> None:
    tracker = new_tracker(max_lost_s=2.0)
    k = 0
    while 120 + 8 * k < SIZE[1]:
        tracks = tracker.update(masks([(CAR, 120 + 8 * k, 50, 30, 20)], k / 10))
        k += 1
    last_seen = k
    while tracks and k < last_seen + 10:
        tracks = tracker.update(masks([], k / 10))
        k += 1
    assert k - last_seen <= 3


def test_new_resolution_keeps_tracks_new_shape_drops_them() -> None:
    tracker = new_tracker()
    last = confirmed_car(tracker, left=20, speed=20)
    double = masks([(CAR, 60, 100, 60, 40)], last + 0.1, size=(240, 400))
    (track,) = tracker.update(double)
    assert track.track_id == 1 and track.velocity_px_s[0] == pytest.approx(40, abs=10)
    assert tracker.update(masks([(CAR, 60, 100, 60, 40)], last + 0.2, size=(240, 240)))[-1].track_id == 2


@pytest.mark.parametrize("step_px", [1, 2, 4, 8])
def test_an_object_that_passes_the_border_little_by_little_is_one(step_px: int) -> None:
    tracker = new_tracker()
    entered = []
    for k in range(260 // step_px):
        tracks = tracker.update(masks([(CAR, -30 + step_px * k, 50, 30, 20)], k / 10))
        entered += [t.track_id for t in tracks if t.event == TrackEvent.ENTERED]
    assert len(entered) == 1 and all(t.state == TrackState.LOST for t in tracks)


def test_covariance_is_one_and_grows_while_unseen() -> None:
    tracker = new_tracker(max_lost_s=3.0)
    last = confirmed_car(tracker, frames=12)
    (seen,) = tracker.update(masks([(CAR, 20 + 20 * (last + 0.1), 50, 30, 20)], last + 0.1))
    before = seen.covariance
    for k in range(2, 12):
        (track,) = tracker.update(masks([], last + k / 10))
        now = track.covariance
        assert now.shape == (4, 4) and np.array_equal(now, now.T)
        assert np.linalg.eigvalsh(now).min() > 0
        assert np.all(np.diag(now) > np.diag(before))
        before = now


def test_true_positions_are_as_far_from_predictions_as_the_covariance_says() -> None:
    tracker = new_tracker(max_lost_s=3.0)
    last = confirmed_car(tracker, frames=12, speed=30)
    for k in range(1, 8):
        (track,) = tracker.update(masks([], last + k / 10))
        x, y = centre(track.box_px)
        off = np.array([x - (35 + 30 * (last + k / 10)), y - 60])
        assert off @ np.linalg.solve(track.covariance[:2, :2], off) < 9  # three standard deviations


def street(shift: tuple[int, int], with_pedestrian: bool, k: int) -> list[Rectangle]:
    """Four cars, no two of them as far apart as any other two, of which two drive; a pedestrian."""
    x, y = shift
    cars: list[Rectangle] = [(CAR, 20 + k, 10, 48, 32), (CAR, 130 - k, 20, 48, 32), (CAR, 260, 100, 48, 32)]
    cars.append((CAR, 60, 150, 48, 32))
    if with_pedestrian:
        cars.append((PEDESTRIAN, 360, 100, 16, 32))
    return [(kind, left + x, top + y, width, height) for kind, left, top, width, height in cars]


@pytest.mark.parametrize("shift", [(30, 0), (-15, 0), (0, 15), (20, -10)])
def test_a_jolt_of_the_camera_that_moves_all_masks_is_not_taken_for_motion(shift: tuple[int, int]) -> None:
    # All segments jump by up to 30 px in one frame; the hidden pedestrian jumped with them.
    tracker = new_tracker()
    for k in range(14):
        jump = shift if k >= 9 else (0, 0)
        tracks = tracker.update(masks(street(jump, k < 8, k), k / 10, size=(240, 480)))
        assert [t.track_id for t in tracks] == [1, 2, 3, 4, 5]
        if k == 8:
            before = [(*centre(t.box_px), *t.velocity_px_s) for t in tracks]
        if k == 9:
            after = [(*centre(t.box_px), *t.velocity_px_s) for t in tracks]
        if k == 10:
            still = [t.velocity_px_s for t in tracks]
    assert [t.state for t in tracks] == [TrackState.CONFIRMED] * 4 + [TrackState.OCCLUDED]
    moved = np.subtract(after, before)
    np.testing.assert_allclose(moved[:, :2], np.broadcast_to(shift, (5, 2)), atol=2.0)
    # In that frame every box moved as the camera did, in 0.1 s; in the next one none does any more.
    np.testing.assert_allclose(moved[:, 2:], np.broadcast_to(shift, (5, 2)) / np.array(0.1), atol=25.0)
    np.testing.assert_allclose(np.subtract(still, np.array(before)[:, 2:]), 0.0, atol=5.0)


def panned(k: int) -> tuple[Segmentation, U8]:
    """Two people who look alike stand 40 px apart; hidden by pillars while the camera turns by as much."""
    pan, hidden = 5 * min(max(k - 6, 0), 8), 7 <= k < 15
    class_ids = np.full(SIZE, ROAD, np.uint8)
    image = GROUND[:, pan : pan + SIZE[1]].copy()
    for x in (70 - pan, 110 - pan):
        image[40:72, x : x + 16] = BLUE
        if hidden:
            image[30:80, x - 4 : x + 20] = GROUND[30:80, 350:374]
        else:
            class_ids[40:72, x : x + 16] = PEDESTRIAN
    return of_classes(class_ids, k / 10), image


GROUND = texture(SIZE[0], 400)


def test_images_tell_where_hidden_objects_are_after_the_camera_turned() -> None:
    lefts = {}
    for with_images in (True, False):
        tracker = new_tracker(max_lost_s=3.0)
        for k in range(20):
            frame, image = panned(k)
            tracks = tracker.update(frame, image if with_images else None)
        lefts[with_images] = {t.track_id: t.box_px[0] for t in tracks if t.state == TrackState.CONFIRMED}
    assert lefts[True] == {1: 30.0, 2: 70.0}
    assert lefts[False] != lefts[True]  # the scene is hard enough: without images they are mixed up
