"""IoU of boxes and of instance masks."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.metrics.similarity import box_iou, iou_of, shared_pixels


def mask_iou(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids, other, joint = shared_pixels(truth, prediction)
    assert ids[0] == other[0] == 0 and joint.sum() == truth.size
    return ids[1:], other[1:], iou_of(joint)


def test_box_iou_by_hand() -> None:
    iou = box_iou([(0, 0, 10, 10)], [(0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (2, 2, 7, 7), (3, 3, 3, 9)])
    np.testing.assert_allclose(iou, [[1, 50 / 150, 0, 25 / 100, 0]])
    assert box_iou([], [(0, 0, 1, 1)]).shape == (0, 1)


def test_mask_iou_equals_loops() -> None:
    rng = np.random.default_rng(1)
    truth = np.array([0, 3, 700, 65535], np.uint16)[rng.integers(0, 4, (30, 20))]
    prediction = np.array([0, 1, 2], np.uint16)[rng.integers(0, 3, (30, 20))]
    ids, other, iou = mask_iou(truth, prediction)
    assert ids.tolist() == [3, 700, 65535] and other.tolist() == [1, 2]
    for i, a in enumerate(ids):
        for j, b in enumerate(other):
            both, either = (truth == a) & (prediction == b), (truth == a) | (prediction == b)
            assert iou[i, j] == pytest.approx(both.sum() / either.sum())


def test_mask_iou_without_background_or_objects() -> None:
    ids, other, iou = mask_iou(np.full((4, 4), 5, np.uint16), np.zeros((4, 4), np.uint16))
    assert ids.tolist() == [5] and other.size == 0 and iou.shape == (1, 0)
    ids, other, iou = mask_iou(np.full((4, 4), 5, np.uint16), np.full((4, 4), 9, np.uint16))
    np.testing.assert_allclose(iou, [[1.0]])


def test_mask_iou_refuses_other_size() -> None:
    with pytest.raises(ValueError, match="one shape"):
        mask_iou(np.zeros((4, 4), np.uint16), np.zeros((4, 5), np.uint16))
