from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.metrics.matching import box_iou, confirmed_only, iou_of, match_boxes, match_instances, shared_pixels


def test_a_track_on_a_small_object_or_on_unlabelled_pixels_is_neither_right_nor_wrong() -> None:
    truth, tracks = np.zeros((10, 10), np.uint16), np.zeros((10, 10), np.uint16)
    truth[0:4, 0:4], truth[6, 6:8] = 1, 2
    tracks[0:4, 0:4], tracks[6, 6:9], tracks[9, 0:4], tracks[9, 6:9] = 5, 6, 7, 8
    classes = np.zeros((10, 10), np.uint8)
    classes[9, 0:3] = 255
    (truth_ids, track_ids, iou), ignored = match_instances(truth, tracks, 3, classes)
    assert (np.asarray(truth_ids).tolist(), np.asarray(track_ids).tolist(), ignored) == ([1], [5, 8], 1)
    assert np.asarray(iou).tolist() == [[1.0, 0.0]]


def test_boxes_of_tracks_are_compared_with_true_ones() -> None:
    rows = [[4, 8, 1, 0, 0, 10, 10, 0.9], [5, 8, 1, 20, 0, 10, 10, 0.9]]
    truth_ids, track_ids, iou = match_boxes({7: (0.0, 0.0, 10.0, 5.0)}, rows)
    assert (list(truth_ids), list(track_ids), np.asarray(iou).tolist()) == ([7], [4, 5], [[0.5, 0.0]])


def test_tracks_that_were_never_confirmed_are_taken_out() -> None:
    ((truth_ids, track_ids, iou),) = confirmed_only([([1], [4, 5], np.array([[0.2, 0.7]]))], {5})
    assert (list(truth_ids), list(track_ids), np.asarray(iou).tolist()) == ([1], [5], [[0.7]])


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
