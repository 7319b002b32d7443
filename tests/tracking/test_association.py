"""Similarity and assignment."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import F64
from cmt_seg_ros.tracking.association import Appearances, Uncertainty, assign, similarity

CONFIG = TrackerConfig(appearance_weight=1.0, appearance_usual=0.8)
Box = tuple[float, float, float, float]


def looks(*rows: Box, class_id: int = 8, colors: list[list[float]] | None = None) -> Appearances:
    known = None if colors is None else np.array(colors, np.float64)
    return Appearances(np.array(rows, np.float64).reshape(-1, 4), np.full(len(rows), class_id), known)


def score_of(tracks: Appearances, segments: Appearances, reach_px: float = 10.0, unseen_s: float = 0.0) -> F64:
    count = len(tracks.boxes)
    unknown = np.full((count, len(segments.boxes)), np.nan)
    return similarity(
        tracks, Uncertainty(np.full(count, reach_px), np.full(count, unseen_s)), segments, unknown, CONFIG
    )


def test_same_box_is_one_and_falls_with_distance() -> None:
    score = score_of(looks((0, 0, 20, 20)), looks((0, 0, 20, 20), (2, 0, 22, 20), (6, 0, 26, 20)))[0]
    assert score[0] == pytest.approx(1)
    assert score[0] > score[1] > score[2] > 0


def test_out_of_reach_and_apart_is_forbidden() -> None:
    far = (40.0, 0.0, 60.0, 20.0)
    assert score_of(looks((0, 0, 20, 20)), looks(far))[0, 0] == -np.inf
    assert score_of(looks((0, 0, 20, 20)), looks(far), reach_px=80)[0, 0] > 0


def test_overlap_makes_up_for_reach() -> None:
    # Half of a wide object is hidden: its centre jumps further than it can have moved.
    assert score_of(looks((0, 0, 100, 40)), looks((50, 0, 100, 40)))[0, 0] > 0


def test_other_class_and_other_shape_cost() -> None:
    same = score_of(looks((0, 0, 20, 20)), looks((0, 0, 20, 20)))[0, 0]
    other = score_of(looks((0, 0, 20, 20)), looks((0, 0, 20, 20), class_id=9))[0, 0]
    slim = score_of(looks((0, 0, 20, 20)), looks((5, 0, 15, 20)))[0, 0]
    assert other == pytest.approx(same - CONFIG.class_penalty)
    assert slim < same


def test_a_class_penalty_of_one_forbids_the_pair_whatever_the_colours() -> None:
    red = [[1.0, 0.0]]
    car, person = (looks((0, 0, 20, 20), class_id=c, colors=red) for c in (8, 9))
    doubts, unknown = Uncertainty(np.full(1, 10.0), np.zeros(1)), np.full((1, 1), np.nan)
    for penalty, expected in ((0.3, True), (1.0, False)):
        config = TrackerConfig(class_penalty=penalty, appearance_weight=10.0)
        assert np.isfinite(similarity(car, doubts, person, unknown, config)[0, 0]) == expected


def test_the_longer_unseen_the_less_it_fits() -> None:
    here = looks((0, 0, 20, 20))
    now, later = (score_of(here, here, unseen_s=time_s)[0, 0] for time_s in (0.0, 2.0))
    assert later == pytest.approx(now - 2 * CONFIG.unseen_penalty) and later < now


def test_colour_tells_apart_what_place_does_not_and_counts_only_where_known() -> None:
    place, red, blue, unknown = (0.0, 0.0, 20.0, 20.0), [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]
    segments = looks(place, place, place, colors=[red, blue, unknown])
    like, unlike, nothing = score_of(looks(place, colors=[red]), segments)[0]
    without = score_of(looks(place), segments)[0]
    assert like > without[0] > unlike
    assert nothing == without[0] == without[1]
    assert (score_of(looks(place, colors=[unknown]), segments)[0] == without).all()


def test_the_overlap_of_pixels_replaces_that_of_boxes_where_known() -> None:
    here = looks((0, 0, 20, 20))
    doubts = Uncertainty(np.array([10.0]), np.zeros(1))
    same, apart, unknown = (similarity(here, doubts, here, np.array([[v]]), CONFIG)[0, 0] for v in (1.0, 0.0, np.nan))
    assert same == unknown == score_of(here, here)[0, 0] > apart


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_nothing_to_match(shape: tuple[int, int]) -> None:
    score = score_of(looks(*[(0, 0, 9, 9)] * shape[0]), looks(*[(0, 0, 9, 9)] * shape[1]))
    pairs, rows, columns = assign(score, 0.2)
    assert pairs == [] and rows.tolist() == list(range(shape[0])) and columns.tolist() == list(range(shape[1]))


def test_assignment_is_the_best_of_all() -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        score = rng.random((4, 5))
        score[rng.random((4, 5)) < 0.3] = -np.inf
        pairs, rows, columns = assign(score, 0.25)
        gain = np.where(score >= 0.25, score - 0.25, 0)
        best = max(sum(gain[i, j] for i, j in enumerate(p)) for p in permutations(range(5), 4))
        assert sum(score[i, j] - 0.25 for i, j in pairs) == pytest.approx(best)
        assert all(score[i, j] >= 0.25 for i, j in pairs)
        assert sorted([i for i, _ in pairs] + rows.tolist()) == [0, 1, 2, 3]
        assert sorted([j for _, j in pairs] + columns.tolist()) == [0, 1, 2, 3, 4]
