"""Temporal consistency: pictures that move, flicker and stand still."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmt_seg_ros.metrics.temporal import TemporalConsistency
from cmt_seg_ros.structures import U8

SIZES = [(240, 320), (360, 480), (720, 1280), (1280, 720), (200, 1000), (40, 30), (16, 16)]


def texture(seed: int, height: int, width: int, grain_px: int) -> np.ndarray:
    """(height, width) float32, 0-1: smooth and random, so that flow can follow it."""
    coarse = np.random.default_rng(seed).random((height // grain_px + 3, width // grain_px + 3)).astype(np.float32)
    size = coarse.shape[1] * grain_px, coarse.shape[0] * grain_px
    return np.clip(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), 0, 1)[:height, :width]


def scene(height: int, width: int, seed: int = 0) -> tuple[U8, U8]:
    """A picture, blue, green, red, and class ids 0-3 in patches of its own."""
    grain = max(4, max(height, width) // 30)
    picture = (255 * texture(seed, height, width, grain)).astype(np.uint8)
    ids = (4 * texture(seed + 1, height, width, 3 * grain)).clip(0, 3).astype(np.uint8)
    return np.repeat(picture[..., None], 3, axis=2), ids


def agreement(found: tuple[int, int] | None) -> float:
    assert found is not None and found[1] > 0
    return found[0] / found[1]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(-12, 12), st.integers(-12, 12), st.integers(0, 1000))
def test_a_picture_that_moves_with_its_mask_agrees(right_px: int, down_px: int, seed: int) -> None:
    picture, ids = scene(264, 344, seed)
    inside, moved = np.s_[12:252, 12:332], np.s_[12 - down_px : 252 - down_px, 12 - right_px : 332 - right_px]
    consistency = TemporalConsistency()
    assert consistency.add(picture[inside], ids[inside]) is None
    found = consistency.add(picture[moved], ids[moved])
    assert found is not None and found[1] > 0.8 * (240 - abs(down_px)) * (320 - abs(right_px))
    assert agreement(found) > 0.985
    # What came in from outside was nowhere before, and cannot be compared (flow may be off by a pixel or two).
    assert found[1] <= (240 - abs(down_px) + 3) * (320 - abs(right_px) + 3)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(0.0, 1.0), st.integers(0, 1000))
def test_a_still_picture_compares_pixel_by_pixel(flicker: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture, ids = scene(120, 160, seed)
    other = np.where(rng.random(ids.shape) < flicker, rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), ids.shape), ids)
    consistency = TemporalConsistency()
    consistency.add(picture, ids)
    assert consistency.add(picture, other) == ((other == ids).sum(), (other != 255).sum())


@pytest.mark.parametrize("size", SIZES)
def test_images_of_any_size(size: tuple[int, int]) -> None:
    picture, ids = scene(*size)
    consistency = TemporalConsistency()
    consistency.add(picture, ids)
    found = consistency.add(picture, ids)
    assert found is not None and found[0] == found[1]
    assert found[1] <= max(320, 32) ** 2 and found[1] >= min(ids.size, 320 * 64)
    # Every other row of another class: of the pixels that are compared it is about half.
    ids = ids.copy()
    ids[: size[0] // 2] += 1
    assert agreement(consistency.add(picture, ids)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("size", "step"), [((360, 480), 2), ((720, 1280), 6)])
def test_outlines_of_large_masks_do_not_blur(size: tuple[int, int], step: int) -> None:
    """Many thin classes, moved by one and a half pixels of the small picture."""
    height, width = size
    picture, _ = scene(height + 8, width + 8)
    ids = np.tile((np.arange(width + 8) // 16 % 4).astype(np.uint8), (height + 8, 1))
    consistency = TemporalConsistency()
    consistency.add(picture[:height, :width], ids[:height, :width])
    moved = np.s_[:height, step : step + width]
    assert agreement(consistency.add(picture[moved], ids[moved])) > 0.97


def test_flicker_agrees_less_the_more_there_is() -> None:
    picture, ids = scene(264, 344)
    rng = np.random.default_rng(5)
    found = []
    for share in (0.0, 0.1, 0.3, 0.6):
        consistency = TemporalConsistency()
        consistency.add(picture[:240, :320], ids[:240, :320])
        wrong = np.where(rng.random((240, 320)) < share, 9, ids[4:244, 5:325]).astype(np.uint8)
        found.append(agreement(consistency.add(picture[4:244, 5:325], wrong)))
    np.testing.assert_allclose(found, [1.0, 0.9, 0.7, 0.4], atol=0.02)


def test_what_comes_up_from_behind_does_not_count() -> None:
    picture, ids = scene(240, 320)
    consistency = TemporalConsistency()
    consistency.add(picture, ids)
    new_picture, new_ids = picture.copy(), ids.copy()
    new_picture[80:160, 100:200] = 255 - picture[80:160, 100:200]
    new_ids[80:160, 100:200] = 7
    found = consistency.add(new_picture, new_ids)
    assert found is not None and found[1] < 240 * 320 - 0.6 * 80 * 100
    assert agreement(found) > 0.96


def test_at_night_what_came_in_from_outside_does_not_count_either() -> None:
    """Outside is black to the comparison of pictures."""
    picture, ids = scene(240, 340)
    picture = picture // 25
    consistency = TemporalConsistency()
    consistency.add(picture[:, :320], ids[:, :320])
    found = consistency.add(picture[:, 20:], ids[:, 20:])
    assert found is not None and found[1] < 240 * (300 + 5) and agreement(found) > 0.95


def test_a_camera_s_noise_does_not_stop_the_comparison() -> None:
    rng = np.random.default_rng(2)
    picture, ids = scene(360, 480)
    consistency, found = TemporalConsistency(), None
    for _ in range(2):
        noisy = (picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)
        found = consistency.add(noisy, ids)
    assert found is not None and found[1] > 0.9 * 320 * 240 and agreement(found) > 0.97


def test_begins_anew_after_reset_and_after_a_change_of_size() -> None:
    picture, ids = scene(48, 64)
    consistency = TemporalConsistency()
    assert consistency.add(picture, ids) is None and consistency.add(picture, ids) is not None
    assert consistency.add(picture[:40], ids[:40]) is None and consistency.add(picture[:40], ids[:40]) is not None
    consistency.reset()
    assert consistency.add(picture[:40], ids[:40]) is None


def test_keeps_no_part_of_its_input() -> None:
    picture, ids = scene(72, 96)
    consistency = TemporalConsistency()
    image, mask = picture[:64, :80].copy(), ids[:64, :80].copy()
    consistency.add(image, mask)
    image[:], mask[:] = 0, 0
    moved = np.s_[2:66, 3:83]
    assert agreement(consistency.add(picture[moved], ids[moved])) > 0.95


def test_refuses_a_mask_of_another_size() -> None:
    picture, ids = scene(48, 64)
    with pytest.raises(ValueError, match=r"\(48, 63\)"):
        TemporalConsistency().add(picture, ids[:, 1:])
