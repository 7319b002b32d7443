"""`cmt-seg demo`, as make demo runs it: real processes on real topics, and what they leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.waiting import DEADLINE_S

from cmt_seg_ros.evaluation.live.recording import Recording
from cmt_seg_ros.sources import BagSource, VideoSource
from cmt_seg_ros.street import StreetScene

pytest.importorskip("rclpy", reason="rclpy is not installed: make test installs it")

FRAMES = 12


def demo(out: Path, *arguments: str) -> dict[str, dict[str, object]]:
    """Run the demo and return its summary."""
    command = [sys.executable, "-m", "cmt_seg_ros.cli.main", "demo", "--out", str(out), "--every-frame", *arguments]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=DEADLINE_S, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    assert "report.html" in result.stdout
    summary: dict[str, dict[str, object]] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return summary


@pytest.fixture(scope="module")
def scene_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, object]]]:
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, demo(out, "--frames", str(FRAMES))


def test_every_frame_comes_back_and_is_scored(scene_demo: tuple[Path, dict[str, dict[str, object]]]) -> None:
    _, summary = scene_demo
    assert summary["frames"]["in"] == summary["frames"]["evaluated"] == FRAMES and summary["mode"] == "live"
    assert summary["masks"]["frames"] == summary["tracks"]["frames"] == FRAMES
    assert summary["masks"]["mean_iou"] > 0.4 and summary["objectness"]["iou"] > 0.5  # type: ignore[operator]


def test_video_bag_and_report_are_whole(scene_demo: tuple[Path, dict[str, dict[str, object]]]) -> None:
    out, _ = scene_demo
    video = list(VideoSource(str(out / "live" / "overlay.mp4")))
    # The tracker receives images only once it has seen that somebody looks: the first may be missing.
    assert FRAMES - 3 <= len(video) <= FRAMES and video[0].size == (360, 640)
    masks = [frame.class_ids for frame in Recording(out / "live" / "bag")]
    assert len(masks) == FRAMES and all(mask is not None and mask.shape == (360, 640) for mask in masks)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/") >= 3 and "http://" not in page and "https://" not in page


def test_own_images_with_labels(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    scene = StreetScene(320, 180, frames=30, seed=4)
    for k in range(0, 30, 6):
        frame = scene.frame(k)
        assert frame.truth is not None
        cv2.imwrite(str(tmp_path / "images" / f"{k:03d}.png"), frame.pixels)
        cv2.imwrite(str(tmp_path / "labels" / f"{k:03d}.png"), frame.truth.class_ids)
    summary = demo(tmp_path / "out", "--images", str(tmp_path / "images"))
    assert summary["frames"]["evaluated"] == 5 and summary["masks"]["frames"] == 5


def test_own_video_becomes_a_bag_of_masks(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 180))
    for k in range(6):
        writer.write(np.full((180, 320, 3), 30 * k, np.uint8))
    writer.release()
    summary = demo(tmp_path / "out", "--video", str(tmp_path / "clip.avi"))
    assert summary["frames"]["in"] == summary["frames"]["evaluated"] == 6 and summary["masks"] is None
    assert len(BagSource(str(tmp_path / "out" / "live" / "bag"), "/camera/segmentation/mask")) == 6
