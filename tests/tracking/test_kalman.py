"""The Kalman filter against the textbook matrices and against known motion."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.tracking import kalman

CONFIG = TrackerConfig()


def box_at(time_s: float, *, speed: tuple[float, float] = (40.0, -10.0)) -> tuple[float, float, float, float]:
    x, y = 100 + speed[0] * time_s, 80 + speed[1] * time_s
    return x - 10, y - 20, x + 10, y + 20


def test_finds_velocity_at_irregular_frames() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 30))
    state = kalman.start(box_at(times[0]), CONFIG)
    for before, now in pairwise(times):
        state = kalman.update(kalman.predict(state, now - before, CONFIG), box_at(now), CONFIG)
    assert tuple(state.rate[:2]) == pytest.approx((40, -10), abs=0.5)
    ahead = kalman.predict(state, 0.5, CONFIG)
    assert ahead.box_px == pytest.approx(box_at(times[-1] + 0.5), abs=0.5)


def test_equals_matrix_form() -> None:
    state = kalman.start((0, 0, 20, 40), CONFIG)
    mean = np.array([state.value[0], 0.0])
    covariance = np.diag([state.var[0], state.rate_var[0]])
    for step, left in enumerate((3.0, 5.0, 11.0, 12.0)):
        dt = 0.05 + 0.03 * step
        q, r = (CONFIG.acceleration * state.scale_px) ** 2, (CONFIG.position_noise * state.scale_px) ** 2
        transition = np.array([[1, dt], [0, 1]])
        mean = transition @ mean
        covariance = transition @ covariance @ transition.T + q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        gain = covariance[:, :1] / (covariance[0, 0] + r)
        mean = mean + gain[:, 0] * (left + 10 - mean[0])
        covariance = covariance - gain @ covariance[:1]
        state = kalman.update(kalman.predict(state, dt, CONFIG), (left, 0, left + 20, 40), CONFIG)
        assert (state.value[0], state.rate[0]) == pytest.approx(tuple(mean))
        ours = [[state.var[0], state.cov[0]], [state.cov[0], state.rate_var[0]]]
        np.testing.assert_allclose(ours, covariance, rtol=1e-9)


def test_two_short_predictions_equal_a_long_one() -> None:
    state = kalman.update(kalman.predict(kalman.start(box_at(0), CONFIG), 0.1, CONFIG), box_at(0.1), CONFIG)
    once = kalman.predict(state, 0.7, CONFIG)
    twice = kalman.predict(kalman.predict(state, 0.5, CONFIG), 0.2, CONFIG)
    for name in ("value", "rate", "var", "cov", "rate_var"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-9, atol=1e-9)


def test_uncertainty_grows_unseen_and_shrinks_seen() -> None:
    state = kalman.start(box_at(0), CONFIG)
    later = kalman.predict(state, 1.0, CONFIG)
    assert np.all(later.var > state.var)
    assert np.all(kalman.update(later, box_at(1.0), CONFIG).var < later.var)


def test_noise_scales_with_the_object() -> None:
    small, large = (kalman.predict(kalman.start((0, 0, s, s), CONFIG), 0.3, CONFIG) for s in (10.0, 100.0))
    np.testing.assert_allclose(large.var, 100 * small.var)


def test_rescale_is_the_same_object_in_another_size() -> None:
    state = kalman.update(kalman.predict(kalman.start(box_at(0), CONFIG), 0.1, CONFIG), box_at(0.1), CONFIG)
    double = kalman.rescale(state, 2.0, 2.0)
    assert double.box_px == pytest.approx(tuple(2 * v for v in state.box_px))
    assert tuple(double.rate[:2]) == pytest.approx(tuple(2 * state.rate[:2]))
    assert double.scale_px == pytest.approx(2 * state.scale_px)
    np.testing.assert_allclose(double.var, 4 * state.var)


def test_box_never_turns_inside_out() -> None:
    state = kalman.start((0, 0, 100, 100), CONFIG)
    for step in range(1, 6):  # shrinks fast, then is lost
        state = kalman.update(kalman.predict(state, 0.1, CONFIG), (0, 0, 100 - 18 * step, 100 - 18 * step), CONFIG)
    left, top, right, bottom = kalman.predict(state, 5.0, CONFIG).box_px
    assert right - left >= 1 and bottom - top >= 1


def test_covariance_is_that_of_centre_and_velocity() -> None:
    state = kalman.update(kalman.predict(kalman.start(box_at(0), CONFIG), 0.1, CONFIG), box_at(0.1), CONFIG)
    matrix = kalman.covariance(state)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(np.diag(matrix), [*state.var[:2], *state.rate_var[:2]])
    assert matrix[0, 2] == state.cov[0] and matrix[1, 3] == state.cov[1] and matrix[0, 1] == matrix[0, 3] == 0
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_the_camera_moves_the_place_and_nothing_else() -> None:
    state = kalman.update(kalman.predict(kalman.start(box_at(0), CONFIG), 0.1, CONFIG), box_at(0.1), CONFIG)
    moved = kalman.shift(state, np.array([30.0, -5.0]))
    assert moved.box_px == pytest.approx(np.add(state.box_px, (30, -5, 30, -5)))
    assert tuple(moved.rate) == tuple(state.rate)
    np.testing.assert_array_equal(kalman.covariance(moved), kalman.covariance(state))
