"""What goes wrong on a robot, and that segmentation_node goes on by itself afterwards."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Empty
from support.ros_harness import Bench, Process, array, bench, free_domain, image, stamps

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources import ImageFolderSource
from cmt_seg_ros.street import StreetScene

MS = 1_000_000
NODE = "/segmentation_node"
# Subscribes to the masks, never to read one: it is stopped as soon as it is connected.
DEAF = """
import rclpy
from rclpy.qos import QoSProfile, HistoryPolicy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("deaf")
everything = QoSProfile(history=HistoryPolicy.KEEP_ALL, depth=0)
node.create_subscription(Image, "/segmentation/mask", lambda m: None, everything)
rclpy.spin(node)
"""

# A camera of 1920x1080, best effort: sends a frame whenever it is told to.
LARGE = """
import time
import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Empty, Header
from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.common.process import prepare_process
prepare_process()
rclpy.init()
node = rclpy.create_node("camera")
qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
publisher = node.create_publisher(Image, "/large", qos)
while publisher.get_subscription_count() == 0:
    time.sleep(0.02)
message = image_from_array(np.zeros((1080, 1920, 3), np.uint8), "bgr8", Header())
node.create_subscription(Empty, "/send", lambda _: publisher.publish(message), 100)
print("ready", flush=True)
rclpy.spin(node)
"""


@contextmanager
def camera(ros: Bench, hz: float = 50.0) -> Iterator[None]:
    """A camera that sends until the end of the block, with stamps of now."""
    publisher = ros.publisher(Image, "/image_raw")
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(1 / hz):
            publisher.publish(image(time.time_ns()))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait_for_new(ros: Bench, masks: list[Image], count: int) -> None:
    """Wait until so many more masks came."""
    until = len(masks) + count
    ros.until(lambda: len(masks) >= until)


def test_burst_is_counted_and_the_newest_comes_out(ros: Bench, tiny: str) -> None:
    cameras = ["front", "left", "right", "rear"]
    node = ros.add(SegmentationNode, device="CPU", model=tiny, cameras=cameras)
    masks = {name: ros.listen(Image, f"/{name}/segmentation/mask") for name in cameras}
    publishers = {name: ros.publisher(Image, f"/{name}/image_raw") for name in cameras}
    for stamp in range(1, 301):
        for publisher in publishers.values():
            publisher.publish(image(stamp * MS))
    for name in cameras:
        ros.until(lambda: masks[name] and stamps(masks[name])[-1] == 300 * MS, f"the newest of {name}")  # noqa: B023
        assert stamps(masks[name]) == sorted(set(stamps(masks[name])))
        received, inferred, dropped = node._cameras[name].statistics.counts()
        assert received == inferred + sum(dropped.values()) and inferred == len(masks[name])
        assert set(dropped) <= {"newer_frame"}


@pytest.mark.slow
def test_stalled_node_goes_on_with_fresh_frames(tiny: str, tmp_path: Path) -> None:
    domain = free_domain()
    with bench(domain) as ros:
        masks = ros.listen(Image, "/segmentation/mask")
        with Process("segmentation_node", tmp_path / "node", domain, {"model": tiny, "device": "CPU"}) as node:
            node.wait_for("ready")
            with camera(ros):
                wait_for_new(ros, masks, 5)
                node.popen.send_signal(signal.SIGSTOP)
                time.sleep(2.0)  # the stall itself
                before, continued_ns = len(masks), time.time_ns()
                node.popen.send_signal(signal.SIGCONT)
                ros.until(lambda: sum(stamp > continued_ns for stamp in stamps(masks[before:])) >= 10)
    old = [stamp for stamp in stamps(masks[before:]) if stamp < continued_ns]
    assert len(old) <= 10, "what waited in queues came out late"


def test_camera_unplugged_and_back_is_followed(ros: Bench, tiny: str) -> None:
    ros.add(SegmentationNode, device="CPU", model=tiny)
    masks = ros.listen(Image, "/segmentation/mask")
    for _ in range(3):
        with camera(ros):
            wait_for_new(ros, masks, 3)
        publisher = ros._publishers.pop((Image, "/image_raw"))
        ros.do(lambda publisher=publisher: ros.node.destroy_publisher(publisher))
    assert ros.errors() == []


def test_simulated_time_that_begins_again_is_followed_at_once(ros: Bench, tiny: str) -> None:
    node = ros.add(SegmentationNode, device="CPU", model=tiny, use_sim_time=True)
    masks = ros.listen(Image, "/segmentation/mask")

    def at(seconds: int) -> None:
        ros.send("/clock", Clock(clock=Time(sec=seconds)))
        ros.until(lambda: node.get_clock().now().nanoseconds == seconds * 1_000 * MS)

    for done, seconds in enumerate((100, 101, 5, 6, 7), start=1):
        at(seconds)
        ros.send("/image_raw", image((seconds * 1_000 - 20) * MS))
        ros.until(lambda: len(masks) == done)  # noqa: B023
    assert any("clock set by -96.000 s" in log.msg for log in ros.logs)
    reported = len(ros.diagnostics) + 1
    ros.until(lambda: len(ros.diagnostics) > reported)
    status = ros.status(f"{NODE}: camera")
    assert status is not None
    values = {v.key: v.value for v in status.values}
    assert values["dropped"] == "0" and float(values["age_max_ms"]) == pytest.approx(20.0)


@pytest.mark.slow
def test_subscriber_that_never_reads_holds_nobody_up(tiny: str, tmp_path: Path) -> None:
    domain = free_domain()
    with bench(domain) as ros:
        masks = ros.listen(Image, "/segmentation/mask")
        with (
            Process("segmentation_node", tmp_path / "node", domain, {"model": tiny, "device": "CPU"}) as node,
            Process([sys.executable, "-c", DEAF], tmp_path / "deaf", domain) as deaf,
        ):
            node.wait_for("ready")
            ros.until(lambda: ros.node.count_subscribers("/segmentation/mask") == 2)
            with camera(ros):
                wait_for_new(ros, masks, 5)
                deaf.popen.send_signal(signal.SIGSTOP)
                deaf_ns = time.time_ns()
                # More than any queue holds; all of them sent since.
                ros.until(lambda: sum(stamp > deaf_ns for stamp in stamps(masks)) >= 250)
            deaf.popen.send_signal(signal.SIGCONT)
    assert stamps(masks) == sorted(stamps(masks))


def test_too_old_frames_are_dropped_and_said(ros: Bench, tiny: str) -> None:
    ros.add(SegmentationNode, device="CPU", model=tiny, max_age_ms=10_000.0)
    masks = ros.listen(Image, "/segmentation/mask")
    ros.send("/image_raw", image(time.time_ns() - 60_000 * MS))
    ros.until(lambda: ros.counts(f"{NODE}: camera").get("dropped.too_old") == 1)
    ros.send("/image_raw", image(time.time_ns()))
    ros.until(lambda: masks)
    assert len(masks) == 1
    assert any("a frame is 60" in log.msg and "max_age_ms allows 10000" in log.msg for log in ros.logs)


@pytest.mark.slow
def test_shipped_profile_carries_1080p_without_loss(tmp_path: Path) -> None:
    domain = free_domain()
    with bench(domain) as ros:
        best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        received = ros.listen(Image, "/large", best_effort)
        with Process([sys.executable, "-c", LARGE], tmp_path / "camera", domain) as sender:
            sender.wait_for("ready")
            ros.until(lambda: next(s for s in ros.node.subscriptions if s.topic_name == "/large").get_publisher_count())
            for sent in range(60):
                ros.send("/send", Empty())
                ros.until(lambda: len(received) >= sent - 1, f"frame {sent - 1} of those sent")  # noqa: B023
            ros.until(lambda: len(received) == 60, "the last frames")
    assert [message.height for message in received] == [1080] * 60


@pytest.mark.slow
def test_a_thousand_frames_replayed_twice_and_offline_are_the_same_bits(tiny: str, tmp_path: Path) -> None:
    folder, count = tmp_path / "images", 1000
    folder.mkdir()
    scene = StreetScene(160, 96, frames=40)
    for k in range(count):
        path = folder / f"{k:04d}.png"
        if k < 40:
            cv2.imwrite(str(path), scene.frame(k).pixels)
        else:
            path.hardlink_to(folder / f"{k % 40:04d}.png")
    pipeline = Pipeline(SegmentationConfig(tiny, "CPU"))
    offline = [pipeline.process([frame])[0] for frame in ImageFolderSource(folder, 15)]
    played = {"images": str(folder), "keep_stamps": True, "drop_policy": "none"}
    node = {"model": tiny, "device": "CPU", "drop_policy": "none", "num_requests": 2}
    for run in range(2):
        domain = free_domain()
        with bench(domain) as ros:
            results = {name: ros.listen(Image, f"/segmentation/{name}") for name in ("mask", "objectness")}
            segmenting = Process("segmentation_node", tmp_path / f"node{run}", domain, node)
            with segmenting, Process("source_node", tmp_path / f"source{run}", domain, played) as source:
                assert source.end() == 0, source.output
                ros.until(lambda: all(len(messages) == count for messages in results.values()))  # noqa: B023
        for name, field in (("mask", "class_ids"), ("objectness", "objectness")):
            assert stamps(results[name]) == sorted(set(stamps(results[name])))
            for k, message in enumerate(results[name]):
                np.testing.assert_array_equal(array(message), getattr(offline[k], field))
