from __future__ import annotations

import numpy as np

from cmt_seg_ros.metrics.matching import confirmed_only, match_boxes, match_instances


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
