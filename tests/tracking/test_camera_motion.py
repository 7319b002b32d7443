"""The camera's motion, from images and from what segments have in common."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from support.small_scenes import rectangle, texture

from cmt_seg_ros.structures import U8
from cmt_seg_ros.tracking.camera_motion import FlowEstimator, common_shift

SIZE = (180, 260)
GROUND = texture(300, 500)
NOTHING = np.zeros(SIZE, np.uint8)


def view(x: int, y: int) -> U8:
    """What a camera sees whose picture moved by x, y."""
    return GROUND[60 - y : 60 - y + SIZE[0], 100 - x : 100 - x + SIZE[1]].copy()


def test_common_shift_is_the_median_of_three_or_more() -> None:
    moved = np.array([(30, 2), (31, 2), (29, 2), (-80, 90)], np.float64)
    np.testing.assert_allclose(common_shift(moved), (29.5, 2))
    np.testing.assert_array_equal(common_shift(moved[:2]), (0, 0))
    np.testing.assert_array_equal(common_shift(np.zeros((0, 2))), (0, 0))


@pytest.mark.parametrize("shift", [(6, 0), (-11, 4), (0, 20), (25, -15)])
def test_flow_finds_how_far_the_background_moved(shift: tuple[int, int]) -> None:
    estimator = FlowEstimator()
    assert estimator.update(view(0, 0), NOTHING) is None
    flow = estimator.update(view(*shift), NOTHING)
    assert flow is not None
    assert flow.of_background((100, 60, 130, 120)) == pytest.approx(shift, abs=0.5)


@pytest.mark.parametrize("scale", [1, 3])
def test_an_object_and_what_is_behind_it_move_apart(scale: int) -> None:
    estimator, frames = FlowEstimator(), []
    person = texture(60, 40, seed=9)
    for shift, left in ((0, 100), (5, 96)):
        image, occupied = view(shift, 0), NOTHING.copy()
        image[60:120, left : left + 40], occupied[60:120, left : left + 40] = person, 1
        frames.append([cv2.resize(a, None, fx=scale, fy=scale) for a in (image, occupied)])
    estimator.update(*frames[0])
    flow = estimator.update(*frames[1])
    assert flow is not None
    segment = rectangle(100 * scale, 60 * scale, 140 * scale, 120 * scale)
    # The flow is smooth, so each takes a little of the other.
    assert flow.of_segment(segment) == pytest.approx((-4 * scale, 0), abs=2.0 * scale)
    assert flow.of_background(segment.box_px) == pytest.approx((5 * scale, 0), abs=2.0 * scale)


def test_there_is_flow_between_neighbours_of_one_size_only() -> None:
    estimator = FlowEstimator()
    estimator.update(view(0, 0), NOTHING)
    assert estimator.update(None, NOTHING) is None
    assert estimator.update(view(2, 0), NOTHING) is None  # the frame before had no image
    assert estimator.update(view(4, 0)[:90].copy(), NOTHING[:90]) is None  # another size
    estimator.reset()
    assert estimator.update(view(6, 0)[:90].copy(), NOTHING[:90]) is None
    assert estimator.update(view(8, 0)[:90].copy(), NOTHING[:90]) is not None


@pytest.mark.parametrize("size", [(1, 1), (17, 9), (480, 31), (31, 480), (3, 200), (24, 120)])
def test_images_of_any_size_and_boxes_anywhere_give_numbers(size: tuple[int, int]) -> None:
    # In a process of its own: OpenCV's flow ends the process on images that are too narrow.
    ended = subprocess.run([sys.executable, "-c", ANY_SIZE, *map(str, size)], capture_output=True, encoding="utf-8")
    assert ended.returncode == 0, ended.stderr


ANY_SIZE = """
import sys
import numpy as np
from cmt_seg_ros.structures import Segment
from cmt_seg_ros.tracking.camera_motion import FlowEstimator

size = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
estimator = FlowEstimator()
for _ in range(3):
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    flow = estimator.update(image, np.ones(size, np.uint8))
for box in ((0, 0, 1, 1), (-500, -500, -400, -400), (900, 900, 950, 950), (-5, -5, 600, 600)):
    assert np.isfinite(flow.of_background(box)).all()
    assert np.isfinite(flow.of_segment(Segment(8, box, (0, 0), 1, 1.0))).all()
"""
