"""tracker_node and segmentation/instances: used from the first on, waited for or not as use_instances says."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image
from support.ros_harness import Bench
from support.tracker_camera import CAR, SIDE, STATUS, STEP_PX, TOP, Camera, masks, warned

from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.tracker_node import TrackerNode

TOPIC = "/segmentation/instances"


def halves(number: int, encoding: str = "mono16") -> Image:
    """The car of a frame as two instances, left and right."""
    mask = masks(number)[0]
    ids = np.zeros((mask.height, mask.width), np.uint16)
    left = 20 + STEP_PX * number
    ids[TOP : TOP + SIDE, left : left + SIDE // 2] = 2 if number % 2 else 40_000
    ids[TOP : TOP + SIDE, left + SIDE // 2 : left + SIDE] = 1
    return image_from_array(ids.astype(np.uint8) if encoding == "mono8" else ids, encoding, mask.header)


def begin(ros: Bench, use_instances: str) -> Camera:
    ros.add(TrackerNode, use_instances=use_instances)
    return Camera(ros).ready()


@pytest.mark.parametrize("use_instances", ["auto", "always"])
def test_instances_are_tracked_one_by_one(ros: Bench, use_instances: str) -> None:
    camera = begin(ros, use_instances)
    first = 0
    if use_instances == "auto":
        assert len(camera.track(0).tracks) == 1  # nobody publishes instances yet
        first = 1
    for number in range(first, 8):
        ros.send(TOPIC, halves(number))
        message = camera.track(number)
    assert sorted(t.class_id for t in message.tracks if t.state == t.CONFIRMED) == [CAR, CAR]
    widths = [t.width_px for t in message.tracks if t.state == t.CONFIRMED]
    assert widths == pytest.approx([SIDE / 2, SIDE / 2], abs=2)


def test_never_means_components(ros: Bench) -> None:
    camera = begin(ros, "never")
    for number in range(6):
        message = camera.track(number)
    assert len(message.tracks) == 1 and not ros.do(lambda: ros.node.count_subscribers(TOPIC))


def test_a_publisher_that_goes_away_is_not_waited_for(ros: Bench) -> None:
    camera = begin(ros, "auto")
    ros.send(TOPIC, halves(0))
    camera.track(0)
    publisher = ros.publisher(Image, TOPIC)
    ros.do(lambda: ros.node.destroy_publisher(publisher))
    number = 0

    def tracked() -> bool:
        nonlocal number
        number += 1
        if len(camera.tracks) < 2:
            camera.send(*masks(number))
        return len(camera.tracks) >= 2

    ros.until(tracked, "tracks without instances")


def test_instances_that_are_none_are_said_and_always_waits(ros: Bench) -> None:
    camera = begin(ros, "always")
    camera.send(*masks(0))
    ros.until(lambda: warned(ros, f"masks wait for instances: nobody publishes {TOPIC}"))
    assert not camera.tracks
    ros.send(TOPIC, halves(1, "mono8"))
    camera.send(*masks(1))
    ros.until(lambda: ros.counts(STATUS).get("dropped.bad_encoding") == 1)
    ros.send(TOPIC, halves(2))
    camera.track(2)
