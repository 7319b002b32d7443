"""What all tests share: ROS that stays on this machine, a tiny model, reports without plots."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import nullcontext
from functools import partial

import pytest
from support import ROOT
from support.tiny_package import write_package

from cmt_seg_ros.evaluation.report import report
from cmt_seg_ros.node_processes import domain_id
from cmt_seg_ros.ros.common.shared_memory import clean_stale

# Before anything imports torch. Workers that share the cores would spin against each other: four times as slow.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
# Before anything imports rclpy. OFF: nodes in this process hear each other and nothing else.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "OFF"
os.environ["COLUMNS"] = "200"  # of tables, whatever terminal the tests run in
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="cmt_seg_ros_cache_")
os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="cmt_seg_ros_log_")
os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(ROOT / "config" / "fastdds.xml")


def pytest_sessionfinish() -> None:
    """Free the shared memory of processes that tests killed."""
    clean_stale()
    for name in ("ROS_LOG_DIR", "XDG_CACHE_HOME"):
        shutil.rmtree(os.environ[name], ignore_errors=True)


@pytest.fixture
def ros_env() -> dict[str, str]:
    """Environment for the processes of a test that starts several: they hear each other, not other test runs.

    The domain follows from this process, so parallel runs and pytest-xdist workers differ. 0 is a user's.
    """
    return {
        **os.environ,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(domain_id()),
    }


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a model package that is fast and bad."""
    return str(write_package(tmp_path_factory.mktemp("models") / "tiny").folder)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without plots, which take seconds each; the plots have tests of their own."""
    monkeypatch.setattr(report, "_plots", lambda *arguments: {})


@pytest.fixture
def float32_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training in float32, as processors without bfloat16 emulate it slowly."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


@pytest.fixture
def quick_training(float32_training: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training in float32 and without drawing its curves."""
    monkeypatch.setattr("cmt_seg_ros.training.trainer.draw_curves", lambda out: None)


@pytest.fixture
def quick_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export without torch's own check of what it traced: three more runs; the tests compare the results themselves."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")
    monkeypatch.setattr(torch.jit, "trace", partial(torch.jit.trace, check_trace=False))
