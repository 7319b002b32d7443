"""source_node plays a clip as a camera would, or, lossless, as fast as the masks come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from ros_harness import Bench, Process, array, bench, free_domain, stamps
from sensor_msgs.msg import Image

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.ros import source_node
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.ros.source_node import SourceNode
from cmt_seg_ros.sources import open_source

SMALL = {"scene_width": 96, "scene_height": 64}
NS = 1_000_000_000


@pytest.fixture
def ros() -> Iterator[Bench]:
    with bench() as made:
        yield made


def play(ros: Bench, **values: object) -> SourceNode:
    """Play a clip to its end."""
    node = ros.add(SourceNode, **values)
    ros.until(node.finished.done, "the end of the clip")
    return node


def test_scene_is_played_at_its_rate_with_truth_and_rising_stamps(ros: Bench) -> None:
    images = ros.listen(Image, "/image_raw")
    truth, instances = ros.listen(Image, "/truth/class_ids"), ros.listen(Image, "/truth/instances")
    before = ros.node.get_clock().now().nanoseconds
    began = time.monotonic()
    node = play(ros, frames=10, fps=20.0, **SMALL)
    took_s = time.monotonic() - began
    assert node.finished.result() == 0
    ros.until(lambda: len(images) == len(truth) == len(instances) == 10)
    assert took_s >= 9 / 20, "it was played too fast"
    found = stamps(images)
    assert before <= found[0] and found == sorted(set(found)) == stamps(truth) == stamps(instances)
    assert np.median(np.diff(found)) == pytest.approx(NS / 20, rel=0.2)
    expected = list(open_source(SourceConfig(frames=10, fps=20.0, **SMALL)))
    for frame, image, ids, numbers in zip(expected, images, truth, instances, strict=True):
        assert (image.encoding, ids.encoding, numbers.encoding) == ("bgr8", "mono8", "mono16")
        np.testing.assert_array_equal(np.frombuffer(image.data, np.uint8), frame.pixels.ravel())
        np.testing.assert_array_equal(array(ids), frame.truth.class_ids)
        np.testing.assert_array_equal(array(numbers), frame.truth.instance_ids)


def folder(tmp_path: Path, frames: int) -> str:
    for number in range(frames):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((64, 96, 3), 10 * number, np.uint8))
    return str(tmp_path)


def test_images_of_a_folder_keep_their_own_stamps_when_asked(ros: Bench, tmp_path: Path) -> None:
    images = ros.listen(Image, "/image_raw")
    truth = ros.listen(Image, "/truth/class_ids")
    play(ros, images=folder(tmp_path, 3), fps=50.0, keep_stamps=True)
    ros.until(lambda: len(images) == 3)
    assert stamps(images) == [0, NS // 50, 2 * NS // 50]
    assert [image.data[0] for image in images] == [0, 10, 20]
    assert {image.header.frame_id for image in images} == {"camera_optical_frame"}
    assert truth == []


def test_loop_goes_on_with_rising_stamps(ros: Bench, tmp_path: Path) -> None:
    images = ros.listen(Image, "/image_raw")
    ros.add(SourceNode, images=folder(tmp_path, 2), fps=50.0, keep_stamps=True, loop=True)
    ros.until(lambda: len(images) >= 5)
    assert stamps(images)[:5] == [n * NS // 50 for n in range(5)]
    assert [image.data[0] for image in images[:5]] == [0, 10, 0, 10, 0]


def test_lossless_every_frame_comes_back_with_its_stamp_in_order(ros: Bench) -> None:
    masks = ros.listen(Image, "/segmentation/mask")
    ros.add(SegmentationNode, device="CPU", drop_policy="none")
    values = {"frames": 12, "fps": 1000.0, "drop_policy": "none", "keep_stamps": True, **SMALL}
    assert play(ros, **values).finished.result() == 0
    ros.until(lambda: len(masks) == 12)
    assert stamps(masks) == [n * NS // 1000 for n in range(12)]
    assert {(mask.width, mask.height) for mask in masks} == {(96, 64)}


def test_lossless_without_masks_ends_with_a_sentence(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_node, "MASK_TIMEOUT_S", 0.3)
    ros.listen(Image, "/image_raw")
    ros.do(lambda: ros.node.create_publisher(Image, "/segmentation/mask", 1))  # that never sends one
    node = play(ros, frames=1, drop_policy="none", **SMALL)
    assert node.finished.result() == 1
    ros.until(ros.errors)
    assert "no mask came back for 1 frames within 0.3 s; is segmentation_node running" in ros.errors()[0]


def test_process_ends_with_0_at_the_end_and_nothing_is_lost(tmp_path: Path) -> None:
    domain = free_domain()
    values = {"frames": 20, "fps": 200, **SMALL}
    with bench(domain) as ros:
        images = ros.listen(Image, "/image_raw")
        with Process("source_node", tmp_path / "log", domain, values) as process:
            assert process.end() == 0, process.output
            assert "finished: 20 frames sent" in process.output
            ros.until(lambda: len(images) == 20)
