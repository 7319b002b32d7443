"""The tracker on small scenes of rectangles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import Segmentation, Track, TrackState
from cmt_seg_ros.tracking.segments import find_segments
from cmt_seg_ros.tracking.tracker import Tracker

CAR, PEDESTRIAN, ROAD = 8, 9, 3
SIZE = (120, 200)  # height, width
Rectangle = tuple[int, float, float, float, float]  # class, left, top, width, height


def masks(
    rectangles: Iterable[Rectangle], time_s: float, *, size: tuple[int, int] = SIZE, doubtful: bool = False
) -> Segmentation:
    """Rectangles on a road, later ones in front; when doubtful, the objectness mask has none of them."""
    class_ids = np.full(size, ROAD, np.uint8)
    for class_id, left, top, width, height in rectangles:
        x, y = max(round(left), 0), max(round(top), 0)
        class_ids[y : max(round(top + height), 0), x : max(round(left + width), 0)] = class_id
    objectness = np.where((class_ids != ROAD) & (not doubtful), 255, 0).astype(np.uint8)
    return Segmentation("front", round(time_s * 1e9), class_ids, objectness, np.full(size, 255, np.uint8))


def new_tracker(**changes: float) -> Tracker:
    return Tracker(CAMVID, TrackerConfig(**changes))  # type: ignore[arg-type]


def confirmed_car(tracker: Tracker, frames: int = 5, *, left: float = 20, speed: float = 20) -> float:
    """Show a car for some frames at 10 Hz; return the time of the last."""
    for k in range(frames):
        (track,) = tracker.update(masks([(CAR, left + speed * k / 10, 50, 30, 20)], k / 10))
    assert track.state == TrackState.CONFIRMED
    return (frames - 1) / 10


def plain(tracks: Sequence[Track]) -> list[tuple[object, ...]]:
    """Everything of tracks in a form that compares."""
    return [
        (t.track_id, t.class_id, t.box_px, t.velocity_px_s, t.score, t.state, t.age_s, t.unseen_s, t.mask is None)
        for t in tracks
    ]


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
    assert tracker.update(masks([], 0.9)) == []  # unseen for 0.5 s


def test_velocity_is_in_pixels_per_second() -> None:
    tracker = new_tracker()
    for k in range(15):
        (track,) = tracker.update(masks([(CAR, 20 + 6 * k, 80 - 2 * k, 30, 20)], k / 15))
    assert track.velocity_px_s == pytest.approx((90, -30), abs=4)


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


def test_irregular_frames_are_one_object() -> None:
    tracker = new_tracker()
    times = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.3, 40))
    for time_s in times:
        tracks = tracker.update(masks([(CAR, 5 + 20 * time_s, 40, 30, 20)], float(time_s)))
        assert [t.track_id for t in tracks] == [1]
    assert tracks[0].velocity_px_s[0] == pytest.approx(20, abs=3)


def test_small_fast_object_without_overlap() -> None:
    tracker = new_tracker()
    for k in range(12):
        tracks = tracker.update(masks([(PEDESTRIAN, 5 + 11 * k, 40, 10, 16)], k / 10))
    assert [t.track_id for t in tracks] == [1]


def test_two_trackers_are_independent() -> None:
    one, other = new_tracker(), new_tracker()
    for k in range(5):
        (a,) = one.update(masks([(CAR, 20 + 2 * k, 50, 30, 20)], k / 10))
        b = other.update(masks([(PEDESTRIAN, 90, 20, 10, 30), (CAR, 150, 80, 30, 20)], 100 + k / 7))
        assert a.track_id == 1 and [t.track_id for t in b] == [1, 2]


def test_ids_are_never_used_again() -> None:
    tracker = new_tracker(max_lost_s=0.1)
    seen: list[int] = []
    for k in range(12):  # appears every third frame, somewhere else each time
        shown = [(CAR, 10 + 40 * (k % 4), 10 + 30 * (k % 3), 20, 16)] if k % 3 == 0 else []
        seen += [t.track_id for t in tracker.update(masks(shown, k / 2))]
    tracker.reset()
    (track,) = tracker.update(masks([(CAR, 10, 10, 20, 16)], 0.0))  # the clock may start over
    assert seen == [1, 2, 3, 4] and track.track_id == 5


def noisy_sequence() -> list[Segmentation]:
    rng = np.random.default_rng(2)
    sequence = []
    for k in range(25):
        objects = [(CAR if i % 2 else PEDESTRIAN, 8 + 30 * i + k * (i - 2), 12 + 16 * i, 24, 14) for i in range(6)]
        sequence.append(masks([o for o in objects if rng.random() < 0.85], k / 12))
    return sequence


def test_same_input_gives_same_output() -> None:
    runs = []
    for _ in range(2):
        tracker = new_tracker()
        runs.append([plain(tracker.update(frame)) for frame in noisy_sequence()])
    assert runs[0] == runs[1]


def test_order_of_segments_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    straight, shuffled = new_tracker(), new_tracker()
    for frame in noisy_sequence():
        segments = find_segments(frame.class_ids, frame.objectness, CAMVID, min_area_fraction=0.0)
        expected = plain(straight.update_segments(segments, frame.stamp_ns, SIZE))
        order = rng.permutation(len(segments))
        assert plain(shuffled.update_segments([segments[i] for i in order], frame.stamp_ns, SIZE)) == expected
        assert [t[0] for t in expected] == sorted(t[0] for t in expected)  # type: ignore[type-var]


@pytest.mark.parametrize("stamp_s", [0.4, 0.1])
def test_frame_out_of_order_is_refused_and_changes_nothing(stamp_s: float) -> None:
    tracker, untouched = new_tracker(), new_tracker()
    confirmed_car(tracker)
    confirmed_car(untouched)
    with pytest.raises(TrackingError, match=r"400000000 ns.*reset\(\)"):
        tracker.update(masks([(CAR, 28, 50, 30, 20)], stamp_s))
    following = masks([(CAR, 30, 50, 30, 20)], 0.5)
    assert plain(tracker.update(following)) == plain(untouched.update(following))


def test_malformed_masks_change_nothing() -> None:
    tracker = new_tracker()
    confirmed_car(tracker)
    good = masks([(CAR, 30, 50, 30, 20)], 0.5)
    bad = Segmentation("front", good.stamp_ns, good.class_ids, good.objectness[:-1], good.confidence)
    with pytest.raises(TrackingError, match="one size"):
        tracker.update(bad)
    (track,) = tracker.update(good)
    assert track.track_id == 1


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


def test_leaving_the_image_ends_a_track_at_once() -> None:
    tracker = new_tracker(max_lost_s=2.0)
    k = 0
    while 120 + 8 * k < SIZE[1]:
        tracks = tracker.update(masks([(CAR, 120 + 8 * k, 50, 30, 20)], k / 10))
        k += 1
    assert len(tracks) == 1
    last_seen = k
    while tracks and k < last_seen + 10:
        tracks = tracker.update(masks([], k / 10))
        k += 1
    assert k - last_seen <= 3


def test_long_pause_drops_tracks_short_pause_does_not() -> None:
    tracker = new_tracker(max_gap_s=5.0)
    last = confirmed_car(tracker, speed=0)
    (track,) = tracker.update(masks([(CAR, 20, 50, 30, 20)], last + 3))  # longer than max_lost_s, but seen again
    assert track.track_id == 1
    (track,) = tracker.update(masks([(CAR, 20, 50, 30, 20)], last + 9))
    assert track.track_id == 2


def test_new_resolution_keeps_tracks_new_shape_drops_them() -> None:
    tracker = new_tracker()
    last = confirmed_car(tracker, left=20, speed=20)
    double = masks([(CAR, 60, 100, 60, 40)], last + 0.1, size=(240, 400))
    (track,) = tracker.update(double)
    assert track.track_id == 1 and track.velocity_px_s[0] == pytest.approx(40, abs=10)
    (track,) = tracker.update(masks([(CAR, 60, 100, 60, 40)], last + 0.2, size=(240, 240)))
    assert track.track_id == 2


def test_tracks_survive_one_frame_in_ten_lost_over_a_minute() -> None:
    rng = np.random.default_rng(6)
    tracker = new_tracker()
    ids: set[int] = set()
    for k in range(300):
        x = 85 + 70 * np.sin(k / 20)
        shown = [(CAR, x, 40 + 10 * np.cos(k / 15), 30, 20)] if rng.random() < 0.9 or k < 3 else []
        ids |= {t.track_id for t in tracker.update(masks(shown, k / 10))}
    assert ids == {1}
