"""A short part of `make soak`, with a seed of its own for each step."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")

from soak.__main__ import STEPS, Step
from soak.measures import Row, Usage

AMOUNTS = {"images": 200, "masks": 60, "cameras": 2, "kills": 1, "bags": 40, "models": 3, "memory": 2, "disk": 100}


@pytest.mark.parametrize("name", STEPS)
def test_everything_is_answered_or_counted(name: str, tmp_path: Path) -> None:
    step: Step = STEPS[name][0]
    row = step(tmp_path, 1, AMOUNTS[name])
    assert row.faults == [] and row.sent > 0


def test_differences_are_faults() -> None:
    assert Row("step", sent=3, answered=1, counted=2).judge().faults == []
    row = Row("step", sent=3, answered=1, counted=1, crashes=1)
    Usage(100.0, 10, 5).compare(row, Usage(50.0, 9, 5))
    assert [fault.split()[0] for fault in row.judge().faults] == ["1", "1", "memory", "1"]
