"""Scores of sums with leading axes: the same for many frames or draws at once as for each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.metrics.scores import COUNT, Score, all_scores, hota, resampled_hota, statistic_shapes

CLASSES = ("Road", "Car", "Sky", "Tree")
SCORES = all_scores(CLASSES)


@pytest.mark.parametrize("score", SCORES, ids=[score.name for score in SCORES])
def test_leading_axes_make_no_difference(score: Score) -> None:
    shape = statistic_shapes(len(CLASSES))[score.statistic]
    sums = np.random.default_rng(0).integers(0, 50, (2, 3, *shape)).astype(np.float64)
    sums[1, 2] = 0.0
    found = score.score(sums)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[place], score.score(sums[place]))
    assert score.unit == COUNT or np.isnan(found[1, 2]), "a score of nothing is not defined"


def test_hota_of_all_frames_does_not_depend_on_what_stands_for_the_association() -> None:
    sums = np.random.default_rng(0).integers(1, 50, (5, 19)).astype(np.float64)
    sums[4] = sums[3]
    assert resampled_hota(sums) == hota(sums)
