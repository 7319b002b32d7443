"""source_node plays a clip as a camera would, or, lossless, as fast as the masks come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from support.ros_harness import Bench, Process, array, bench, free_domain, stamps

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.ros import source_node
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.ros.source_node import SourceNode
from cmt_seg_ros.sources import open_source
from cmt_seg_ros.structures import Frame, GroundTruth

SMALL = {"scene_width": 96, "scene_height": 64}
NS = 1_000_000_000


def play(ros: Bench, **values: object) -> SourceNode:
    """Play a clip to its end."""
    node = ros.add(SourceNode, **values)
    ros.until(node.finished.done, "the end of the clip")
    return node


def test_scene_is_played_at_its_rate_with_truth_and_rising_stamps(ros: Bench) -> None:
    images = ros.listen(Image, "/image_raw")
    truth, instances = ros.listen(Image, "/truth/class_ids"), ros.listen(Image, "/truth/instances")
    before = ros.node.get_clock().now().nanoseconds
    node = play(ros, frames=10, fps=20.0, **SMALL)
    assert node.finished.result() == 0
    ros.until(lambda: len(images) == len(truth) == len(instances) == 10)
    found = stamps(images)
    assert found == sorted(set(found)) == stamps(truth) == stamps(instances)
    assert all(stamp >= before + n * NS // 20 for n, stamp in enumerate(found)), "it was played too fast"
    expected = list(open_source(SourceConfig(frames=10, fps=20.0, **SMALL)))
    for frame, image, ids, numbers in zip(expected, images, truth, instances, strict=True):
        assert (image.encoding, ids.encoding, numbers.encoding) == ("bgr8", "mono8", "mono16")
        np.testing.assert_array_equal(np.frombuffer(image.data, np.uint8), frame.pixels.ravel())
        np.testing.assert_array_equal(array(ids), frame.truth.class_ids)
        np.testing.assert_array_equal(array(numbers), frame.truth.instance_ids)


class Given:
    """A clip of frames that are given."""

    name, labels = "given", None

    def __init__(self, frames: list[Frame], fps: float) -> None:
        self._frames, self.fps = frames, fps

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)


def give(monkeypatch: pytest.MonkeyPatch, frames: list[Frame], fps: float) -> None:
    """Let the next source node play these frames."""
    monkeypatch.setattr(source_node, "open_source", lambda config, **limits: Given(frames, fps))


def stamped(stamps_ns: list[int]) -> list[Frame]:
    return [Frame("camera", stamp, np.full((64, 96, 3), 90, np.uint8)) for stamp in stamps_ns]


def folder(tmp_path: Path, frames: int) -> str:
    for number in range(frames):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((64, 96, 3), 10 * number, np.uint8))
    return str(tmp_path)


def test_images_of_a_folder_keep_their_own_stamps_when_asked(ros: Bench, tmp_path: Path) -> None:
    images = ros.listen(Image, "/image_raw")
    truth = ros.listen(Image, "/truth/class_ids")
    play(ros, images=folder(tmp_path, 3), fps=50.0, keep_stamps=True)
    ros.until(lambda: len(images) == 3)
    assert stamps(images) == [1, NS // 50, 2 * NS // 50], "0 would be no stamp"
    assert [image.data[0] for image in images] == [0, 10, 20]
    assert {image.header.frame_id for image in images} == {"camera_optical_frame"}
    assert truth == []


def test_loop_goes_on_with_rising_stamps(ros: Bench, tmp_path: Path) -> None:
    images = ros.listen(Image, "/image_raw")
    ros.add(SourceNode, images=folder(tmp_path, 2), fps=50.0, keep_stamps=True, loop=True)
    ros.until(lambda: len(images) >= 5)
    assert stamps(images)[:5] == [n * NS // 50 or 1 for n in range(5)]
    assert [image.data[0] for image in images[:5]] == [0, 10, 0, 10, 0]


def test_lossless_every_frame_comes_back_with_its_stamp_in_order(ros: Bench) -> None:
    masks = ros.listen(Image, "/segmentation/mask")
    ros.add(SegmentationNode, device="CPU", drop_policy="none")
    values = {"frames": 12, "fps": 1000.0, "drop_policy": "none", "keep_stamps": True, **SMALL}
    assert play(ros, **values).finished.result() == 0
    ros.until(lambda: len(masks) == 12)
    assert stamps(masks) == [n * NS // 1000 or 1 for n in range(12)]
    assert {(mask.width, mask.height) for mask in masks} == {(96, 64)}


def test_lossless_without_masks_ends_with_a_sentence(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_node, "MASK_TIMEOUT_S", 0.3)
    ros.listen(Image, "/image_raw")
    ros.do(lambda: ros.node.create_publisher(Image, "/segmentation/mask", 1))  # that never sends one
    node = play(ros, frames=1, drop_policy="none", **SMALL)
    assert node.finished.result() == 1
    ros.until(ros.errors)
    assert "no mask came back for 1 frames within 0.3 s; is segmentation_node running" in ros.errors()[0]


STEP = NS // 20
EPOCH, HOUR = 1_700_000_000 * NS, 3600 * NS
BAD_STAMPS = {
    "an hour ahead": [0, STEP, 2 * STEP, HOUR, 4 * STEP, 5 * STEP],
    "0 at first": [0, EPOCH, EPOCH + STEP, EPOCH + 2 * STEP, EPOCH + 3 * STEP],
    "clock set back": [EPOCH + n * STEP for n in (200, 201, 202, 3, 4, 5, 6)],
    "the same again": [EPOCH + n * STEP for n in (0, 1, 1, 1, 2, 3)],
}


@pytest.mark.parametrize("stamps_ns", BAD_STAMPS.values(), ids=BAD_STAMPS)
@pytest.mark.parametrize("clock", [False, True])
def test_bad_stamps_do_not_change_the_pace(
    ros: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamps_ns: list[int], clock: bool
) -> None:
    images, times, sent = ros.listen(Image, "/image_raw"), ros.listen(Clock, "/clock"), tmp_path / "sent.csv"
    give(monkeypatch, stamped(stamps_ns), 20.0)
    before = time.time_ns()
    # A step of an hour or more that was waited for would never end.
    assert play(ros, keep_stamps=True, clock=clock, sent_file=str(sent)).finished.result() == 0
    ros.until(lambda: len(images) == len(stamps_ns))
    assert stamps(images) == [stamp or 1 for stamp in stamps_ns]
    assert all(row[3] >= before + n * STEP for n, row in enumerate(rows(sent))), "it was played too fast"
    if clock:  # the time of sending is the system's: the node has no use_sim_time
        found = clock_times(times)
        assert found == sorted(found) and found[-1] >= max(stamps_ns)
    said = [log.msg for log in ros.logs if "such a step counts as 0.050 s" in log.msg]
    assert len(said) == 1 and said[0].startswith("the stamp of frame ")


def test_pauses_of_a_clip_are_kept(ros: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = [0, STEP, 2 * NS, 2 * NS + STEP]
    give(monkeypatch, stamped(clip), 20.0)
    before = time.time_ns()
    play(ros, keep_stamps=True, sent_file=str(tmp_path / "sent.csv"), wait_for_listener=False)
    assert all(row[3] >= before + stamp for row, stamp in zip(rows(tmp_path / "sent.csv"), clip, strict=True))
    assert not [log for log in ros.logs if "such a step" in log.msg]


@pytest.mark.parametrize("clock", [False, True])
def test_lossless_does_not_wait_for_frames_that_are_refused(
    ros: Bench, monkeypatch: pytest.MonkeyPatch, clock: bool
) -> None:
    images, masks, times = (
        ros.listen(kind, topic)
        for kind, topic in ((Image, "/image_raw"), (Image, "/segmentation/mask"), (Clock, "/clock"))
    )
    # Repeated ones are refused; after one far ahead the third frame in a row that goes back begins again.
    numbers = [0, 1, 1, 2, 9000, 3, 4, 5, 6, 6, 6, 6, 7]
    give(monkeypatch, stamped([n * STEP for n in numbers]), 20.0)
    ros.add(SegmentationNode, device="CPU", drop_policy="none")
    node = play(ros, drop_policy="none", keep_stamps=True, clock=clock, rate=10.0)
    assert node.finished.result() == 0, ros.errors()
    ros.until(lambda: len(masks) == 7 and len(images) == len(numbers))
    assert stamps(masks) == [n * STEP or 1 for n in (0, 1, 2, 9000, 5, 6, 7)]
    found = clock_times(times)
    assert found == sorted(found) and bool(found) == clock


def test_process_ends_with_0_at_the_end_and_nothing_is_lost(tmp_path: Path) -> None:
    domain = free_domain()
    values = {"frames": 20, "fps": 200, **SMALL}
    with bench(domain) as ros:
        images = ros.listen(Image, "/image_raw")
        with Process("source_node", tmp_path / "log", domain, values) as process:
            assert process.end() == 0, process.output
            assert "finished: 20 frames sent" in process.output
            ros.until(lambda: len(images) == 20)


def clock_times(messages: list[Clock]) -> list[int]:
    return [m.clock.sec * NS + m.clock.nanosec for m in messages]


def rows(path: Path) -> list[list[int]]:
    """The rows of a sent_file."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    assert header == "index,clip_stamp_ns,stamp_ns,sent_ns"
    return [[int(value) for value in line.split(",")] for line in lines]


def test_clock_runs_smoothly_at_the_playing_rate_and_images_keep_their_stamps(ros: Bench, tmp_path: Path) -> None:
    images, clock = ros.listen(Image, "/image_raw"), ros.listen(Clock, "/clock")
    began = time.monotonic()
    play(ros, images=folder(tmp_path, 9), fps=8.0, rate=2.0, clock=True)
    assert time.monotonic() - began >= 8 / 8 / 2, "it was played too fast"
    ros.until(lambda: len(images) == 9)
    assert stamps(images) == [n * NS // 8 or 1 for n in range(9)]
    times = clock_times(clock)
    assert times[0] == 1 and times == sorted(times), "it stands at the first stamp, then runs on"
    assert times[-1] >= NS
    assert len([t for t in times if 1 < t < NS and t % (NS // 8)]) > 9, "timers must run between frames"


def test_lossless_clock_waits_for_the_frames(ros: Bench) -> None:
    masks, clock = ros.listen(Image, "/segmentation/mask"), ros.listen(Clock, "/clock")
    node = ros.add(SegmentationNode, device="CPU", drop_policy="none", use_sim_time=True)
    played = {"frames": 6, "fps": 2.0, "rate": 100.0, "drop_policy": "none", "clock": True, **SMALL}
    play(ros, **played)
    ros.until(lambda: len(masks) == 6)
    assert stamps(masks) == [n * NS // 2 or 1 for n in range(6)]
    times = clock_times(clock)
    assert times == sorted(times)
    # No more than two frames are under way, and the clock does not pass the next one. (It runs on after the last.)
    # These ages are of the simulated clock, whatever time the machine takes.
    ages_ms = list(node._cameras[""].statistics._ages_ms)[:4]
    assert len(ages_ms) == 4 and min(ages_ms) >= 0 and max(ages_ms) <= 1500


def test_sent_file_says_which_frame_was_sent_under_which_stamp(ros: Bench, tmp_path: Path) -> None:
    images, sent = ros.listen(Image, "/image_raw"), tmp_path / "sent.csv"
    (tmp_path / "clip").mkdir()
    before = ros.node.get_clock().now().nanoseconds
    play(ros, images=folder(tmp_path / "clip", 3), fps=50.0, sent_file=str(sent))
    ros.until(lambda: len(images) == 3)
    found = rows(sent)
    assert [row[:2] for row in found] == [[n, n * NS // 50] for n in range(3)]
    assert [row[2] for row in found] == stamps(images)
    assert all(before < stamp <= at for _, _, stamp, at in found)


def test_sent_file_of_a_loop_begins_again_with_the_clip(ros: Bench, tmp_path: Path) -> None:
    images, sent = ros.listen(Image, "/image_raw"), tmp_path / "sent.csv"
    (tmp_path / "clip").mkdir()
    clip = folder(tmp_path / "clip", 2)
    ros.add(SourceNode, images=clip, fps=50.0, loop=True, sent_file=str(sent), clock=True)
    ros.until(lambda: len(images) >= 4)
    period = NS // 50
    assert [row[:3] for row in rows(sent)[:4]] == [
        [0, 0, 1],
        [1, period, period],
        [0, 0, 2 * period],
        [1, period, 3 * period],
    ]


def test_sent_file_that_cannot_be_written_is_refused(ros: Bench, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"sent_file .* cannot be written: Is a directory; give another file"):
        ros.add(SourceNode, sent_file=str(tmp_path), **SMALL)


def test_truth_without_pixels_is_not_published(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    images, truth = ros.listen(Image, "/image_raw"), ros.listen(Image, "/truth/class_ids")
    instances = ros.listen(Image, "/truth/instances")
    boxes = {1: (0.0, 0.0, 5.0, 5.0)}
    clip = open_source(SourceConfig(frames=2, fps=50.0, **SMALL))
    give(monkeypatch, [replace(frame, truth=GroundTruth(boxes_px=boxes)) for frame in clip], 50.0)
    play(ros)
    ros.until(lambda: len(images) == 2)
    assert truth == instances == []


@pytest.mark.parametrize("rate", [0.0, float("nan"), 1000])
def test_rate_outside_its_range_is_refused(ros: Bench, rate: float) -> None:
    with pytest.raises(ConfigError, match=r"source.rate is .*; it must be a number from 0.01 to 100"):
        ros.add(SourceNode, rate=rate, **SMALL)
