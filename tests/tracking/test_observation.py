"""Colours of objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.small_scenes import BLUE, RED, rectangle, texture

from cmt_seg_ros.structures import U8
from cmt_seg_ros.tracking.observation import color_histogram


def picture() -> U8:
    image = texture(100, 160)
    image[10:40, 20:40], image[50:90, 100:130], image[60:80, 10:20] = RED, BLUE, RED
    return image


def test_the_same_colours_are_like_and_others_are_not() -> None:
    red, blue, small_red = (
        color_histogram(rectangle(*box), picture()) for box in ((20, 10, 40, 40), (100, 50, 130, 90), (10, 60, 20, 80))
    )
    for colors in (red, blue, small_red):
        assert np.linalg.norm(colors) == pytest.approx(1.0) and colors.min() >= 0
    assert red @ small_red == pytest.approx(1.0) and red @ blue < 0.2


def test_only_the_pixels_of_the_mask_count() -> None:
    image, whole = picture(), rectangle(10, 5, 50, 45)
    mask = np.zeros((40, 40), np.uint8)
    mask[5:35, 10:30] = 1
    red = color_histogram(rectangle(20, 10, 40, 40), image)
    assert color_histogram(replace(whole, mask=mask), image) @ red == pytest.approx(1.0)
    assert color_histogram(replace(whole, mask=None), image) @ red < 0.95


@pytest.mark.parametrize("box", [(-30, -20, 30, 30), (140, 80, 200, 130), (-20, -20, -5, -5), (300, 10, 340, 60)])
def test_what_is_outside_the_image_has_no_colours(box: tuple[int, int, int, int]) -> None:
    for segment in (rectangle(*box), replace(rectangle(*box), mask=None)):
        colors = color_histogram(segment, picture())
        inside = box[0] < 160 and box[2] > 0
        assert np.linalg.norm(colors) == pytest.approx(1.0 if inside else 0.0)
        assert colors.shape == color_histogram(rectangle(0, 0, 9, 9), picture()).shape
