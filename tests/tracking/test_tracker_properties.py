"""What must hold for every input, on random scenes of objects that move, touch, hide one another and vanish."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_scenes import (
    CAR,
    PEDESTRIAN,
    ROAD,
    cover,
    new_tracker,
    of_classes,
    person,
    plain,
    rectangle,
    texture,
)

from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import U8, Segment, Segmentation, Track, TrackEvent, TrackState
from cmt_seg_ros.tracking.render import instance_image
from cmt_seg_ros.tracking.segments import find_segments

Shot = tuple[Segmentation, U8 | None]
SIZES = ((96, 160), (61, 97), (33, 120), (17, 9), (1, 40), (5, 3))


def film(seed: int, frames: int = 22) -> list[Shot]:
    """Some objects of two classes that bounce about; frames without any, lost frames, noise, images or not."""
    rng = np.random.default_rng(seed)
    height, width = SIZES[seed % len(SIZES)]
    count = int(rng.integers(1, 6))
    place, speed = rng.random((count, 2)) * (width, height), rng.normal(0, 4, (count, 2))
    tall, kind = rng.uniform(0.2, 0.7, count) * height, rng.choice([CAR, PEDESTRIAN], count)
    tall[: count // 2], kind[: count // 2] = tall[0], kind[0]  # these are alike
    ground, with_images, time_s = texture(height, width + 200, seed), seed // 6 % 2 == 0, 0.0
    shots: list[Shot] = []
    for k in range(frames):
        time_s += float(rng.choice([0.04, 0.1, 0.1, 0.35, 1.7]))
        place += speed
        speed *= np.where((place < 0) | (place > (width, height)), -1, 1)
        class_ids = np.full((height, width), ROAD, np.uint8)
        for i in range(count) if rng.random() > 0.12 else ():
            if rng.random() > 0.1:
                person(class_ids, place[i, 0], place[i, 1] + tall[i] / 2, tall[i], int(kind[i]))
        class_ids[rng.random((height, width)) < 0.01] = 255
        image = ground[:, 3 * k : 3 * k + width].copy()
        image[class_ids == PEDESTRIAN] = (40, 40, 220)
        masks = of_classes(class_ids, time_s, doubtful=bool(rng.random() < 0.1))
        shots.append((masks, image if with_images and rng.random() > 0.1 else None))
    return shots


def assert_sound(tracks: list[Track], size: tuple[int, int], before: dict[int, TrackState]) -> None:
    """One frame's tracks; ``before``: last state of each id so far."""
    ids = [t.track_id for t in tracks]
    assert ids == sorted(set(ids))
    for t in tracks:
        old = before.get(t.track_id, TrackState.TENTATIVE)
        known = old != TrackState.TENTATIVE
        assert old != TrackState.LOST, "an id came back"
        assert (t.event == TrackEvent.LEFT) == (t.state == TrackState.LOST)
        assert (t.event == TrackEvent.ENTERED) == (not known and t.state == TrackState.CONFIRMED)
        assert known or t.state in (TrackState.TENTATIVE, TrackState.CONFIRMED)
        assert not known or t.state != TrackState.TENTATIVE
        assert (t.unseen_s == 0) == (t.segment is not None) == (t.state in (TrackState.TENTATIVE, TrackState.CONFIRMED))
        left, top, right, bottom = t.box_px
        assert np.isfinite([*t.box_px, *t.velocity_px_s, t.age_s]).all() and left < right and top < bottom
        assert 0 <= t.score <= 1 and 0 <= t.unseen_s <= t.age_s
        assert t.covariance.shape == (4, 4) and np.array_equal(t.covariance, t.covariance.T)
        assert np.linalg.eigvalsh(t.covariance).min() >= -1e-9 * np.abs(t.covariance).max()
        before[t.track_id] = t.state
    pixels = cover(tracks, size)
    assert pixels.max(initial=0) <= 1, "a pixel belongs to two objects"
    assert np.array_equal(instance_image(tracks, size) != 0, pixels == 1)


@pytest.mark.parametrize("seed", range(36))
def test_every_frame_is_sound(seed: int) -> None:
    tracker = new_tracker(min_hits=1 + seed % 3, max_lost_s=0.5)
    before: dict[int, TrackState] = {}
    for masks, image in film(seed):
        tracks = tracker.update(masks, image)
        assert_sound(tracks, masks.class_ids.shape, before)  # type: ignore[arg-type]
        pixels = cover(tracks, masks.class_ids.shape)  # type: ignore[arg-type]
        assert np.isin(masks.class_ids[pixels == 1], (CAR, PEDESTRIAN)).all()
    assert max(before, default=0) < tracker.next_id


@pytest.mark.parametrize("seed", range(0, 12))
def test_the_same_input_gives_the_same_output_also_of_two_at_a_time(seed: int) -> None:
    films = film(seed), film(seed + 100)
    alone = []
    for shots in films:
        tracker = new_tracker()
        alone.append([plain(tracker.update(*shot)) for shot in shots])
    trackers = new_tracker(), new_tracker()
    by_turns: list[list[object]] = [[], []]
    for pair in zip(*films, strict=True):
        for which, shot in enumerate(pair):
            by_turns[which].append(plain(trackers[which].update(*shot)))
    assert by_turns == alone


@pytest.mark.parametrize("seed", range(0, 12))
def test_the_order_of_segments_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    straight, shuffled = new_tracker(), new_tracker()
    for masks, image in film(seed):
        assert masks.objectness is not None
        segments = find_segments(masks.class_ids, masks.objectness, CAMVID, min_area_fraction=0.0)
        order = rng.permutation(len(segments))
        size = (masks.class_ids.shape[0], masks.class_ids.shape[1])
        expected = plain(straight.update_segments(segments, masks.stamp_ns, size, image))
        assert plain(shuffled.update_segments([segments[i] for i in order], masks.stamp_ns, size, image)) == expected


@pytest.mark.parametrize("seed", range(0, 8))
def test_stopping_for_a_bad_frame_changes_nothing(seed: int) -> None:
    smooth, disturbed = new_tracker(), new_tracker()
    last_ns = -1
    for masks, image in film(seed):
        for broken in (replace(masks, objectness=masks.class_ids[:, :-1]), replace(masks, stamp_ns=last_ns)):
            with pytest.raises(TrackingError, match=r"one size|must be uint8|not newer"):
                disturbed.update(broken if last_ns >= 0 else replace(masks, objectness=masks.class_ids[:, :-1]), image)
        assert plain(disturbed.update(masks, image)) == plain(smooth.update(masks, image))
        last_ns = masks.stamp_ns


BOXES = st.lists(
    st.tuples(st.floats(-80, 180), st.floats(-60, 120), st.floats(0.5, 150), st.floats(0.5, 90), st.floats(0, 1)),
    max_size=6,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(BOXES, min_size=2, max_size=8))
def test_boxes_of_a_detector_may_lie_anywhere(frames: list[list[tuple[float, ...]]]) -> None:
    tracker, before = new_tracker(min_hits=2), dict[int, TrackState]()
    for k, boxes in enumerate(frames):
        seen = [Segment(8, (x, y, x + w, y + h), (x + w / 2, y + h / 2), w * h, score) for x, y, w, h, score in boxes]
        assert_sound(tracker.update_segments(seen, k * 10**8, (90, 160)), (90, 160), before)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 4), max_size=5), min_size=3, max_size=12))
def test_ids_and_velocities_do_not_depend_on_where_the_clock_starts(frames: list[list[int]]) -> None:
    results = []
    for start_ns in (0, 1_700_000_000_123_456_789):
        tracker = new_tracker(min_hits=2)
        shown = [[rectangle(20 * x, 10 + 3 * k, 20 * x + 12, 40 + 3 * k) for x in set(f)] for k, f in enumerate(frames)]
        results.append(
            [plain(tracker.update_segments(s, start_ns + k * 10**8, (90, 160))) for k, s in enumerate(shown)]
        )
    assert results[0] == results[1]


def test_ids_run_up() -> None:
    tracker = new_tracker(min_hits=1, max_lost_s=0.1)
    first = [t.track_id for masks, _ in film(1, 40) for t in tracker.update(masks) if t.event == TrackEvent.ENTERED]
    assert len(first) > 5 and all(a != b for a, b in pairwise(first)) and len(set(first)) == len(first)
