"""Kalman filter for one box: constant velocity, in seconds, so that frames may arrive at any rate.

Centre x, centre y, width and height are independent in this model, so the usual 8 x 8 filter (Bewley et al. 2016,
SORT) is four filters of 2 x 2, one per quantity, which are written out here. All noise is relative to the object's
size: the same numbers then serve near and far objects and every image size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import F64, Box

FLOW_ERROR = 0.5
"""Standard deviation of a displacement by optical flow, share of its length."""


@dataclass(frozen=True, eq=False)
class MotionState:
    """Estimated motion of one box; every array is (4,) float64 for centre x, centre y, width, height.

    Attributes:
        value: pixels.
        rate: pixels per second.
        var: variance of value, px^2.
        cov: covariance of value and rate, px^2/s.
        rate_var: variance of rate, px^2/s^2.
        scale_px: size of the object, the square root of its box's area; the unit of all noise.
    """

    value: F64
    rate: F64
    var: F64
    cov: F64
    rate_var: F64
    scale_px: float

    @cached_property
    def box_px(self) -> Box:
        """(left, top, right, bottom), pixels; at least one pixel wide and high."""
        x, y, w, h = self.value.tolist()
        w, h = max(w, 1.0), max(h, 1.0)
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def start(box_px: Box, config: TrackerConfig) -> MotionState:
    """Return the state of a box that is seen for the first time: its velocity is unknown."""
    value = _measure(box_px)
    scale = _scale(value)
    var = _noise(config.position_noise, config.size_noise, scale)
    rate_var = _noise(config.start_speed, config.start_growth, scale)
    return MotionState(value, np.zeros(4), var, np.zeros(4), rate_var, scale)


def predict(state: MotionState, dt_s: float, config: TrackerConfig) -> MotionState:
    """Predict the state ``dt_s`` seconds later.

    Acceleration is white noise, integrated over the interval: two short steps equal one long one.
    """
    q = _noise(config.acceleration, config.growth_acceleration, state.scale_px)
    return MotionState(
        value=state.value + dt_s * state.rate,
        rate=state.rate,
        var=state.var + dt_s * (2 * state.cov + dt_s * (state.rate_var + dt_s / 3 * q)),
        cov=state.cov + dt_s * (state.rate_var + dt_s / 2 * q),
        rate_var=state.rate_var + dt_s * q,
        scale_px=state.scale_px,
    )


def update(state: MotionState, box_px: Box, config: TrackerConfig) -> MotionState:
    """Correct the state by a measured box."""
    noise = _noise(config.position_noise, config.size_noise, state.scale_px)
    return _corrected(state, _measure(box_px) - state.value, noise)


def correct_by_flow(
    state: MotionState, before: MotionState, displacement_px: tuple[float, float], config: TrackerConfig
) -> MotionState:
    """Move a predicted state towards the position that the optical flow gives; its variance stays.

    Args:
        state: predicted for this frame.
        before: at the last frame.
        displacement_px: (x, y) that its pixels have moved in the image since then.
        config: ``flow_noise``; the variance of a displacement grows with its length.
    """
    residual = before.value[:2] + displacement_px - state.value[:2]
    length = float(np.hypot(*displacement_px))
    noise = (config.flow_noise * state.scale_px) ** 2 + (FLOW_ERROR * length) ** 2
    return shift(state, state.var[:2] / (state.var[:2] + noise) * residual)


def shift(state: MotionState, shift_px: F64) -> MotionState:
    """Shift the position by (2,) float64, x and y, pixels, as the camera moved."""
    return replace(state, value=state.value + np.append(shift_px, (0.0, 0.0)))


def hold_size(state: MotionState) -> MotionState:
    """Set the growth to zero: an object that is covered little by little must not shrink while it is unseen."""
    return replace(state, rate=state.rate * np.array([1.0, 1.0, 0.0, 0.0]))


def rescale(state: MotionState, factor_x: float, factor_y: float) -> MotionState:
    """Convert the state to an image of another size."""
    factor = np.array([factor_x, factor_y, factor_x, factor_y])
    value, square = state.value * factor, factor * factor
    return MotionState(
        value, state.rate * factor, state.var * square, state.cov * square, state.rate_var * square, _scale(value)
    )


def covariance(state: MotionState) -> F64:
    """Return the (4, 4) float64 covariance of centre x, centre y, and their velocities: px^2, px^2/s, px^2/s^2."""
    var_x, var_y, _, _ = state.var.tolist()
    cov_x, cov_y, _, _ = state.cov.tolist()
    rate_x, rate_y, _, _ = state.rate_var.tolist()
    rows = [(var_x, 0, cov_x, 0), (0, var_y, 0, cov_y), (cov_x, 0, rate_x, 0), (0, cov_y, 0, rate_y)]
    return np.array(rows, np.float64)


def _corrected(state: MotionState, residual: F64, noise: F64) -> MotionState:
    """Correct the state by a measurement that differs by ``residual`` and has variances ``noise``, both (4,)."""
    total = state.var + noise
    gain, rate_gain = state.var / total, state.cov / total
    value = state.value + gain * residual
    return MotionState(
        value=value,
        rate=state.rate + rate_gain * residual,
        var=(1 - gain) * state.var,
        cov=(1 - gain) * state.cov,
        rate_var=state.rate_var - rate_gain * state.cov,
        scale_px=_scale(value),
    )


def _measure(box_px: Box) -> F64:
    left, top, right, bottom = box_px
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], np.float64)


def _scale(value: F64) -> float:
    """Return the square root of the box's area, pixels; at least one."""
    return float(np.sqrt(max(float(value[2]), 1.0) * max(float(value[3]), 1.0)))


def _noise(centre: float, size: float, scale_px: float) -> F64:
    """Return the (4,) variances of standard deviations given in object sizes."""
    return _squares(centre, size) * (scale_px * scale_px)


@lru_cache
def _squares(centre: float, size: float) -> F64:
    return np.square(np.array([centre, centre, size, size], np.float64))
