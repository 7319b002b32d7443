"""What is one object: blobs of several, pieces of one, doubtful ones, and who is known again by his colour."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_scenes import (
    BLUE,
    CAR,
    PEDESTRIAN,
    RED,
    ROAD,
    blobs,
    cover,
    masks,
    new_tracker,
    of_classes,
    people,
    person,
    texture,
)

from cmt_seg_ros.structures import Segmentation, TrackState
from cmt_seg_ros.tracking.tracker import Tracker


def waist_film() -> list[Segmentation]:
    """Somebody stands; two who walk side by side as one blob appear, and part in the end."""
    film = []
    for k in range(40):
        class_ids = np.full((120, 300), ROAD, np.uint8)
        person(class_ids, 250, 90, 60)
        if k >= 5:
            apart = 9 if k < 30 else 9 + 2 * (k - 29)
            person(class_ids, 40 + 2 * k - apart, 90, 60)
            person(class_ids, 40 + 2 * k + apart, 90, 60)
        film.append(of_classes(class_ids, k / 10))
    return film


def test_two_people_who_enter_as_one_blob_become_two_tracks() -> None:
    tracker = new_tracker()
    for k, frame in enumerate(waist_film()):
        tracks = tracker.update(frame)
        pair = [t for t in tracks if t.box_px[0] < 200]
        if k == 25:
            assert blobs(frame) == 2  # the two, and the one who stands
            assert [t.state for t in pair] == [TrackState.CONFIRMED] * 2
            both = [t.track_id for t in pair]
            areas = [t.segment.area_px for t in pair if t.segment is not None]
            assert min(areas) > 0.8 * max(areas)
        if k > 25:
            assert [t.track_id for t in pair] == both
    assert blobs(frame) == 3 and len(tracks) == 3


def test_one_person_is_not_cut() -> None:
    tracker = new_tracker()
    for k in range(30):
        tracks = tracker.update(people([(40 + 3 * k, 90, 60), (170, 100, 40)], k / 10))
        assert [t.track_id for t in tracks] == [1, 2]


@pytest.mark.parametrize("others", [0, 1, 3])
def test_the_pieces_of_a_person_behind_a_rail_are_one_object(others: int) -> None:
    tracker, size = new_tracker(), (120, 300)
    for k in range(20):
        frame = people([(30 + 4 * k, 90, 60), *((180 + 40 * i, 90, 60) for i in range(others))], k / 10, size)
        if 8 <= k < 14:
            frame.class_ids[62:65, :150] = ROAD
        tracks = tracker.update(frame)
        assert [t.track_id for t in tracks] == list(range(1, others + 2))
        np.testing.assert_array_equal(cover(tracks, size), frame.class_ids == PEDESTRIAN)
        assert all(t.box_px[3] - t.box_px[1] == 61 for t in tracks)


def test_a_doubtful_segment_is_matched_after_the_sure_ones() -> None:
    # The network doubts one of two cars and sees another one where there is none.
    tracker = new_tracker()
    for k in range(12):
        frame = masks([(CAR, 20 + 2 * k, 20, 30, 20), (CAR, 90 + 2 * k, 70, 30, 20), (CAR, 150, 10, 30, 20)], k / 10)
        assert frame.objectness is not None
        frame.objectness[:40, 140:] = 0
        if k >= 6:
            frame.objectness[70:] = 0
        tracks = tracker.update(frame)
        assert [t.track_id for t in tracks] == [1, 2]
    assert all(t.state == TrackState.CONFIRMED for t in tracks) and tracks[1].score == 0


def bounce(tracker: Tracker, colors: tuple[tuple[int, int, int], ...] | None) -> dict[int, float]:
    """Two people walk behind a wall from both sides, meet there and turn back; ids and heights in the end."""
    ground = texture(120, 240)
    for k in range(26):
        class_ids, image = np.full((120, 240), ROAD, np.uint8), ground.copy()
        for who, side in enumerate((-1, 1)):
            x, y = 113 + side * abs(60 - 6 * k), 40 + who
            class_ids[y : y + 28, x : x + 14] = PEDESTRIAN
            image[y : y + 28, x : x + 14] = (0, 0, 0) if colors is None else colors[who]
        class_ids[:, 85:155], image[:, 85:155] = ROAD, 90
        tracks = tracker.update(of_classes(class_ids, k / 10), None if colors is None else image)
    return {t.track_id: t.box_px[1] for t in tracks if t.segment is not None}


def test_who_turned_back_behind_a_wall_is_known_again_by_his_colour() -> None:
    assert bounce(new_tracker(), (RED, BLUE)) == {1: 40.0, 2: 41.0}
    # By motion alone they would have walked on: these are the same scenes without colours, or with the same one.
    assert bounce(new_tracker(), None) == {1: 41.0, 2: 40.0}
    assert bounce(new_tracker(), (RED, RED)) == {1: 41.0, 2: 40.0}
