"""Dividing a blob among the objects that are expected in it."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_scenes import PEDESTRIAN, people

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import U8, Segment
from cmt_seg_ros.tracking.blobs.canvas import Silhouette
from cmt_seg_ros.tracking.blobs.splitting import Part, divide_blob
from cmt_seg_ros.tracking.segments import find_segments

CONFIG = TrackerConfig()
SIZE = (240, 300)
Place = tuple[float, float, float]


def segments(*places: Place) -> list[Segment]:
    class_ids = people(places, 0.0, SIZE).class_ids
    return find_segments(class_ids, class_ids, CAMVID, min_area_fraction=0.0)


def silhouette(place: Place, off: tuple[float, float] = (0.0, 0.0), sigma: float = 6.0) -> Silhouette:
    """What a track expects that knows the shape, and the place but for ``off``."""
    (alone,) = segments(place)
    assert alone.mask is not None
    left, top, right, bottom = alone.box_px
    box = left + off[0], top + off[1], right + off[0], bottom + off[1]
    return Silhouette(box, alone.mask, np.full(2, sigma))


def divide(places: list[Place], offs: list[tuple[float, float]]) -> tuple[Segment, list[Part]]:
    (blob,) = segments(*places)
    expected = [silhouette(place, off) for place, off in zip(places, offs, strict=True)]
    return blob, divide_blob(blob, expected, people(places, 0.0, SIZE).class_ids // PEDESTRIAN, CONFIG)


def painted(parts: list[Part]) -> U8:
    """(H, W) how many parts have each pixel."""
    count = np.zeros(SIZE, np.uint8)
    for part in parts:
        if part.segment is not None and part.segment.mask is not None:
            (x, y), (h, w) = part.segment.corner_px, part.segment.mask.shape
            count[y : y + h, x : x + w] += part.segment.mask
            assert part.segment.class_id == PEDESTRIAN and part.segment.area_px == part.segment.mask.sum()
    return count


@pytest.mark.parametrize("offs", [[(0, 0), (0, 0)], [(5, 0), (-4, 3)], [(-5, -3), (5, 2)]])
@pytest.mark.parametrize("scale", [1, 2])
def test_finds_the_places_and_gives_each_pixel_to_one(offs: list[tuple[float, float]], scale: int) -> None:
    places = [(100.0, 100.0 * scale, 60.0 * scale), (100.0 + 17 * scale, 94.0 * scale, 60.0 * scale)]
    blob, parts = divide(places, [(x * scale, y * scale) for x, y in offs])
    assert np.array_equal(painted(parts), people(places, 0.0, SIZE).class_ids == PEDESTRIAN)
    for part, place in zip(parts, places, strict=True):
        np.testing.assert_allclose(part.box_px, silhouette(place).box_px, atol=4.0 * scale)
        assert part.segment is not None and part.visible > 0.5
    assert sum(p.segment.area_px for p in parts if p.segment is not None) == blob.area_px


def test_the_nearer_one_gets_the_pixels_of_both() -> None:
    places = [(100.0, 100.0, 70.0), (110.0, 90.0, 60.0)]  # the first stands further down
    _, parts = divide(places, [(0, 0), (0, 0)])
    (alone,) = segments(places[0])
    front, behind = (p.segment.area_px if p.segment is not None else 0 for p in parts)
    assert front > 0.9 * alone.area_px > behind
    assert parts[0].visible > parts[1].visible


def test_one_who_is_behind_another_is_hidden_and_keeps_the_place_expected() -> None:
    places = [(100.0, 100.0, 80.0), (100.0, 92.0, 56.0)]
    _, parts = divide(places, [(0, 0), (0, 0)])
    assert parts[0].visible > CONFIG.min_visible > parts[1].visible
    np.testing.assert_allclose(parts[1].box_px, silhouette(places[1]).box_px, atol=6.0)


def test_a_place_that_is_nearly_certain_is_kept() -> None:
    (blob,) = segments((100.0, 100.0, 60.0), (117.0, 100.0, 60.0))
    sure, unsure = silhouette((90.0, 100.0, 60.0), sigma=0.01), silhouette((117.0, 100.0, 60.0), (4, 0))
    parts = divide_blob(blob, [sure, unsure], np.zeros(SIZE, np.uint8), CONFIG)
    np.testing.assert_allclose(parts[0].box_px[:2], sure.box_px[:2], atol=4.0)


def test_a_part_that_something_else_hides_does_not_count_against_a_place() -> None:
    # The lower half of both is behind a car; with the car known they stay where they are.
    places = [(100.0, 100.0, 60.0), (117.0, 100.0, 60.0)]
    class_ids = people(places, 0.0, SIZE).class_ids
    class_ids[70:, :] = 8
    blob = next(s for s in find_segments(class_ids, class_ids, CAMVID, min_area_fraction=0.0) if s.class_id != 8)
    occupied = np.isin(class_ids, (8, PEDESTRIAN)).view(np.uint8)
    parts = divide_blob(blob, [silhouette(place) for place in places], occupied, CONFIG)
    for part, place in zip(parts, places, strict=True):
        np.testing.assert_allclose(part.box_px, silhouette(place).box_px, atol=5.0)


@pytest.mark.parametrize("seed", range(12))
def test_every_pixel_of_any_blob_goes_to_at_most_one_also_at_the_border(seed: int) -> None:
    rng = np.random.default_rng(seed)
    class_ids = people([(rng.uniform(0, 40), 60 + 20 * rng.random(), 50) for _ in range(4)], 0.0, SIZE).class_ids
    blob = max(find_segments(class_ids, class_ids, CAMVID, min_area_fraction=0.0), key=lambda s: s.area_px)
    expected = [
        silhouette((rng.uniform(30, 60), 90, rng.uniform(20, 70)), tuple(rng.uniform(-40, 10, 2)), rng.uniform(0.01, 9))
        for _ in range(int(rng.integers(1, 6)))
    ]
    parts = divide_blob(blob, expected, class_ids // PEDESTRIAN, CONFIG)
    count = painted(parts)
    assert len(parts) == len(expected) and count.max() <= 1 and not count[class_ids != PEDESTRIAN].any()
    assert all(np.isfinite(p.box_px).all() and 0 <= p.visible <= 1 for p in parts)
    assert count.sum() in (0, blob.area_px)


@pytest.mark.parametrize("growth_step", [0.05, 0.3])
def test_silhouettes_of_any_size_fit_on_the_canvas_however_much_they_may_grow(growth_step: float) -> None:
    random, config = np.random.default_rng(0), TrackerConfig(growth_step=growth_step)
    occupied = np.ones((300, 400), np.uint8)
    for _ in range(300):
        w, h = random.integers(3, 120, 2).tolist()
        blob = Segment(
            PEDESTRIAN, (150, 100, 150 + w, 100 + h), (150 + w / 2, 100 + h / 2), w * h, 1.0, occupied[:h, :w]
        )
        expected = []
        for _ in range(random.integers(1, 4)):
            (half_w, half_h), (x, y) = random.uniform(0.5, 150, 2), blob.centroid_px + random.normal(0, 10, 2)
            sigma = np.full(2, 2 * np.sqrt(half_w * half_h) * random.uniform(0.1, 0.5))
            box = x - half_w, y - half_h, x + half_w, y + half_h
            expected.append(Silhouette(box, occupied[:7, :5], sigma))
        assert len(divide_blob(blob, expected, occupied, config)) == len(expected)
