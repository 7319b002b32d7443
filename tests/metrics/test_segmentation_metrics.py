"""Confusion matrix and IoU against counting by hand and by loops."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.metrics.segmentation import (
    MaskMeter,
    confusion_matrix,
    iou_per_class,
    mean_iou,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
)
from cmt_seg_ros.structures import U8

TRUTH = np.array([[0, 0, 1], [1, 2, 255]], np.uint8)
PREDICTION = np.array([[0, 1, 1], [1, 255, 0]], np.uint8)


def test_counts_by_hand() -> None:
    matrix = confusion_matrix(TRUTH, PREDICTION, 4)
    # class 0: one right, one called 1; class 1: both right; class 2: its pixel left unlabelled
    expected = [[1, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, expected)


def test_figures_by_hand() -> None:
    matrix = confusion_matrix(TRUTH, PREDICTION, 4)
    np.testing.assert_allclose(iou_per_class(matrix), [1 / 2, 2 / 3, 0, np.nan])
    assert mean_iou(matrix) == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert pixel_accuracy(matrix) == pytest.approx(3 / 5)


def test_class_only_predicted_counts_as_zero() -> None:
    matrix = confusion_matrix(np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 3]], np.uint8), 4)
    np.testing.assert_allclose(iou_per_class(matrix), [3 / 4, np.nan, np.nan, 0])


def test_equals_loops_and_adds_up_over_images() -> None:
    rng = np.random.default_rng(3)
    ids = np.array([*range(11), 255], np.uint8)
    truth, prediction = ids[rng.integers(0, 12, (2, 40, 30))]
    expected = np.zeros((11, 12), np.int64)
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if t != 255:
            expected[t, min(p, 11)] += 1
    whole = confusion_matrix(truth, prediction, 11)
    np.testing.assert_array_equal(whole, expected)
    halves = confusion_matrix(truth[:20], prediction[:20], 11) + confusion_matrix(truth[20:], prediction[20:], 11)
    np.testing.assert_array_equal(whole, halves)


def test_other_ignore_id() -> None:
    matrix = confusion_matrix(np.array([[11, 0]], np.uint8), np.array([[0, 0]], np.uint8), 11, ignore_id=11)
    assert matrix.sum() == 1 and matrix[0, 0] == 1


def test_precision_and_recall_by_hand() -> None:
    matrix = confusion_matrix(TRUTH, PREDICTION, 4)
    np.testing.assert_allclose(precision_per_class(matrix), [1, 2 / 3, np.nan, np.nan])
    np.testing.assert_allclose(recall_per_class(matrix), [1 / 2, 1, 0, np.nan])


def test_nothing_labelled_is_nan() -> None:
    matrix = confusion_matrix(np.full((3, 3), 255, np.uint8), np.zeros((3, 3), np.uint8), 2)
    assert np.isnan(mean_iou(matrix)) and np.isnan(pixel_accuracy(matrix))


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), r"\(2, 3\)"),
        (np.zeros((2, 2), np.int64), np.zeros((2, 2), np.uint8), "int64"),
        (np.full((2, 2), 7, np.uint8), np.zeros((2, 2), np.uint8), r"\[7\].*0 to 2 and 255"),
    ],
)
def test_refuses_what_it_cannot_count(truth: U8, prediction: U8, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_matrix(truth, prediction, 3)


def test_meter_adds_classes_and_objectness_over_images() -> None:
    """CamVid: 8 Car and 9 Pedestrian are objects, 3 Road is none; 255 does not count."""
    meter = MaskMeter(CAMVID)
    truth = np.array([[8, 9, 3, 255]], np.uint8)
    meter.add(truth, np.array([[8, 3, 3, 8]], np.uint8), np.array([[255, 0, 255, 255]], np.uint8))
    assert meter.objectness_iou == pytest.approx(1 / 3)
    meter.add(truth, truth, np.array([[255, 255, 0, 255]], np.uint8))
    assert meter.images == 2 and meter.objectness_iou == pytest.approx(3 / 5)
    scores = meter.to_dict()
    assert scores["pixel_accuracy"] == pytest.approx(5 / 6, abs=1e-4)
    # 5 labelled object pixels in both images together, 4 in the prediction, 3 in common.
    assert (scores["objectness_precision"], scores["objectness_recall"]) == (0.75, 0.75)
    assert (scores["iou"]["Car"], scores["iou"]["Pedestrian"]) == (1.0, 0.5)
    assert scores["miou"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3, abs=1e-4)


def test_meter_without_objects_has_no_objectness_iou() -> None:
    meter = MaskMeter(CAMVID)
    road = np.full((2, 2), 3, np.uint8)
    meter.add(road, road, np.zeros_like(road))
    assert np.isnan(meter.objectness_iou)
