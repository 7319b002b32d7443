"""Cutting blobs that no track explains."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.small_scenes import PEDESTRIAN, people, rectangle

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import U8, Segment
from cmt_seg_ros.tracking.blobs.constrictions import aspect_deviation, solidity, split_at_constrictions
from cmt_seg_ros.tracking.segments import find_segments

CONFIG = TrackerConfig()
TALL = 2.9
"""Height over width of these people."""


def blob_of(mask: U8) -> Segment:
    class_ids = np.where(mask != 0, PEDESTRIAN, 3).astype(np.uint8)
    (segment,) = find_segments(class_ids, class_ids, CAMVID, min_area_fraction=0.0)
    return segment


def group(*xs: float, scale: int = 1) -> Segment:
    places = [(x * scale, 100 * scale, 60 * scale) for x in xs]
    return blob_of(people(places, 0.0, (120 * scale, 200 * scale)).class_ids // PEDESTRIAN)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("xs", [(60, 79), (60, 79, 98), (60, 79, 98, 117)])
def test_people_side_by_side_are_cut_apart(xs: tuple[float, ...], scale: int) -> None:
    blob = group(*xs, scale=scale)
    parts = split_at_constrictions(blob, TALL, CONFIG)
    assert len(parts) == len(xs)
    middles = sorted((p.box_px[0] + p.box_px[2]) / 2 for p in parts)
    np.testing.assert_allclose(middles, [x * scale for x in xs], atol=2.0 * scale)
    assert sum(p.area_px for p in parts) == blob.area_px
    painted = np.zeros((360, 600), np.uint8)
    for part in parts:
        assert part.mask is not None and part.class_id == PEDESTRIAN and part.score == blob.score
        (x, y), (h, w) = part.corner_px, part.mask.shape
        painted[y : y + h, x : x + w] += part.mask
    assert painted.max() == 1  # no pixel twice; with the areas: each once


def test_one_object_is_left_alone() -> None:
    disc = np.zeros((60, 60), np.uint8)
    cv2.circle(disc, (30, 30), 20, 1, -1)
    ring = disc.copy()
    cv2.circle(ring, (30, 30), 12, 0, -1)
    for blob, aspect in (
        (group(60), TALL),
        (rectangle(5, 5, 50, 25), 1.0),
        (blob_of(disc), 1.0),
        (blob_of(ring), 1.0),
        (rectangle(5, 5, 7, 90), 0.1),
        (rectangle(5, 5, 6, 6), 1.0),
    ):
        assert split_at_constrictions(blob, aspect, CONFIG) == [blob]


def test_parts_that_are_shaped_like_no_object_are_not_cut_off() -> None:
    blob = group(60, 79)
    assert split_at_constrictions(blob, 0.6, CONFIG) == [blob]  # of the class's usual shape as it is


def test_a_limb_is_no_object() -> None:
    body = np.zeros((80, 80), np.uint8)
    cv2.circle(body, (30, 40), 20, 1, -1)
    cv2.circle(body, (54, 40), 5, 1, -1)
    assert len(split_at_constrictions(blob_of(body), 1.0, CONFIG)) == 1


def test_solidity_and_aspect_deviation() -> None:
    assert solidity(rectangle(0, 0, 30, 20)) == pytest.approx(1.0, abs=0.02)
    cross = np.zeros((30, 30), np.uint8)
    cross[10:20], cross[:, 10:20] = 1, 1
    assert 0.5 < solidity(blob_of(cross)) < 0.85
    assert solidity(group(60, 79)) < solidity(group(60))
    assert aspect_deviation(rectangle(0, 0, 10, 30), 3.0) == pytest.approx(0.0)
    for aspect in (1.5, 6.0):
        assert aspect_deviation(rectangle(0, 0, 10, 30), aspect) == pytest.approx(np.log(2))
