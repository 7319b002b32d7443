"""`cmt-seg top` on nodes that really run."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from support.ros_harness import Bench, Process, bench, free_domain
from support.waiting import DEADLINE_S, until

from cmt_seg_ros.cli.main import main
from cmt_seg_ros.ros.common.shared_memory import SHARED_MEMORY

VALUES = {"received": "100", "inferred": "90", "received_hz": "30.04", "inferred_hz": "28.96"}


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A domain for the commands that the test runs."""
    made = free_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(made))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return made


@pytest.fixture
def published(domain: int) -> Iterator[Bench]:
    """A node that publishes two statuses ten times a second."""
    with bench(domain) as made:
        publisher = made.do(lambda: made.node.create_publisher(DiagnosticArray, "/diagnostics", 10))
        values = [KeyValue(key=key, value=value) for key, value in VALUES.items()]
        statuses = [
            DiagnosticStatus(name="/front/segmentation_node: front", level=b"\0", message="well", values=values),
            DiagnosticStatus(name="/rear/segmentation_node: rear", level=b"\2", hardware_id="NPU", values=values[:2]),
        ]
        made.do(lambda: made.node.create_timer(0.1, lambda: publisher.publish(DiagnosticArray(status=statuses))))
        yield made


def test_once_prints_what_is_published(published: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once", "--timeout", str(DEADLINE_S)]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("/front/segmentation_node", "OK", "well", "30.0/29.0", "ERROR", "NPU"))
    assert main(["top", "--once", "--timeout", str(DEADLINE_S), "--namespace", "rear"]) == 0
    out = capsys.readouterr().out
    assert "/rear/segmentation_node" in out and "/front" not in out


def test_once_shows_the_real_node(domain: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Process("segmentation_node", tmp_path / "log", domain, {"device": "CPU"}) as process:
        process.wait_for("ready: ")
        assert main(["top", "--once", "--timeout", str(DEADLINE_S)]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("/segmentation_node", "WARN", "no frame yet", "0.0/0.0", "CPU"))


def test_once_gives_up_with_a_sentence(domain: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once", "--timeout", "0.5", "--namespace", "front"]) == 1
    error = capsys.readouterr().err
    assert f"within 0.5 s (ROS domain {domain}, namespace /front)" in error and "Traceback" not in error


def test_wrong_use_is_explained(
    domain: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", "--timeout", str(math.nan)]) == 1
    assert "--timeout is nan" in capsys.readouterr().err
    monkeypatch.setenv("ROS_DOMAIN_ID", "all")
    assert main(["top", "--once"]) == 1
    assert "the listener of /diagnostics ended" in capsys.readouterr().err


def listeners_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of what a process has started."""
    return [
        int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    ]


def segments_of(pid: int) -> set[Path]:
    """Shared memory that a process uses; ports belong to no process alone."""
    words = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").split()
    return {Path(word) for word in words if word.startswith(f"{SHARED_MEMORY}/fastdds_") and "_port" not in word}


@pytest.mark.parametrize(("signum", "returned"), [(signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_its_end_leaves_nothing_behind(published: Bench, tmp_path: Path, signum: signal.Signals, returned: int) -> None:
    domain, publishers = published.context.get_domain_id(), segments_of(os.getpid())
    command = [sys.executable, "-m", "cmt_seg_ros.cli.main", "top"]
    with Process(command, tmp_path / "log", domain) as process:
        process.wait_for("/front/segmentation_node")
        (listener,) = listeners_of(process.popen)
        made = segments_of(listener) - publishers  # it has mapped those, too
        assert made
        process.popen.send_signal(signum)
        assert process.end() == returned, process.output
        assert "Traceback" not in process.output
    until(lambda: not any(path.exists() for path in made), "the listener ends with its parent")
