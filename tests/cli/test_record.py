"""`cmt-seg record` beside nodes that really run: what they take in and put out is in the bag when it ends."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")

from sensor_msgs.msg import CompressedImage
from support.full_disk import file_limit
from support.ros_harness import Process, bench, free_domain, header

from cmt_seg_ros.cli.main import main
from cmt_seg_ros.evaluation.live.recording import Recording
from cmt_seg_ros.sources import BagSource

RECORD = [sys.executable, "-m", "cmt_seg_ros.cli.main", "record"]


def status(out: Path) -> dict[str, Any]:
    file = out / "recording.json"
    found: dict[str, Any] = (
        json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"messages": 0, "topics": {}}
    )
    return found


def processes_of(pid: int) -> list[int]:
    """Process ids of what a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def test_input_and_results_of_real_nodes(tmp_path: Path) -> None:
    domain, out = free_domain(), tmp_path / "out"
    scene = {"frames": 8, "scene_width": 96, "scene_height": 64, "fps": 10.0, "drop_policy": "none"}
    here = ["--ros-args", "-r", "__ns:=/front"]
    node = [sys.executable, "-m", "cmt_seg_ros.ros.segmentation_node", *here, "-p", "device:=CPU"]
    source = [word for name, value in scene.items() for word in ("-p", f"{name}:={value}")]
    with (
        Process([*node, "-p", "drop_policy:=none"], tmp_path / "seg", domain) as segmentation,
        Process([*RECORD, "--namespace", "/front", "--out", str(out)], tmp_path / "rec", domain) as record,
    ):
        segmentation.wait_for("ready: ")
        record.wait_for("Ctrl-C ends it")
        play = [sys.executable, "-m", "cmt_seg_ros.ros.source_node", *here, *source]
        with Process(play, tmp_path / "play", domain) as player:
            assert player.end() == 0, player.output
        with bench(domain) as ros:
            ros.until(lambda: status(out)["topics"]["/front/segmentation/mask"]["messages"] == 8)
            ros.until(lambda: status(out)["topics"]["/front/image_raw"]["messages"] == 8)
        record.popen.send_signal(signal.SIGINT)
        assert record.end() == 0, record.output
    assert "/front/segmentation/mask" in record.output and "0 lost" in record.output
    assert status(out)["finished"] and status(out)["failed"] == 0
    masks = [frame.stamp_ns for frame in Recording(out / "bag") if frame.class_ids is not None]
    images = list(BagSource(out / "bag", "/front/image_raw"))
    assert masks == [frame.stamp_ns for frame in images] and len(masks) == 8
    assert images[0].pixels.shape == (64, 96, 3)


def test_several_cameras_have_a_folder_each_and_sigterm_ends_it(tmp_path: Path) -> None:
    domain, out = free_domain(), tmp_path / "out"
    names = ("--namespace", "/front", "--namespace", "robot/rear")
    arguments = (*names, "--transport", "compressed", "--topics", "tracking/tracks")
    with (
        bench(domain) as ros,
        Process([*RECORD, *arguments, "--out", str(out)], tmp_path / "log", domain) as record,
    ):
        for topic, folder in (("/front", "front"), ("/robot/rear", "robot_rear")):
            jpeg = CompressedImage(header=header(1), format="jpeg", data=b"abc")
            camera = ros.publisher(CompressedImage, f"{topic}/image_raw/compressed")

            def recorded(send: Callable[[], None], folder: Path) -> bool:
                send()  # again: the other end may not have found this one yet
                return bool(status(folder)["messages"])

            ros.until(lambda c=camera, j=jpeg, f=folder: recorded(lambda: c.publish(j), out / f))
        children = processes_of(record.popen.pid)
        assert len(children) == 2
        record.popen.send_signal(signal.SIGTERM)
        assert record.end() == 0, record.output
        assert not any(Path(f"/proc/{child}").exists() for child in children)
    for folder, namespace in (("front", "/front"), ("robot_rear", "/robot/rear")):
        assert status(out / folder)["finished"]
        topics = {f"{namespace}/{name}" for name in ("image_raw/compressed", "camera_info", "tracking/tracks")}
        assert set(status(out / folder)["topics"]) == topics


def test_a_full_disk_ends_the_recording_with_a_sentence(tmp_path: Path) -> None:
    domain, out = free_domain(), tmp_path / "out"
    arguments = ("--transport", "compressed", "--topics", "tracking/tracks", "--out", str(out))
    noise = np.random.default_rng(0)
    with bench(domain) as ros, Process([*RECORD, *arguments], tmp_path / "log", domain) as record:
        camera = ros.publisher(CompressedImage, "/camera/image_raw/compressed")
        (recorder,) = processes_of(record.popen.pid)
        with file_limit(1_500_000, recorder):

            def ended() -> bool:
                jpeg = CompressedImage(header=header(1), format="jpeg", data=noise.bytes(100_000))
                camera.publish(jpeg)
                return record.popen.poll() is not None

            ros.until(ended)
        assert record.end() == 1, record.output
    found = status(out)
    words = " ".join(record.output.split())
    assert f"the recording ended early, {found['failed'] + found['lost']} messages are lost: bag" in words
    assert "File too large; make room on that disk" in words and "Traceback" not in record.output
    assert len(BagSource(out / "bag", "/camera/image_raw/compressed")) == found["messages"] > 0


def test_nothing_recorded_is_said_and_is_status_1(tmp_path: Path) -> None:
    with Process(
        [*RECORD, "--duration", "0.5", "--out", str(tmp_path / "out")], tmp_path / "log", free_domain()
    ) as record:
        assert record.end() == 1, record.output
    assert "/camera: nothing was recorded; nothing comes from /camera" in " ".join(record.output.split())
    assert status(tmp_path / "out")["finished"]


def test_losses_are_said_and_are_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cmt_seg_ros.cli.record import Camera, _tell

    row = {"messages": 10, "bytes": 2_500_000, "lost": 2, "failed": 1}
    for finished, words in ((True, "/cam: 3 messages were lost"), (False, "/cam: the recording is incomplete")):
        (tmp_path / "recording.json").write_text(json.dumps({"finished": finished, "topics": {"/cam/image_raw": row}}))
        assert _tell([Camera("/cam", tmp_path)], []) == 1
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--duration", "nan"), "--duration is nan"),
        (("--namespace", "a b"), "--namespace is a b; give names such as /camera"),
        (("--namespace", "/front", "--namespace", "front/"), "each once"),
        (("--topics", "mask"), "recorder.topics has mask; allowed: segmentation/mask"),
        (("--input", ""), "recorder.image_topic is empty"),
    ],
)
def test_wrong_use_is_explained(
    arguments: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "--out", str(tmp_path / "out"), *arguments]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_recording_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bag").mkdir()
    assert main(["record", "--out", str(tmp_path)]) == 1
    assert "has bag already, which is not replaced; give another folder with --out" in capsys.readouterr().err


def test_without_ros_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["record"]) == 1
    assert "record needs ROS 2 (rclpy)" in capsys.readouterr().err


def test_help_has_examples() -> None:
    shown = subprocess.run([*RECORD, "--help"], capture_output=True, encoding="utf-8", check=True).stdout
    assert "cmt-seg record --transport compressed" in shown and "tracking/instances" in shown
