"""Videos as browsers play them, whole or not at all."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.video import VideoFile
from cmt_seg_ros.sources import VideoSource

NS = 1_000_000_000


def grey(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def write(path: Path, stamps: list[int], max_gap_s: float = 1.0) -> list[bool]:
    file = VideoFile(path, max_gap_s)
    taken = [file.write(grey(10 * number), stamp) for number, stamp in enumerate(stamps)]
    file.close()
    return taken


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


@pytest.mark.parametrize("fps", [0.5, 10.0, 30000 / 1001, 100.0])
def test_a_video_is_h264_with_the_rate_of_its_frames(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "a.mp4"
    write(path, [round(number * NS / fps) for number in range(12)], math.inf)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (container.format.name, stream.codec_context.name) == ("mov,mp4,m4a,3gp,3g2,mj2", "h264")
        assert (stream.pix_fmt, stream.width, stream.height) == ("yuv420p", 64, 48)
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-3)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index is at the front"
    assert [path] == list(tmp_path.iterdir())
    frames = list(VideoSource(path))
    assert np.allclose([frame.pixels.mean() for frame in frames], [10 * number for number in range(12)], atol=4)


def test_gaps_are_shown_up_to_a_second_and_late_frames_are_left_out(tmp_path: Path) -> None:
    taken = write(tmp_path / "a.mp4", [5 * NS, 5 * NS + NS // 2, 60 * NS, 59 * NS, 60 * NS, 60 * NS + NS // 4])
    assert taken == [True, True, True, False, False, True]
    assert times(tmp_path / "a.mp4") == pytest.approx([0.0, 0.5, 1.5, 1.75], abs=1e-4)


def test_odd_sides_are_cut_and_other_sizes_scaled(tmp_path: Path) -> None:
    file = VideoFile(tmp_path / "a.mp4")
    for number, size in enumerate([(49, 65), (49, 65), (20, 21)]):
        file.write(np.asfortranarray(grey(90, *size)), number * NS)
    file.close()
    assert [frame.size for frame in VideoSource(tmp_path / "a.mp4")] == [(48, 64)] * 3
    with pytest.raises(FrameError, match="image is 1x48; a video needs 2x2 or more"):
        VideoFile(tmp_path / "b.mp4").write(grey(0, 48, 1), 0)


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"before")
    for end in (VideoFile.discard, VideoFile.close):
        file = VideoFile(path)
        for number in range(3):
            file.write(grey(number), number * NS)
        assert path.read_bytes() == b"before"
        end(file)
        assert [path] == list(tmp_path.iterdir())
    assert len(times(path)) == 3


def test_without_frames_there_is_no_file(tmp_path: Path) -> None:
    VideoFile(tmp_path / "a.mp4").close()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No such file or directory: .*none/\.a\.mp4\.part"):
        VideoFile(tmp_path / "none" / "a.mp4")
