"""What /diagnostics says of a camera, with a clock that the test sets."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")

from diagnostic_msgs.msg import DiagnosticStatus

from cmt_seg_ros.ros.common.diagnostics import camera_status
from cmt_seg_ros.ros.common.statistics import CameraStatistics

OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE


class Camera:
    """A camera of ten frames a second, and a report every second."""

    def __init__(self) -> None:
        self.statistics, self.now_s = CameraStatistics(), 100.0
        self.report()

    def report(self, why: str = "", warnings: tuple[str, ...] = ()) -> tuple[bytes, str]:
        status = camera_status("/n", "a", self.statistics, self.now_s, {}, (), warnings, why)
        return status.level, status.message

    def second(self, dropped: str = "", inferred: int = 0, frames: int = 10, why: str = "") -> tuple[bytes, str]:
        """One second of frames: all dropped with this reason, or so many inferred; the report at its end."""
        for number in range(frames):
            self.now_s += 1 / frames
            self.statistics.receive(self.now_s)
            if dropped:
                self.statistics.drop(dropped)
            elif number < inferred:
                self.statistics.publish(5.0)
        return self.report(why)


def test_frames_without_an_answer_are_a_warning_then_an_error_until_there_is_one() -> None:
    camera = Camera()
    assert camera.second(inferred=10) == (OK, "10 frames inferred")
    levels = [camera.second()[0] for _ in range(7)]
    assert levels == [OK, OK, WARN, WARN, WARN, ERROR, ERROR]
    assert camera.second(inferred=1) == (OK, "11 frames inferred")
    assert camera.second()[0] == OK


def test_reason_is_said() -> None:
    camera = Camera()
    for _ in range(5):
        camera.second("malformed")
    level, sentence = camera.second("newer_frame", why="the network is being compiled for 640x480 bgr8")
    assert level == ERROR
    assert sentence == (
        "60 frames in 6 s and no result: the network is being compiled for 640x480 bgr8; "
        "dropped: malformed 50, newer_frame 10"
    )


def test_slow_camera_is_judged_alike() -> None:
    camera = Camera()
    sent = [camera.second(frames=frames)[0] for frames in (1, 1, 1, 1, 1, 1, 1)]
    assert sent == [OK, OK, WARN, WARN, WARN, ERROR, ERROR]


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("nobody_subscribes", "nobody subscribes to a result, so nothing is inferred"),
        ("disabled", "enable is false, so nothing is inferred"),
    ],
)
def test_what_is_meant_to_have_no_answer_is_ok(reason: str, sentence: str) -> None:
    camera = Camera()
    camera.second(inferred=10)
    for _ in range(8):
        assert camera.second(reason) == (OK, sentence)
    camera.second(inferred=1)
    assert camera.second(inferred=1) == (OK, "12 frames inferred")


def test_thinned_camera_is_ok_and_is_not_when_what_passes_gets_no_answer() -> None:
    camera = Camera()
    for second in range(12):  # one frame in ten passes, one in a hundred is inferred... those in between are thinned
        camera.second("max_fps", frames=9)
        camera.now_s += 0.1
        camera.statistics.receive(camera.now_s)
        camera.statistics.publish(5.0)
        assert camera.report()[0] == OK, second
    levels = []
    for _ in range(7):
        camera.second("max_fps", frames=9)
        camera.statistics.receive(camera.now_s)
        levels.append(camera.report()[0])
    assert levels[-1] == ERROR


def test_silent_camera_is_stale_and_not_unanswered() -> None:
    camera = Camera()
    camera.second(inferred=10)
    camera.second()
    camera.now_s += 6.0
    assert camera.report() == (STALE, "no frame for 6 s")
    camera.second()
    assert camera.second()[0] == OK, "the pause does not count"


def test_warnings_do_not_hide_the_rest() -> None:
    camera = Camera()
    camera.second(inferred=10)
    assert camera.report(warnings=("two nodes of one name",)) == (WARN, "two nodes of one name")
    camera.now_s += 4.0
    assert camera.report(warnings=("two nodes of one name",)) == (STALE, "two nodes of one name; no frame for 4 s")


def test_hostile_stamps_are_counted_apart() -> None:
    statistics = CameraStatistics()
    for age_ms in (10.0, 20.0, -5.0, -1e12, 1e12, 30.0, math.nan):
        statistics.publish(age_ms)
    assert statistics.ages_ms() == (20.0, pytest.approx(29.8), 30.0)
    assert statistics.absurd_ages == 4 and statistics.inferred == 7
    values = {v.key: v.value for v in camera_status("/n", "", statistics, 1.0, {}).values}
    assert values["age_max_ms"] == "30.0" and values["absurd_ages"] == "4"
