"""Node processes: those that cannot work say why and end with 1, the others end with 0 and leave nothing behind."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.ros_harness import MODEL, Process, free_domain

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.ros.common.shared_memory import SHARED_MEMORY, find_segments
from cmt_seg_ros.runtime.model_package import find


def left() -> set[str]:
    """Shared memory that no living process uses; what a process maps may also belong to others of its domain."""
    return set(find_segments(min_age_s=0.0).stale)


def segments_of(pid: int) -> set[str]:
    """Shared memory that a process uses."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    return set(re.findall(rf"{SHARED_MEMORY}/(fastdds_[0-9a-f]{{16}})\b", maps))


def damage(package: Path) -> None:
    data = bytearray((package / "model.bin").read_bytes())
    data[len(data) // 2] ^= 1
    (package / "model.bin").write_bytes(data)


def edit(package: Path, key: str, value: object) -> None:
    description = yaml.safe_load((package / "model.yaml").read_text(encoding="utf-8"))
    (package / "model.yaml").write_text(yaml.safe_dump({**description, key: value}))


def edit_checksum(package: Path) -> None:
    sums = yaml.safe_load((package / "model.yaml").read_text(encoding="utf-8"))["sha256"]
    edit(package, "sha256", {**sums, "model.xml": "0" * 64})


def start_and_fail(node: str, tmp_path: Path, **parameters: object) -> str:
    """Run a node that ends by itself with status 1; returns what it said."""
    with Process(node, tmp_path / "log", free_domain(), parameters) as process:
        assert process.end() == 1, process.output
        assert "Traceback" not in process.output
        return process.output


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: (p / "model.bin").unlink(), r"model\.bin is missing; restore the package \(git checkout\) or"),
        (damage, r"model\.bin is damaged: its sha256 is \w+\.\.\., model\.yaml says \w+\.\.\.; restore the package"),
        (edit_checksum, r"model\.xml is damaged: its sha256 is \w+\.\.\., model\.yaml says 0+\.\.\.; restore"),
        (
            lambda p: edit(p, "classes", CAMVID.to_list()[:-1]),
            r"model\.xml: output probabilities is .*11.*; 10 classes are listed in model\.yaml; make a package",
        ),
    ],
    ids=["file missing", "one bit flipped", "other checksum", "other classes"],
)
def test_damaged_model_stops_the_start_with_a_sentence(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    package = tmp_path / "package"
    shutil.copytree(find(MODEL), package, ignore=shutil.ignore_patterns("weights*"))
    spoil(package)
    said = start_and_fail("segmentation_node", tmp_path, model=str(package), device="CPU")
    assert re.search(rf"\[FATAL\].*{re.escape(str(package))}.*", said)
    assert re.search(words, said)


@pytest.mark.parametrize(
    ("node", "parameters", "words"),
    [
        ("segmentation_node", {"model": "no-such-model"}, f"'no-such-model' not found; installed: .*{MODEL}.*or give"),
        ("segmentation_node", {"precision": "f8"}, "precision is 'f8'; allowed: 'auto', 'f32', 'bf16', 'f16'"),
        ("segmentation_node", {"max_batch_size": "many"}, "parameter max_batch_size is 'many' .str.; expected int"),
        ("segmentation_node", {"cameras": "front"}, "cameras.*STRING_ARRAY"),
        ("tracker_node", {"min_hits": 0}, "min_hits is 0; it must be a number from 1 to 1000"),
        ("source_node", {"video": "/no/such.mp4"}, "/no/such.mp4"),
        ("source_node", {"fps": -1}, "fps is -1.0; it must be a number from 0 to 1000"),
        ("source_node", {"video": "a", "images": "b"}, "source has video and images; name at most one"),
    ],
)
def test_wrong_parameter_stops_the_start_with_a_sentence(
    tmp_path: Path, node: str, parameters: dict[str, object], words: str
) -> None:
    assert re.search(words, start_and_fail(node, tmp_path, **parameters))


def test_process_that_fails_leaves_no_shared_memory(tmp_path: Path) -> None:
    with Process("source_node", tmp_path / "log", free_domain(), {"video": "/no/such.mp4"}) as process:
        made: set[str] = set()
        while process.popen.poll() is None:
            with contextlib.suppress(OSError):  # it has just ended
                made |= segments_of(process.popen.pid)
    assert process.popen.returncode == 1
    assert made and not made & left()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("node", ["segmentation_node", "tracker_node", "source_node"])
def test_signal_ends_a_node_with_0_and_frees_its_shared_memory(tmp_path: Path, node: str, stop: signal.Signals) -> None:
    with Process(node, tmp_path / "log", free_domain()) as process:
        process.wait_for("ready: ")
        made = segments_of(process.popen.pid)
        assert made, "it does not use shared memory"
        process.popen.send_signal(stop)
        assert process.end() == 0, process.output
        assert not made & left()
        for words in ("Traceback", "FATAL", "Failed to publish log message", "context is invalid"):
            assert words not in process.output, process.output


def test_home_that_cannot_be_written_is_told_and_the_node_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("ROS_LOG_DIR", "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)
    with Process("source_node", tmp_path / "log", free_domain()) as process:
        process.wait_for("ready: ")
        assert "home/.ros/log cannot be written (Not a directory); log files go to " in process.output
        assert "set ROS_LOG_DIR to a folder that can be written" in process.output
        process.popen.send_signal(signal.SIGINT)
        assert process.end() == 0 and "Traceback" not in process.output, process.output


def test_ros_that_cannot_start_says_why(tmp_path: Path) -> None:
    with Process(["env", "ROS_DOMAIN_ID=many", sys.executable, "-m", "cmt_seg_ros.ros.source_node"],
                 tmp_path / "log", 1) as process:  # fmt: skip
        assert process.end() == 1
        assert "error: ROS cannot start: " in process.output and "Traceback" not in process.output


def test_signal_while_starting_is_no_failure(tmp_path: Path) -> None:
    with Process("segmentation_node", tmp_path / "log", free_domain(), {"device": "CPU"}) as process:
        while process.popen.poll() is None and not segments_of(process.popen.pid):  # rclpy has begun, the model not
            pass
        process.popen.send_signal(signal.SIGTERM)
        assert process.end() == 0, process.output
        assert "Traceback" not in process.output, process.output
