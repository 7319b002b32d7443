"""Masks to segments."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import U8, Segment
from cmt_seg_ros.tracking.segments import MIN_AREA_PX, find_segments, occupied_by, outlines

CAR, PEDESTRIAN = 8, 9


def blank() -> tuple[U8, U8]:
    return np.full((40, 60), 3, np.uint8), np.zeros((40, 60), np.uint8)


def test_box_centroid_area_score_and_mask() -> None:
    class_ids, objectness = blank()
    class_ids[10:20, 5:9] = CAR
    class_ids[10, 5] = 3  # a corner is missing
    objectness[10:15] = 255
    (segment,) = find_segments(class_ids, objectness, CAMVID, min_area_fraction=0.0)
    assert (segment.class_id, segment.box_px, segment.area_px) == (CAR, (5, 10, 9, 20), 39)
    ys, xs = np.nonzero(class_ids == CAR)
    assert segment.centroid_px == pytest.approx((xs.mean(), ys.mean()))
    assert segment.score == pytest.approx(19 / 39)
    assert segment.mask.dtype == np.uint8
    np.testing.assert_array_equal(segment.mask, class_ids[10:20, 5:9] == CAR)


def test_classes_touching_stay_apart_and_diagonals_connect() -> None:
    class_ids, objectness = blank()
    class_ids[5:15, 5:15] = CAR
    class_ids[5:15, 15:20] = PEDESTRIAN
    class_ids[15:25, 20:25] = PEDESTRIAN  # touches at a corner only
    segments = find_segments(class_ids, objectness, CAMVID, min_area_fraction=0.0)
    assert [(s.class_id, s.box_px) for s in segments] == [(CAR, (5, 5, 15, 15)), (PEDESTRIAN, (15, 5, 25, 25))]


def test_only_object_classes_and_nothing_unlabelled() -> None:
    class_ids, objectness = blank()
    class_ids[:20] = 255
    objectness[:] = 255
    assert find_segments(class_ids, objectness, CAMVID, min_area_fraction=0.0) == []


def test_small_pieces_are_dropped() -> None:
    class_ids, objectness = blank()
    class_ids[3, 3] = CAR  # one pixel of noise
    class_ids[10:15, 10:15] = CAR  # 25 of 2400 pixels
    class_ids[30:36, 30:36] = CAR  # 36 pixels
    assert [s.area_px for s in find_segments(class_ids, objectness, CAMVID, min_area_fraction=0.0)] == [25, 36]
    assert [s.area_px for s in find_segments(class_ids, objectness, CAMVID, min_area_fraction=30 / 2400)] == [36]


@pytest.mark.parametrize(
    ("class_ids", "objectness", "message"),
    [
        (np.zeros((4, 4), np.int32), np.zeros((4, 4), np.uint8), "class_ids is int32"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool), "objectness is bool"),
        (np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4), np.uint8), r"\(4, 4, 1\)"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8), r"\(4, 4\).*\(4, 5\)"),
        (np.zeros((0, 4), np.uint8), np.zeros((0, 4), np.uint8), r"\(0, 4\)"),
    ],
)
def test_refuses_other_masks(class_ids: U8, objectness: U8, message: str) -> None:
    with pytest.raises(TrackingError, match=message):
        find_segments(class_ids, objectness, CAMVID, min_area_fraction=0.0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(np.uint8, (12, 15), elements=st.sampled_from([3, CAR, PEDESTRIAN, 255])))
def test_segments_partition_the_object_pixels(class_ids: U8) -> None:
    painted = np.full_like(class_ids, 3)
    for segment in find_segments(class_ids, np.zeros_like(class_ids), CAMVID, min_area_fraction=0.0):
        left, top, right, bottom = segment.box_px
        window = painted[top:bottom, left:right]
        assert segment.mask.sum() == segment.area_px >= MIN_AREA_PX
        assert np.all(window[segment.mask == 1] == 3)  # no pixel is in two segments
        window[segment.mask == 1] = segment.class_id
        for edge in (segment.mask[0], segment.mask[-1], segment.mask[:, 0], segment.mask[:, -1]):
            assert edge.any()  # the box is tight
    missed = painted != np.where(np.isin(class_ids, (CAR, PEDESTRIAN)), class_ids, 3)
    assert np.all(painted[missed] == 3)  # what is not painted was too small, nothing is painted wrongly


def test_the_outline_of_a_segment_is_drawn_around_its_pixels() -> None:
    class_ids, objectness = blank()
    cv2.ellipse(class_ids, (30, 20), (12, 8), 20, 0, 360, CAR, -1)
    (segment,) = find_segments(class_ids, objectness, CAMVID, min_area_fraction=0.0)
    (points,) = outlines(segment)
    assert points.dtype == np.int32 and points.shape[1] == 2
    drawn = cv2.fillPoly(np.full((40, 60), 3, np.uint8), [points], CAR)
    np.testing.assert_array_equal(drawn, class_ids)
    box = replace(segment, box_px=(4.0, 5.0, 10.0, 9.0), mask=None)
    assert cv2.boundingRect(outlines(box)[0]) == (4, 5, 6, 4)


def test_each_part_of_a_segment_in_pieces_has_its_outline() -> None:
    mask = np.zeros((10, 30), np.uint8)
    mask[:, :8] = mask[2:9, 20:] = 1
    segment = Segment(CAR, (5, 6, 35, 16), (20.0, 11.0), int(mask.sum()), 1.0, mask)
    assert sorted(map(cv2.boundingRect, outlines(segment))) == [(5, 6, 8, 10), (25, 8, 10, 7)]


def test_occupied_is_where_a_segment_is_also_when_it_is_cut_by_the_border() -> None:
    mask = np.ones((6, 10), np.uint8)
    mask[0, 0] = 0
    cut = Segment(CAR, (-4, -2, 6, 4), (0.5, 0.5), 59, 1.0, mask)
    box = Segment(CAR, (50.4, 30.0, 80.0, 90.0), (65.0, 60.0), 900, 1.0)
    outside = [Segment(CAR, b, (0.0, 0.0), 1, 1.0) for b in ((-9.0, -9.0, -3.0, -3.0), (70.0, 50.0, 90.0, 60.0))]
    expected = np.zeros((40, 60), np.uint8)
    expected[:4, :6], expected[30:, 50:] = 1, 1
    np.testing.assert_array_equal(occupied_by([cut, box, *outside], (40, 60)), expected)


def test_the_smallest_size_follows_the_image() -> None:
    for scale in (1, 4):
        class_ids, objectness = (layer.repeat(scale, 0).repeat(scale, 1) for layer in blank())
        class_ids[: 5 * scale, : 5 * scale], class_ids[20 * scale : 24 * scale, : 4 * scale] = CAR, CAR
        found = find_segments(class_ids, objectness, CAMVID, min_area_fraction=20 / 2400)
        assert [s.area_px for s in found] == [25 * scale**2]
