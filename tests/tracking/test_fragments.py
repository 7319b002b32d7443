"""Joining the pieces of a divided object."""

from __future__ import annotations

import numpy as np
from support.small_scenes import CAR, PEDESTRIAN, rectangle

from cmt_seg_ros.structures import Box, Segment
from cmt_seg_ros.tracking.association import Appearances
from cmt_seg_ros.tracking.fragments import join_fragments


def tracks(*boxes: Box, class_id: int = CAR) -> Appearances:
    return Appearances(np.array(boxes, np.float64).reshape(-1, 4), np.full(len(boxes), class_id))


def joined(segments: list[Segment], known: Appearances, aspect: float = 1.0) -> list[Segment]:
    """``aspect``: usual height over width of every class."""
    return join_fragments(segments, known, lambda class_id: aspect)


LEFT, RIGHT = rectangle(10, 20, 30, 40), rectangle(40, 22, 50, 40, score=0.5)
BETWEEN = rectangle(30, 15, 40, 45, PEDESTRIAN)


def test_joins_what_a_pedestrian_divides() -> None:
    whole, other = joined([LEFT, BETWEEN, RIGHT], tracks((9, 19, 51, 41)))
    assert other is BETWEEN and whole.class_id == CAR
    assert whole.box_px == (10, 20, 50, 40) and whole.area_px == 400 + 180
    assert whole.score == (400 + 90) / 580
    expected = np.zeros((20, 40), np.uint8)
    expected[:, :20] = 1
    expected[2:, 30:] = 1
    np.testing.assert_array_equal(whole.mask, expected)
    ys, xs = np.nonzero(expected)
    np.testing.assert_allclose(whole.centroid_px, (10 + xs.mean(), 20 + ys.mean()))


def test_does_not_join_without_reason() -> None:
    pieces = [LEFT, BETWEEN, RIGHT]
    apart = [LEFT, rectangle(90, 15, 100, 45, PEDESTRIAN), RIGHT]
    assert joined(apart, tracks((9, 19, 51, 41))) == apart  # nothing hides the middle
    assert joined(pieces, tracks()) == pieces  # nobody knows of a whole
    assert joined(pieces, tracks((9, 19, 31, 41))) == pieces  # the right one is outside
    assert joined(pieces, tracks((9, 19, 51, 41), class_id=PEDESTRIAN)) == pieces
    assert joined(pieces, tracks((9, 19, 51, 41), (30, 15, 60, 45))) == pieces  # the right one may be another car


def test_joins_what_is_shaped_more_like_an_object_as_one() -> None:
    # A belt in the colour of the wall cuts a person in two; a car of the same outline would be two cars.
    head, legs = rectangle(20, 10, 36, 32, PEDESTRIAN), rectangle(20, 35, 36, 60, PEDESTRIAN)
    (whole,) = joined([head, legs], tracks((19, 9, 37, 61), class_id=PEDESTRIAN), aspect=3.0)
    assert whole.box_px == (20, 10, 36, 60) and whole.area_px == 16 * 22 + 16 * 25
    assert joined([head, legs], tracks((19, 9, 37, 61), class_id=PEDESTRIAN), aspect=1.4) == [head, legs]


def test_leaves_two_people_who_part_alone() -> None:
    # They were one blob so far; each alone looks more like a person than both together do.
    one, other = rectangle(20, 10, 36, 60, PEDESTRIAN), rectangle(39, 10, 55, 60, PEDESTRIAN)
    assert joined([one, other], tracks((20, 10, 55, 60), class_id=PEDESTRIAN), aspect=3.0) == [one, other]


def test_boxes_without_masks_are_left_alone() -> None:
    boxes = [Segment(s.class_id, s.box_px, s.centroid_px, s.area_px, s.score) for s in (LEFT, BETWEEN, RIGHT)]
    assert joined(boxes, tracks((9, 19, 51, 41))) == boxes
