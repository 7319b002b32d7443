"""HOTA, CLEAR and IDF1: by hand, and equal to TrackEval where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import SHARED_DATA

from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.metrics.tracking import FrameMatch, clear_mot, combine_hota, hota, identity

MOT15 = SHARED_DATA / "mot15"


def random_sequence(seed: int, frames: int = 60, objects: int = 8) -> list[FrameMatch]:
    """Walking boxes and tracks of them with jitter, misses, false positives, swaps and restarts."""
    rng = np.random.default_rng(seed)
    centre, speed = rng.uniform(0, 200, (objects, 2)), rng.normal(0, 3, (objects, 2))
    names = np.arange(objects) + 100
    sequence: list[FrameMatch] = []
    for t in range(frames):
        centre += speed
        boxes = np.concatenate([np.subtract(centre, (10, 20)), np.add(centre, (10, 20))], axis=1)
        alive = rng.random(objects) < 0.9
        seen = rng.random(objects) < 0.8
        if rng.random() < 0.15:
            i, j = rng.choice(objects, 2, replace=False)
            names[[i, j]] = names[[j, i]]
        if rng.random() < 0.1:
            names[rng.integers(objects)] = 200 + t
        if t % 20 == 7:
            seen[:] = False
        if t % 20 == 13:
            alive[:] = False
        tracked = boxes[seen] + rng.normal(0, 3, (seen.sum(), 4))
        false = rng.uniform(0, 200, (int(rng.integers(0, 3)), 4)).cumsum(axis=1)
        ids = np.concatenate([names[seen], 1000 + np.arange(len(false))])
        similarity = box_iou(boxes[alive], np.concatenate([tracked, false]))
        sequence.append((np.flatnonzero(alive) * 7, ids, similarity))
    return sequence


def mot15_sequence(name: str, seed: int) -> list[FrameMatch]:
    """True boxes against perturbed true boxes with misses and changed ids."""
    rng = np.random.default_rng(seed)
    rows = np.loadtxt(MOT15 / name / "gt" / "gt.txt", delimiter=",")
    rows = rows[rows[:, 6] != 0]
    sequence: list[FrameMatch] = []
    for t in range(1, int(rows[:, 0].max()) + 1):
        now = rows[rows[:, 0] == t]
        boxes = np.concatenate([now[:, 2:4], now[:, 2:4] + now[:, 4:6]], axis=1)
        keep = rng.random(len(now)) < 0.85
        ids = now[keep, 1].astype(int) * 100 + t // rng.integers(40, 60)
        noisy = boxes[keep] + rng.normal(0, 0.08, (keep.sum(), 4)) * np.tile(now[keep, 4:6], 2)
        sequence.append((now[:, 1].astype(int), ids, box_iou(boxes, noisy)))
    return sequence


def trackeval_scores(frames: list[FrameMatch]) -> dict[str, Any]:
    """The same sequence through TrackEval."""
    metrics = pytest.importorskip("trackeval.metrics", reason="TrackEval is not installed", exc_type=ImportError)
    sides = []
    for side in (0, 1):
        known = np.unique(np.concatenate([np.asarray(f[side]) for f in frames]))
        sides.append((len(known), [np.searchsorted(known, np.asarray(f[side])) for f in frames]))
    data = {
        "num_timesteps": len(frames),
        "num_gt_ids": sides[0][0],
        "num_tracker_ids": sides[1][0],
        "gt_ids": sides[0][1],
        "tracker_ids": sides[1][1],
        "num_gt_dets": sum(map(len, sides[0][1])),
        "num_tracker_dets": sum(map(len, sides[1][1])),
        "similarity_scores": [np.asarray(f[2]) for f in frames],
    }
    quiet = {"PRINT_CONFIG": False}
    scores: dict[str, Any] = metrics.HOTA().eval_sequence(data)
    scores.update(metrics.CLEAR(quiet).eval_sequence(data))
    scores.update(metrics.Identity(quiet).eval_sequence(data))
    return scores


def assert_equals_trackeval(frames: list[FrameMatch]) -> None:
    theirs = trackeval_scores(frames)
    ours, clear, ids = hota(frames), clear_mot(frames), identity(frames)
    np.testing.assert_allclose(ours.det_a_alpha, theirs["DetA"], atol=1e-9)
    np.testing.assert_allclose(ours.ass_a_alpha, theirs["AssA"], atol=1e-9)
    assert ours.hota == pytest.approx(float(np.mean(theirs["HOTA"])), abs=1e-9)
    np.testing.assert_array_equal([ours.tp, ours.fn, ours.fp], [theirs[f"HOTA_{k}"] for k in ("TP", "FN", "FP")])
    counts = tuple(int(theirs[k]) for k in ("CLR_TP", "CLR_FN", "CLR_FP", "IDSW"))
    assert (clear.tp, clear.fn, clear.fp, clear.id_switches) == counts
    if clear.tp + clear.fn:  # without truth ours is nan, TrackEval's 0
        assert clear.mota == pytest.approx(theirs["MOTA"], abs=1e-9)
    assert (ids.idtp, ids.idfn, ids.idfp) == tuple(int(theirs[k]) for k in ("IDTP", "IDFN", "IDFP"))
    assert ids.idf1 == pytest.approx(theirs["IDF1"], abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_random_sequence_equals_trackeval(seed: int) -> None:
    frames = random_sequence(seed)
    # The sequence is neither trivial nor hopeless.
    assert 0.1 < hota(frames).hota < 0.9 and clear_mot(frames).id_switches > 5
    assert_equals_trackeval(frames)


@pytest.mark.skipif(not MOT15.is_dir(), reason=f"MOT15 ground truth is not at {MOT15}")
@pytest.mark.parametrize("name", ["TUD-Campus", "KITTI-17", "PETS09-S2L1"])
def test_mot15_equals_trackeval(name: str) -> None:
    assert_equals_trackeval(mot15_sequence(name, seed=1))


@pytest.mark.parametrize("empty", [0, 1])
def test_one_empty_side_equals_trackeval(empty: int) -> None:
    frames: list[FrameMatch] = []
    for _ in range(4):
        sides: list[list[int]] = [[1, 2], [1, 2]]
        sides[empty] = []
        frames.append((sides[0], sides[1], np.zeros((len(sides[0]), len(sides[1])))))
    assert_equals_trackeval(frames)


def test_perfect_tracks() -> None:
    frames: list[FrameMatch] = [*[([1, 2], [20, 10], [[0.0, 1.0], [1.0, 0.0]])] * 5, ([], [], [])]
    assert hota(frames).hota == pytest.approx(1) and clear_mot(frames).mota == 1 and identity(frames).idf1 == 1


def test_identity_switch_by_hand() -> None:
    # One object, seen perfectly in 4 frames by track 1 and in 4 more by track 2.
    frames: list[FrameMatch] = [([7], [1 + (t >= 4)], [[1.0]]) for t in range(8)]
    assert clear_mot(frames).id_switches == 1 and clear_mot(frames).mota == pytest.approx(7 / 8)
    assert identity(frames).idf1 == pytest.approx(0.5)
    assert hota(frames).det_a == pytest.approx(1) and hota(frames).ass_a == pytest.approx(0.5)
    assert hota(frames).hota == pytest.approx(np.sqrt(0.5))


def test_scores_of_nothing_are_not_defined() -> None:
    scores = hota([]).hota, hota([]).det_a, hota([]).ass_a, clear_mot([]).mota, identity([]).idf1
    assert np.isnan(scores).all()


def test_without_truth_tracks_are_all_wrong_and_mota_is_not_defined() -> None:
    frames: list[FrameMatch] = [([], [1, 2], np.zeros((0, 2)))] * 3
    assert hota(frames).hota == 0 and identity(frames).idf1 == 0 and np.isnan(clear_mot(frames).mota)


def test_combine_weights_by_matches() -> None:
    good: list[FrameMatch] = [([1], [1], [[1.0]])] * 6
    bad: list[FrameMatch] = [([1], [t], [[1.0]]) for t in range(2)]
    both = combine_hota([hota(good), hota(bad)])
    assert both.det_a == pytest.approx(1) and both.ass_a == pytest.approx((6 * 1 + 2 * 0.5) / 8)
    with pytest.raises(ValueError, match="at least one"):
        combine_hota([])


@pytest.mark.parametrize("frame", [([1, 2], [1], [[0.5, 0.5]]), ([1, 1], [1], [[0.5], [0.5]])])
def test_refuses_malformed_frame(frame: FrameMatch) -> None:
    with pytest.raises(ValueError, match="frame 1"):
        hota([([], [], []), frame])
