"""Objects that the network told apart: one track each, from their first frame on, whatever their numbers are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.small_scenes import CAR, PEDESTRIAN, ROAD, SIZE, masks, new_tracker

from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.structures import Segmentation, Track, TrackState
from cmt_seg_ros.tracking.segments import segments_of_instances

LABELS = new_tracker()._labels


def with_instances(boxes: list[tuple[int, int, int, int, int]], stamp_s: float, numbers: list[int]) -> Segmentation:
    """Boxes (class, left, top, width, height), and the number of each one's instance; 0: none."""
    made = masks(boxes, stamp_s)
    ids = np.zeros(made.class_ids.shape, np.uint16)
    for (_, left, top, width, height), number in zip(boxes, numbers, strict=True):
        if number:
            ids[top : top + height, left : left + width] = number
    return replace(made, instance_ids=ids)


def confirmed(tracks: list[Track]) -> dict[int, Track]:
    return {t.track_id: t for t in tracks if t.state == TrackState.CONFIRMED}


def test_two_cars_that_touch_from_the_first_to_the_last_frame_are_two_tracks() -> None:
    rng = np.random.default_rng(0)
    tracker, without, alone = new_tracker(), new_tracker(), set()
    for k in range(20):
        cars = [(CAR, 10 + 3 * k, 40, 40, 24), (CAR, 50 + 3 * k, 40, 40, 24)]
        numbers = (rng.permutation(200)[:2] + 1).tolist()  # of each frame its own
        found = confirmed(tracker.update(with_instances(cars, k / 10, numbers)))
        alone |= confirmed(without.update(masks(cars, k / 10))).keys()
        if k > 6:
            assert sorted(found) == [1, 2]
            left = [found[number].box_px[0] for number in (1, 2)]
            assert left == pytest.approx([10 + 3 * k, 50 + 3 * k], abs=2)
    assert len(alone) == 1  # as one blob they are one


def test_a_person_whose_mask_is_in_two_parts_is_one_and_a_group_that_opens_is_not_cut() -> None:
    tracker = new_tracker()
    for k in range(12):
        apart = 14 if k < 6 else 24
        people = [(PEDESTRIAN, 60 + k, 40, 10, 30), (PEDESTRIAN, 60 + apart + k, 40, 10, 30)]
        tracks = confirmed(tracker.update(with_instances(people, k / 10, [3, 3])))
    assert len(tracks) == 1
    (track,) = tracks.values()
    assert track.segment is not None and track.segment.is_instance and track.box_px[2] - track.box_px[0] > 30


def test_segments_are_of_instances_and_the_rest_is_components() -> None:
    boxes = [(CAR, 10, 40, 20, 20), (CAR, 30, 40, 20, 20), (CAR, 100, 40, 20, 20), (ROAD, 150, 40, 20, 20)]
    frame = with_instances(boxes, 0.0, [7, 300, 0, 9])
    assert frame.objectness is not None and frame.instance_ids is not None
    frame.class_ids[40:45, 30:50] = PEDESTRIAN  # the class of most pixels counts
    found = segments_of_instances(frame.class_ids, frame.objectness, frame.instance_ids, LABELS, min_area_fraction=0.0)
    assert [(s.class_id, s.box_px, s.is_instance) for s in found] == [
        (CAR, (10, 40, 30, 60), True),
        (CAR, (30, 40, 50, 60), True),
        (CAR, (100, 40, 120, 60), False),
    ]
    assert found[0].area_px == 400 and found[0].centroid_px == (19.5, 49.5) and found[0].score == 1
    assert found[0].mask is not None and found[0].mask.all() and found[0].mask.dtype == np.uint8


def test_instances_of_another_size_or_type_are_refused_and_the_next_frame_is_tracked() -> None:
    tracker = new_tracker()
    good = with_instances([(CAR, 10, 40, 40, 24)], 0.0, [1])
    for bad in (np.zeros(SIZE, np.uint8), np.zeros((4, 4), np.uint16)):
        with pytest.raises(TrackingError, match=r"instance_ids is .* it must be uint16"):
            tracker.update(replace(good, instance_ids=bad))
    assert len(tracker.update(good)) == 1
