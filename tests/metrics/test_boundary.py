"""Boundary F-score against brute force over pairs of pixels, and by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.metrics.boundary import boundaries, boundary_f_per_class, near
from cmt_seg_ros.metrics.segmentation import MaskMeter
from cmt_seg_ros.structures import U8

Pixels = list[tuple[int, int]]


def square(left: int, top: int = 20, side: int = 16) -> U8:
    """A square of class 1 on class 0."""
    mask = np.zeros((60, 80), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


def slow_boundary(ids: U8, class_id: int, num_classes: int) -> Pixels:
    found = []
    for y, x in np.argwhere(ids == class_id).tolist():
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= v < ids.shape[0] and 0 <= u < ids.shape[1]
            if inside and ids[v, u] != class_id and ids[v, u] < num_classes:
                found.append((y, x))
                break
    return found


def is_near(pixel: tuple[int, int], others: Pixels, distance: float) -> bool:
    return any(np.hypot(pixel[0] - y, pixel[1] - x) <= distance for y, x in others)


def slow_f(truth: U8, prediction: U8, class_id: int, num_classes: int, tolerance_px: int) -> float:
    unlabelled: Pixels = [(y, x) for y, x in np.argwhere(truth == 255).tolist()]
    true = slow_boundary(truth, class_id, num_classes)
    predicted = slow_boundary(prediction, class_id, num_classes)
    counted = [p for p in predicted if not is_near(p, unlabelled, tolerance_px + 1)]
    if not true and not counted:
        return float("nan")
    precision = np.mean([is_near(p, true, tolerance_px) for p in counted]) if counted else 1.0
    recall = np.mean([is_near(t, predicted, tolerance_px) for t in true]) if true else 1.0
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def blobs(rng: np.random.Generator, unlabelled: float = 0.0) -> U8:
    """Four classes in patches, a share of them unlabelled."""
    coarse = rng.integers(0, 4, (5, 6)).astype(np.uint8)
    coarse[rng.random(coarse.shape) < unlabelled] = 255
    return np.asarray(cv2.resize(coarse, (25, 21), interpolation=cv2.INTER_NEAREST), np.uint8)


@pytest.mark.parametrize("tolerance_px", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_equals_brute_force(seed: int, tolerance_px: int) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = blobs(rng, unlabelled=0.1 * (seed % 3)), blobs(rng, unlabelled=0.1 * (seed % 2))
    prediction = np.where(rng.random(truth.shape) < 0.9, np.roll(truth, seed % 3, axis=1), prediction)
    # One class more than there is in the masks: it occurs in neither.
    expected = [slow_f(truth, prediction, c, 5, tolerance_px) for c in range(5)]
    assert np.isnan(expected[4]) and not np.isnan(expected[:4]).all()
    np.testing.assert_allclose(boundary_f_per_class(truth, prediction, 5, tolerance_px), expected)


def test_boundary_lies_inside_its_class_and_not_at_the_border_or_at_unlabelled_pixels() -> None:
    ids = np.array([[0, 0, 0, 0], [0, 1, 1, 255], [0, 1, 1, 7], [0, 1, 1, 1]], np.uint8)
    expected = [[255, 0, 0, 255], [0, 1, 1, 255], [0, 1, 255, 255], [0, 1, 255, 255]]
    np.testing.assert_array_equal(boundaries(ids, 2), expected)


@pytest.mark.parametrize("tolerance_px", [0, 3])
def test_equal_masks_are_perfect(tolerance_px: int) -> None:
    np.testing.assert_array_equal(boundary_f_per_class(square(20), square(20), 3, tolerance_px), [1, 1, np.nan])


def test_a_shift_within_the_tolerance_is_perfect_and_one_beyond_it_is_nothing() -> None:
    np.testing.assert_array_equal(boundary_f_per_class(square(20), square(22), 2), [1, 1])
    np.testing.assert_array_equal(boundary_f_per_class(square(20), square(22, top=18), 2), [1, 1])
    np.testing.assert_array_equal(boundary_f_per_class(square(20, side=4), square(30, side=4), 2), [0, 0])


def test_an_edge_moved_by_ten_is_nothing() -> None:
    columns = np.arange(80, dtype=np.uint8)[None].repeat(20, axis=0)
    truth, prediction = (columns >= 20).astype(np.uint8), (columns >= 30).astype(np.uint8)
    np.testing.assert_array_equal(boundary_f_per_class(truth, prediction, 2), [0, 0])
    # A square moved as far along one axis keeps parts of its outline in common.
    assert 0 < boundary_f_per_class(square(20), square(30), 2)[1] < 0.5


def test_class_on_one_side_only_is_zero() -> None:
    nothing = np.zeros((60, 80), np.uint8)
    np.testing.assert_array_equal(boundary_f_per_class(square(20), nothing, 3), [0, 0, np.nan])
    np.testing.assert_array_equal(boundary_f_per_class(nothing, square(20), 3), [0, 0, np.nan])


def test_a_class_that_fills_the_image_has_no_boundary() -> None:
    full = np.ones((8, 8), np.uint8)
    assert np.isnan(boundary_f_per_class(full, full, 2)).all()


def test_what_is_predicted_in_and_near_unlabelled_pixels_does_not_count() -> None:
    truth, prediction = square(20), square(20)
    truth[40:55, 50:70] = 255
    prediction[46:54, 48:60] = 1  # reaches 2 pixels out of the unlabelled part
    np.testing.assert_array_equal(boundary_f_per_class(truth, prediction, 2), [1, 1])
    prediction[46:54, 40:48] = 1  # and now 10
    assert (boundary_f_per_class(truth, prediction, 2) < 1).all()


def test_a_true_boundary_is_found_by_one_predicted_in_unlabelled_pixels() -> None:
    truth, prediction = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    truth[:, 8:], truth[:, 9:], prediction[:, 10:] = 1, 255, 1
    np.testing.assert_array_equal(boundary_f_per_class(truth, prediction, 2), [1, 1])


def test_near_is_a_disk() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    y, x = np.mgrid[-4:5, -4:5]
    np.testing.assert_array_equal(near(mask, 3), np.hypot(x, y) <= 3)


def test_refuses_other_size() -> None:
    with pytest.raises(ValueError, match=r"\(4, 5\)"):
        boundary_f_per_class(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8), 2)


def test_meter_averages_over_the_images_where_a_class_has_a_boundary() -> None:
    """Road everywhere; a car found in the first image, missed in the second, absent in the third."""
    meter = MaskMeter(CAMVID)
    road = np.full((60, 80), 3, np.uint8)
    car = np.where(square(20) == 1, np.uint8(8), road)
    for truth, prediction in ((car, car), (car, road), (road, road)):
        meter.add(truth, prediction, None)
    assert meter.class_boundary_f[[3, 8]].tolist() == [0.5, 0.5] and np.isnan(meter.class_boundary_f[0])
    scores = meter.to_dict()
    assert scores["boundary_f"] == scores["class_boundary_f"]["Car"] == 0.5


def plain_f(truth: U8, prediction: U8, class_id: int, num_classes: int, tolerance_px: int) -> float:
    """By the distance of every pixel to the nearest boundary pixel, computed exactly."""
    true, predicted = (boundaries(ids, num_classes) == class_id for ids in (truth, prediction))
    counted = predicted & (_distance_to(truth == 255) > tolerance_px + 1)
    if not true.any() and not counted.any():
        return float("nan")
    precision = (_distance_to(true)[counted] <= tolerance_px).mean() if counted.any() else 1.0
    recall = (_distance_to(predicted)[true] <= tolerance_px).mean() if true.any() else 1.0
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _distance_to(mask: np.ndarray) -> np.ndarray:
    return distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)


@pytest.mark.parametrize(("num_classes", "tolerance_px"), [(11, 3), (16, 1), (17, 3), (40, 5), (255, 2), (4, 0)])
def test_equals_plain_distances_on_random_maps(num_classes: int, tolerance_px: int) -> None:
    rng = np.random.default_rng(num_classes)
    coarse = rng.integers(0, num_classes, (12, 17)).astype(np.uint8)
    coarse[rng.random(coarse.shape) < 0.1] = 255
    truth = coarse.repeat(9, axis=0).repeat(8, axis=1)
    noise = rng.integers(0, 256, truth.shape).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < 0.03, noise, np.roll(truth, (2, -1), axis=(0, 1)))
    expected = [plain_f(truth, prediction, c, num_classes, tolerance_px) for c in range(num_classes)]
    found = boundary_f_per_class(truth, prediction, num_classes, tolerance_px)
    assert 0 < np.nanmean(expected) < 1
    np.testing.assert_array_equal(found, expected)


def test_a_match_does_not_reach_around_the_border() -> None:
    """The last pixels of a row and the first ones of the next lie side by side in memory."""
    truth, prediction = np.zeros((12, 12), np.uint8), np.zeros((12, 12), np.uint8)
    truth[:, 11], prediction[:, 0] = 1, 1
    np.testing.assert_array_equal(boundary_f_per_class(truth, prediction, 2), [0, 0])
    np.testing.assert_array_equal(boundary_f_per_class(truth.T, prediction.T, 2), [0, 0])
