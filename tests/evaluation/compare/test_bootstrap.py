"""The paired block bootstrap: what is drawn, and that its intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.evaluation.compare.bootstrap import block_length, count_blocks, interval, resampled_sums


def correlated_noise(rng: np.random.Generator, frames: int, memory: float) -> np.ndarray:
    """Noise of variance 1 in which neighbours are alike."""
    noise = rng.normal(size=frames)
    for i in range(1, frames):
        noise[i] = memory * noise[i - 1] + np.sqrt(1 - memory**2) * noise[i]
    return noise


def test_every_draw_has_as_many_frames_of_each_sequence_as_there_are() -> None:
    lengths = (10, 1, 37)
    one_hot = np.repeat(np.eye(3), lengths, axis=0)
    (sums,) = resampled_sums([one_hot], lengths, resamples=50)
    np.testing.assert_array_equal(sums, np.tile(lengths, (50, 1)))


def test_every_frame_is_drawn_alike_and_neighbours_together() -> None:
    frames, block = 12, 4
    (weights,) = resampled_sums([np.eye(frames)], [frames], resamples=20_000, block=block)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.03)
    # Each draw is three blocks of four, over the end to the start: so many edges at most.
    edges = np.count_nonzero(np.diff(weights, axis=1, append=weights[:, :1]), axis=1)
    assert edges.max() <= 6 and edges.mean() > 4


def test_all_runs_are_drawn_alike_and_draws_are_the_same_each_time() -> None:
    values = np.random.default_rng(0).normal(size=(40, 3))
    one, other = resampled_sums([values, 2 * values], [15, 25], resamples=300)
    np.testing.assert_array_equal(2 * one, other)
    (again,) = resampled_sums([values], [15, 25], resamples=300)
    np.testing.assert_array_equal(one, again)
    assert len(np.unique(one[:, 0])) > 290


def test_long_clips_are_drawn_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmt_seg_ros.evaluation.compare.bootstrap._MOST_WEIGHTS", 70)
    (sums,) = resampled_sums([np.ones((20, 1))], [20], resamples=11)
    np.testing.assert_array_equal(sums, np.full((11, 1), 20.0))


def test_length_and_number_of_blocks() -> None:
    assert [block_length(n) for n in (1, 8, 60, 1000)] == [2, 4, 8, 20]
    assert count_blocks([60, 8]) == 8 + 2 and count_blocks([60, 8], block=50) == 2 + 1
    assert count_blocks([0]) == 0


def test_interval_by_hand() -> None:
    assert interval(np.arange(101.0), 0.9, blocks=1_000_000) == pytest.approx((5, 95), abs=1e-3)
    # Ten blocks: t is 2.262 with 9 degrees of freedom, times sqrt(10 / 9) it is 2.385, and 0.854 % are below that.
    assert interval(np.arange(101.0), 0.95, blocks=10) == pytest.approx((0.854, 99.146), abs=2e-3)
    assert interval(np.array([1.0, np.nan, 3.0]), 0.9999, blocks=9) == pytest.approx((1, 3), abs=1e-3)
    assert np.isnan(interval(np.full(5, np.nan), 0.95, blocks=9)).all()


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.7])
def test_intervals_hold_the_truth_about_as_often_as_they_say(memory: float) -> None:
    rng, held, trials, frames = np.random.default_rng(1), 0, 200, 300
    for trial in range(trials):
        differences = 0.3 + correlated_noise(rng, frames, memory)
        (sums,) = resampled_sums([differences[:, None]], [frames], resamples=300, seed=trial)
        low, high = interval(sums[:, 0] / frames, 0.95, count_blocks([frames]))
        held += low <= 0.3 <= high
    assert 0.88 <= held / trials <= 0.99


def test_single_frames_would_be_too_sure_where_neighbours_are_alike() -> None:
    differences = correlated_noise(np.random.default_rng(3), 300, 0.9)[:, None]
    spreads = [resampled_sums([differences], [300], 500, block)[0].std() for block in (1, 20)]
    assert spreads[1] > 2 * spreads[0]
