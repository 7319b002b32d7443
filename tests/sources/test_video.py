from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support.videos import CODECS, SIZE, grey, write_timed

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.sources import VideoSource, open_source
from cmt_seg_ros.sources.video import _packets, _Times

EVEN_MS = [40 * k for k in range(12)]
PHONE_MS = [*range(0, 330, 33), *range(830, 3830, 500)]
"""A phone's: 33 ms apart in the light, half a second in the dark."""


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


def test_a_rate_that_makes_no_sense_becomes_15(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = VideoSource(write_timed(tmp_path / "clip.mp4", range(4), tick=Fraction(1, 90_000)))
    assert source.fps == 15.0 and "playing it at 15" in caplog.text


@pytest.mark.parametrize("suffix", CODECS)
def test_frames_have_their_own_times(tmp_path: Path, suffix: str) -> None:
    source = VideoSource(write_timed(tmp_path / f"phone{suffix}", PHONE_MS))
    frames = list(source)
    assert [f.stamp_ns / 1e6 for f in frames] == pytest.approx(PHONE_MS, abs=1)
    assert frames[0].stamp_ns == 0 and len(source) == len(PHONE_MS)
    assert [f.pixels.mean() for f in frames] == pytest.approx([grey(k) for k in range(len(frames))], abs=9)
    assert np.all(np.diff([f.pixels.mean() for f in frames]) > 0), "in the order in which they are shown"
    assert source.fps == pytest.approx(1000 / 33, rel=0.02), "the rate of most of them"
    assert source.problems.lines == []


def test_the_first_frame_is_at_0_whatever_the_file_begins_with(tmp_path: Path) -> None:
    late = write_timed(tmp_path / "late.mkv", [5000 + t for t in EVEN_MS])
    assert [f.stamp_ns for f in VideoSource(late)] == [t * 1_000_000 for t in EVEN_MS]


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("times_ms", [EVEN_MS, PHONE_MS], ids=["even", "phone"])
def test_only_a_cut_file_is_damaged(tmp_path: Path, suffix: str, times_ms: list[int]) -> None:
    options = {"movflags": "faststart"} if suffix in (".mp4", ".mov") else {}
    whole = write_timed(tmp_path / f"whole{suffix}", times_ms, options)
    source = VideoSource(whole)
    assert len(list(source)) == len(times_ms) and source.problems.lines == []
    cut = tmp_path / f"cut{suffix}"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 9 // 10 + (suffix == ".ts")])
    found = VideoSource(cut)
    assert 0 < len(list(found)) <= len(times_ms)
    (said,) = found.problems.lines
    assert "is cut: " in said and "bytes are missing at its end" in said and found.problems.counts["damaged_video"] == 1


def test_a_cut_file_without_its_index_says_so(tmp_path: Path) -> None:
    whole = write_timed(tmp_path / "whole.mp4", EVEN_MS).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"cut.mp4 cannot be opened: it is cut, \d+ bytes are missing at its end"):
        VideoSource(tmp_path / "cut.mp4")


def test_data_after_the_end_is_no_damage_and_damage_inside_is(tmp_path: Path) -> None:
    path = write_timed(tmp_path / "clip.mp4", EVEN_MS)
    path.write_bytes(path.read_bytes() + b"a note of the camera's maker")
    source = VideoSource(path)
    assert len(list(source)) == len(EVEN_MS) and source.problems.lines == []
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start + 900 : start + 5000] = b"\xff" * 4100  # sizes of packets, too
    path.write_bytes(data)
    broken = VideoSource(path)
    assert 0 < len(list(broken)) <= len(EVEN_MS)
    assert broken.problems.counts == {"damaged_video": 1} and "has damaged frames" in broken.problems.lines[0]


def test_music_with_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover, music = container.add_stream("mjpeg", rate=30), container.add_stream("aac", rate=48_000)
        cover.height, cover.width, cover.pix_fmt = *SIZE, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        picture = av.VideoFrame.from_ndarray(np.zeros((*SIZE, 3), np.uint8), "bgr24")
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        sound.sample_rate = 48_000
        for stream, frame in ((cover, picture), (music, sound), (cover, None), (music, None)):
            container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match=r"song.mp4 cannot be opened: it has no video that can be decoded"):
        VideoSource(path)


def test_a_file_that_cannot_be_read_on_is_read_up_to_there() -> None:
    class Failing:
        def demux(self, stream: object) -> Iterator[int]:
            yield from (1, 2)
            raise av.FFmpegError(5, "Input/output error")

    damaged: list[str] = []
    assert list(_packets(Failing(), None, damaged)) == [1, 2]
    assert len(damaged) == 1 and "Input/output error" in damaged[0]


def test_times_that_stand_still_go_back_or_jump_count_as_a_period() -> None:
    times = _Times(40)
    found = [times.next(own) for own in (100, 140, 140, 50, None, 130, 10**17, 10**17 + 40)]
    assert found == [0, 40, 80, 120, 160, 200, 240, 280] and times.guessed == 4
    unknown = _Times(40)
    assert [unknown.next(None) for _ in range(3)] == [0, 40, 80]


def test_a_stream_without_times_is_played_evenly_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "raw.h264"
    with av.open(str(write_timed(tmp_path / "clip.ts", EVEN_MS))) as container:
        path.write_bytes(b"".join(bytes(packet) for packet in container.demux(video=0)))
    source = VideoSource(path)
    steps = {b.stamp_ns - a.stamp_ns for a, b in pairwise(source)}
    assert steps == {round(1e9 / source.fps)} and source.problems.lines == []
    assert "no times of its frames" in caplog.text


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 3), (180, 2), (270, 1)])
def test_a_video_is_turned_upright_as_its_metadata_says(tmp_path: Path, degrees: int, turns: int) -> None:
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[: SIZE[0] // 2, : SIZE[1] // 2] = 200
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44  # the matrix of the track's header
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = (cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)
    data[place : place + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    (frame,) = VideoSource(path)
    np.testing.assert_allclose(frame.pixels, np.rot90(picture, turns), atol=40)
    read, theirs = cv2.VideoCapture(str(path)).read()
    assert read and np.array_equal(frame.pixels, theirs), "as OpenCV gives them"


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
