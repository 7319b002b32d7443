"""The thread that writes a recording goes on, whatever is called back."""

from __future__ import annotations

from typing import Any

import pytest
from support.waiting import until

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")

from cmt_seg_ros.bags.writer import Arrival
from cmt_seg_ros.ros.recorder.thread import RecordingThread


def fail(*_: Any) -> None:
    raise RuntimeError("Logger severity cannot be changed between calls")


def arrival(number: int) -> Arrival:
    return Arrival("/a", "std_msgs/msg/String", number, b"x")


def test_no_callback_ends_the_thread() -> None:
    written: list[int] = []

    def write(one: Arrival) -> None:
        if one.received_ns == 1:
            raise ValueError("bad message")
        written.append(one.received_ns)

    thread = RecordingThread(write, tick=fail, report=fail)
    assert all(thread.put(arrival(number)) for number in range(5))
    until(lambda: written == [0, 2, 3, 4])
    assert thread.alive and thread.failed == 1 and thread.written == 4
    assert thread.close()


def test_what_comes_after_the_thread_has_ended_is_lost_and_counted() -> None:
    thread = RecordingThread(lambda one: None, lambda counts, failure: None, lambda text: None)
    thread._closing = True
    until(lambda: not thread.alive)
    thread._closing = False
    assert not thread.put(arrival(0)) and thread.lost == 1
