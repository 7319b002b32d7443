"""The tracker's parameters are checked."""

from __future__ import annotations

import dataclasses
import math

import pytest

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_area_fraction", -0.1),
        ("start_score", 1.5),
        ("min_hits", 0),
        ("max_lost_s", 0.0),
        ("max_gap_s", math.nan),
        ("reach_sigmas", -1.0),
        ("position_noise", 0.0),
    ],
)
def test_refuses_values_outside_their_range(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"tracker\.{name} is .*must be"):
        TrackerConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrackerConfig)])
def test_no_parameter_may_be_no_number_or_negative(name: str) -> None:
    for value in (math.nan, -1):
        with pytest.raises(ConfigError, match=rf"tracker\.{name} is .*must be"):
            TrackerConfig(**{name: value})  # type: ignore[arg-type]
