"""The life of tracks, on small scenes of rectangles: states, events, ids, time, and input that is no good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.small_scenes import CAR, PEDESTRIAN, SIZE, Rectangle, confirmed_car, masks, new_tracker, rectangle

from cmt_seg_ros.structures import TrackEvent, TrackState


def test_life_of_a_track() -> None:
    tracker = new_tracker(min_hits=3, max_lost_s=0.45)
    states = []
    for k in range(5):
        (track,) = tracker.update(masks([(CAR, 20 + 2 * k, 50, 30, 20)], k / 10))
        states.append(track.state)
        assert track.track_id == 1 and track.class_id == CAR and track.score == 1
        assert track.box_px == (20 + 2 * k, 50, 50 + 2 * k, 70)
        assert track.age_s == pytest.approx(k / 10) and track.unseen_s == 0
        assert track.mask is not None and track.mask.shape == (20, 30)
    assert states == [TrackState.TENTATIVE] * 2 + [TrackState.CONFIRMED] * 3
    for k in range(5, 9):  # unseen for 0.1 to 0.4 s: predicted
        (track,) = tracker.update(masks([], k / 10))
        assert track.state == TrackState.OCCLUDED and track.mask is None
        assert track.unseen_s == pytest.approx((k - 4) / 10)
        assert track.box_px == pytest.approx((20 + 2 * k, 50, 50 + 2 * k, 70), abs=2)
    (track,) = tracker.update(masks([], 0.9))  # unseen for 0.5 s
    assert (track.state, track.event) == (TrackState.LOST, TrackEvent.LEFT)
    assert tracker.update(masks([], 1.0)) == []


def test_returns_under_the_same_id_after_occlusion() -> None:
    tracker = new_tracker()
    for k in range(30):
        hidden = 10 <= k < 18  # 0.8 s behind something
        tracks = tracker.update(masks([] if hidden else [(CAR, 10 + 4 * k, 40, 30, 20)], k / 10))
        assert [t.track_id for t in tracks] == [1]
    assert tracks[0].state == TrackState.CONFIRMED


def test_returns_under_a_new_id_after_too_long() -> None:
    tracker = new_tracker(max_lost_s=0.3)
    confirmed_car(tracker)
    tracker.update(masks([], 0.5))
    tracker.update(masks([], 0.8))
    (track,) = tracker.update(masks([(CAR, 30, 50, 30, 20)], 0.9))
    assert track.track_id == 2 and track.state == TrackState.TENTATIVE


def test_ids_are_never_used_again() -> None:
    tracker = new_tracker(max_lost_s=0.1)
    seen: list[int] = []
    for k in range(12):  # appears every third frame, somewhere else each time
        shown = [(CAR, 10 + 40 * (k % 4), 10 + 30 * (k % 3), 20, 16)] if k % 3 == 0 else []
        seen += [t.track_id for t in tracker.update(masks(shown, k / 2))]
    tracker.reset()
    (track,) = tracker.update(masks([(CAR, 10, 10, 20, 16)], 0.0))  # the clock may start over
    assert seen == [1, 2, 3, 4] and track.track_id == 5


def test_empty_frames_age_tracks() -> None:
    tracker = new_tracker()
    assert tracker.update(masks([], 0.0)) == []
    tracker.reset()
    last = confirmed_car(tracker)
    (track,) = tracker.update(masks([], last + 0.2))
    assert track.state == TrackState.OCCLUDED and track.unseen_s == pytest.approx(0.2)
    assert track.age_s == pytest.approx(last + 0.2)


def test_unconfirmed_track_goes_with_its_first_miss() -> None:
    tracker = new_tracker()
    assert len(tracker.update(masks([(CAR, 20, 50, 30, 20)], 0.0))) == 1
    assert tracker.update(masks([], 0.1)) == []


def test_single_pixels_and_small_pieces_make_no_tracks() -> None:
    tracker = new_tracker(min_area_fraction=0.002)  # 48 pixels
    rng = np.random.default_rng(4)
    for k in range(6):
        frame = masks([(CAR, 20, 50, 8, 7 - 2 * (k % 2)), (PEDESTRIAN, 100, 20, 4, 4)], k / 10)
        ys, xs = rng.integers(0, 40, 30), rng.integers(120, 200, 30)
        frame.class_ids[ys, xs] = PEDESTRIAN
        frame.objectness[ys, xs] = 255
        tracks = tracker.update(frame)
        assert [t.class_id for t in tracks] == ([CAR] if k % 2 == 0 else [])


def test_doubtful_segment_continues_a_track_but_starts_none() -> None:
    tracker = new_tracker()
    last = confirmed_car(tracker)
    shown: list[Rectangle] = [(CAR, 30, 50, 30, 20), (CAR, 120, 50, 30, 20)]
    (track,) = tracker.update(masks(shown, last + 0.1, doubtful=True))
    assert track.track_id == 1 and track.state == TrackState.CONFIRMED and track.score == 0


def test_class_is_the_one_seen_most() -> None:
    tracker = new_tracker()
    for k in range(8):
        (track,) = tracker.update(masks([(PEDESTRIAN if k == 5 else CAR, 20 + 2 * k, 50, 30, 20)], k / 10))
    assert track.track_id == 1 and track.class_id == CAR


def test_long_pause_drops_tracks_short_pause_does_not() -> None:
    tracker = new_tracker(max_gap_s=5.0)
    last = confirmed_car(tracker, speed=0)
    (track,) = tracker.update(masks([(CAR, 20, 50, 30, 20)], last + 3))  # longer than max_lost_s, but seen again
    assert track.track_id == 1
    assert tracker.update(masks([(CAR, 20, 50, 30, 20)], last + 9))[-1].track_id == 2


def test_enters_once_and_leaves_once_however_often_it_is_hidden() -> None:
    tracker = new_tracker(min_hits=2, max_lost_s=0.5)
    events = []
    for k in range(30):
        hidden = k in (4, 5, 9) or k >= 15
        tracks = tracker.update(masks([] if hidden else [(CAR, 20 + 2 * k, 50, 30, 20)], k / 10))
        events += [(k, t.event) for t in tracks if t.event != TrackEvent.NONE]
    assert events == [(1, TrackEvent.ENTERED), (20, TrackEvent.LEFT)]


def test_a_track_that_was_never_sure_neither_enters_nor_leaves() -> None:
    tracker = new_tracker(min_hits=3)
    for k in range(6):
        tracks = tracker.update(masks([(CAR, 20, 50, 30, 20)] if k % 3 < 2 else [], k / 10))
        assert all(t.event == TrackEvent.NONE for t in tracks)


@pytest.mark.parametrize(("wait_s", "size"), [(9.0, SIZE), (0.1, (120, 120))])
def test_tracks_dropped_after_a_pause_or_for_another_view_are_reported_as_left(
    wait_s: float, size: tuple[int, int]
) -> None:
    tracker = new_tracker(max_gap_s=5.0)
    last = confirmed_car(tracker)
    tracks = tracker.update(masks([], last + wait_s, size=size))
    assert [(t.track_id, t.state, t.event) for t in tracks] == [(1, TrackState.LOST, TrackEvent.LEFT)]


def test_reset_forgets_tracks_and_time_and_goes_on_with_the_ids() -> None:
    tracker = new_tracker()
    confirmed_car(tracker)
    tracker.reset()
    assert tracker.update(masks([], 0.0)) == []
    (track,) = tracker.update(masks([(CAR, 28, 50, 30, 20)], 0.1))
    assert (track.track_id, track.state, tracker.next_id) == (2, TrackState.TENTATIVE, 3)


def test_each_tracker_has_its_own_ids() -> None:
    first, other, late = new_tracker(), new_tracker(), new_tracker()
    late.next_id = 500
    for tracker, expected in ((first, 1), (other, 1), (late, 500)):
        assert [t.track_id for t in tracker.update(masks([(CAR, 20, 50, 30, 20)], 0.0))] == [expected]


def test_what_is_seen_is_reported_as_it_was_matched_not_as_the_filter_smooths_it() -> None:
    tracker = new_tracker()
    confirmed_car(tracker, speed=0)
    (track,) = tracker.update(masks([(CAR, 23, 48, 33, 19)], 0.5))
    assert track.track_id == 1 and track.box_px == (23, 48, 56, 67)
    assert track.segment is not None and track.segment.area_px == 33 * 19


def test_masks_are_carried_pixel_by_pixel() -> None:
    tracker = new_tracker()
    confirmed_car(tracker)
    frame = masks([(CAR, 30, 50, 30, 20), (PEDESTRIAN, 52, 40, 8, 40)], 0.5)
    car = next(t for t in tracker.update(frame) if t.track_id == 1)
    assert car.segment is not None and car.mask is not None
    (x, y), (h, w) = car.segment.corner_px, car.mask.shape
    np.testing.assert_array_equal(car.mask != 0, frame.class_ids[y : y + h, x : x + w] == CAR)
    assert car.segment.area_px == car.mask.sum() == (frame.class_ids == CAR).sum()


def test_a_doubtful_box_of_a_detector_continues_a_track_but_starts_none() -> None:
    tracker = new_tracker(min_hits=1, start_score=0.7)
    box = replace(rectangle(20, 50, 50, 70), mask=None)
    assert tracker.update_segments([replace(box, score=0.6)], 0, SIZE) == []
    (track,) = tracker.update_segments([replace(box, score=0.9)], 10**8, SIZE)
    (again,) = tracker.update_segments([replace(box, score=0.2)], 2 * 10**8, SIZE)
    assert track.track_id == again.track_id == 1 and again.state == TrackState.CONFIRMED and again.score == 0.2
