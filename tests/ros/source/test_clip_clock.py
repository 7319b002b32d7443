"""The clock of a clip goes on when it could not be published."""

from __future__ import annotations

import pytest
from rosgraph_msgs.msg import Clock
from support.ros_harness import Bench

from cmt_seg_ros.ros.source.clip_clock import QOS, ClipClock


def test_clock_survives_a_publisher_that_fails(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    times, failed = ros.listen(Clock, "/clock", QOS), list[int]()
    clock: ClipClock = ros.do(lambda: ClipClock(ros.node, 1.0, 5_000_000_000))
    try:
        ros.until(lambda: times)
        with monkeypatch.context() as patch:
            patch.setattr(clock, "_publish", lambda: failed.append(1) or 1 / 0)
            ros.until(lambda: len(failed) > 2)
        before = len(times)
        ros.until(lambda: len(times) > before + 1)
        assert times[-1].clock.sec == 5
    finally:
        clock.close()
