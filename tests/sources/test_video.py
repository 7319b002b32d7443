from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.sources import VideoSource, open_source


def write_video(path: Path, frames: int = 7, fps: float = 12.5) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


def test_frames_of_a_video_are_stamped_by_its_rate(tmp_path: Path) -> None:
    source = VideoSource(write_video(tmp_path / "clip.avi"), camera="front")
    frames = list(source)
    assert (len(source), len(frames), source.fps, source.name) == (7, 7, 12.5, "clip.avi")
    assert [f.stamp_ns for f in frames] == [i * 80_000_000 for i in range(7)]
    assert {(f.camera, f.encoding, f.size, f.truth) for f in frames} == {("front", "bgr8", (48, 64), None)}
    assert np.allclose([f.pixels.mean() for f in frames], [20 * i for i in range(7)], atol=3)
    assert len(list(source)) == 7, "iterating again starts over"


def test_a_video_that_cannot_be_played_says_why(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    for path, words in ((tmp_path / "none.mp4", "not a file"), (tmp_path, "not a file"), (text, "cannot be opened")):
        with pytest.raises(SourceError, match=words) as error:
            VideoSource(path)
        assert str(path) in str(error.value)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        VideoSource(write_video(tmp_path / "empty.avi", frames=0))


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 90000.0])
def test_a_rate_that_makes_no_sense_becomes_15(tmp_path: Path, fps: float, caplog: pytest.LogCaptureFixture) -> None:
    assert VideoSource(write_video(tmp_path / "clip.avi"))._rate(fps) == 15.0
    assert "15" in caplog.text


def test_a_clip_is_cut_and_played_at_another_rate(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "clip.avi"))
    clip = open_source(SourceConfig(video=path, frames=3, fps=50.0))
    assert (len(clip), clip.fps) == (3, 50.0)
    assert [f.stamp_ns for f in clip] == [0, 20_000_000, 40_000_000]
    own = open_source(SourceConfig(video=path, frames=100))
    assert (len(own), own.fps, len(list(own))) == (7, 12.5, 7)


def test_the_scene_is_the_default_source() -> None:
    scene = open_source(SourceConfig(scene_width=64, scene_height=64, frames=2, fps=10.0), camera="left")
    frames = list(scene)
    assert (len(scene), scene.fps, scene.name) == (2, 10.0, "synthetic street, seed 0")
    assert [f.stamp_ns for f in frames] == [0, 100_000_000]
    assert frames[0].truth is not None and scene.labels is not None and frames[0].camera == "left"
    assert len(open_source(SourceConfig())) == 300
