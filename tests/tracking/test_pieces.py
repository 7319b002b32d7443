"""Joining the pieces of a divided object."""

from __future__ import annotations

import numpy as np

from cmt_seg_ros.structures import Segment
from cmt_seg_ros.tracking.association import Boxes
from cmt_seg_ros.tracking.pieces import join_pieces

CAR, PEDESTRIAN = 8, 9


def segment(class_id: int, left: int, top: int, right: int, bottom: int, score: float = 1.0) -> Segment:
    mask = np.ones((bottom - top, right - left), np.uint8)
    centroid = (left + right - 1) / 2, (top + bottom - 1) / 2
    return Segment(class_id, (left, top, right, bottom), centroid, mask.size, score, mask)


def tracks(*boxes: tuple[float, float, float, float], class_id: int = CAR) -> Boxes:
    return Boxes(np.array(boxes, np.float64).reshape(-1, 4), np.full(len(boxes), class_id))


LEFT, RIGHT = segment(CAR, 10, 20, 30, 40), segment(CAR, 40, 22, 50, 40, score=0.5)
BETWEEN = segment(PEDESTRIAN, 30, 15, 40, 45)


def test_joins_what_a_pedestrian_divides() -> None:
    whole, other = join_pieces([LEFT, BETWEEN, RIGHT], tracks((9, 19, 51, 41)))
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
    apart = [LEFT, segment(PEDESTRIAN, 90, 15, 100, 45), RIGHT]
    assert join_pieces(apart, tracks((9, 19, 51, 41))) == apart  # nothing hides the middle
    assert join_pieces(pieces, tracks()) == pieces  # nobody knows of a whole
    assert join_pieces(pieces, tracks((9, 19, 31, 41))) == pieces  # the right one is outside
    assert join_pieces(pieces, tracks((9, 19, 51, 41), class_id=PEDESTRIAN)) == pieces
    assert join_pieces(pieces, tracks((9, 19, 51, 41), (30, 15, 60, 45))) == pieces  # the right one may be another car
