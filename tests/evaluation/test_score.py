from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded import Bag, street

from cmt_seg_ros.evaluation.recording import Recording
from cmt_seg_ros.evaluation.score import Scores, match_instances, score
from cmt_seg_ros.labels import LabelClass, LabelSet


def scores_of(tmp_path: Path, min_object_fraction: float = 2 / 256) -> Scores:
    bag = Bag(tmp_path)
    street(bag)
    return score(Recording(bag.write() / "bag"), min_object_fraction=min_object_fraction)


def test_masks_have_the_known_scores(tmp_path: Path) -> None:
    scores = scores_of(tmp_path)
    masks = scores.masks
    assert masks is not None and masks.frames == 9
    # 16 x 16 pixels: 1 unlabelled, 41 car, 214 road. The mask: 14 of the road are pavement, 1 of the cars road.
    road, pavement, car = 200 / 215, 0.0, 40 / 41
    assert masks.pixel_accuracy == pytest.approx(240 / 255)
    assert [masks.class_iou[i] for i in (3, 4, 8)] == pytest.approx([road, pavement, car])
    assert np.isnan(masks.class_iou[[0, 1, 2, 5, 6, 7, 9, 10]]).all()
    assert masks.mean_iou == pytest.approx((road + pavement + car) / 3)
    assert masks.objectness_iou == pytest.approx(40 / 41)
    # The outlines of the cars fit, 12 (one is at the border) and 14 pixels; that of the speck, 1 pixel, is missed.
    assert masks.class_boundary_f[8] == pytest.approx(2 * (26 / 27) / (1 + 26 / 27))
    assert masks.class_boundary_f[4] == 0 and np.isnan(masks.class_boundary_f[0])
    assert masks.mean_boundary_f == pytest.approx(np.nanmean(masks.class_boundary_f))
    assert masks.pixels.tolist() == [0, 0, 0, 214 * 9, 0, 0, 0, 0, 41 * 9, 0, 0]
    assert (scores.frames, scores.frames_with_mask, scores.frames_with_truth) == (10, 9, 10)
    assert scores.image_size == (16, 16)


def test_tracks_have_the_known_scores(tmp_path: Path) -> None:
    tracks = scores_of(tmp_path).tracks
    assert tracks is not None
    # 9 frames, 2 objects; one changes its track after 5 frames: IDTP = 9 + 5 of 18.
    assert (tracks.frames, tracks.true_objects, tracks.tracks) == (9, 2, 3)
    assert (tracks.det_a, tracks.id_switches) == (1.0, 1)
    assert tracks.mota == pytest.approx(1 - 1 / 18)
    assert tracks.idf1 == pytest.approx(14 / 18)
    ass_a = (9 * 1 + 5 * 5 / 9 + 4 * 4 / 9) / 18
    assert tracks.ass_a == pytest.approx(ass_a) and tracks.hota == pytest.approx(ass_a**0.5)
    assert (tracks.ignored, tracks.min_object_px) == (9, 2)


def test_without_the_rule_a_small_object_is_a_miss(tmp_path: Path) -> None:
    tracks = scores_of(tmp_path, min_object_fraction=0.0).tracks
    assert tracks is not None and (tracks.ignored, tracks.true_objects) == (0, 3)
    assert tracks.mota == pytest.approx(1 - (9 + 1) / 27)


def test_a_track_on_a_small_object_or_on_unlabelled_pixels_is_neither_right_nor_wrong() -> None:
    truth, tracks = np.zeros((10, 10), np.uint16), np.zeros((10, 10), np.uint16)
    truth[0:4, 0:4], truth[6, 6:8] = 1, 2
    tracks[0:4, 0:4], tracks[6, 6:9], tracks[9, 0:4], tracks[9, 6:9] = 5, 6, 7, 8
    classes = np.zeros((10, 10), np.uint8)
    classes[9, 0:3] = 255
    (truth_ids, track_ids, iou), ignored = match_instances(truth, tracks, 3, classes)
    assert (np.asarray(truth_ids).tolist(), np.asarray(track_ids).tolist(), ignored) == ([1], [5, 8], 1)
    assert np.asarray(iou).tolist() == [[1.0, 0.0]]


def test_spans_are_of_confirmed_tracks(tmp_path: Path) -> None:
    spans = scores_of(tmp_path).spans
    seen = [(s.track_id, s.class_name, len(s.stamps_ns)) for s in spans]
    assert seen == [(11, "Car", 5), (12, "Car", 9), (13, "Car", 4)]


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    for name, truth, words in (("a", False, "no ground truth"), ("b", True, "classes are not those")):
        (tmp_path / name).mkdir()
        bag = Bag(tmp_path / name)
        bag.labels(LabelSet((LabelClass(0, "Ground", (1, 2, 3)),)))
        bag.image(0, "segmentation/mask", np.zeros((4, 4), np.uint8))
        if truth:
            bag.image(0, "truth/class_ids", np.zeros((4, 4), np.uint8))
        scores = score(Recording(bag.write() / "bag"))
        assert scores.masks is None and scores.tracks is None and scores.spans == ()
        assert len(scores.notes) == 1 and words in scores.notes[0]
