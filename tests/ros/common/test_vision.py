"""vision_msgs beside our own messages, where that package is installed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")
pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed; it comes with a ROS distribution")

from std_msgs.msg import Header
from support.ros_harness import bench
from support.tracker_camera import SIDE, TOP, Camera, empty, masks

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.ros.common import qos, vision
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.ros.tracker_node import TrackerNode
from cmt_seg_ros.structures import Segment, Track, TrackState

SEGMENT = Segment(8, (10.0, 20.0, 20.0, 40.0), (14.5, 29.5), 200.0, 0.5, np.ones((20, 10), np.uint8))


def test_confirmed_tracks_become_detections() -> None:
    seen = Track(7, 8, (10.0, 20.0, 20.0, 40.0), (0.0, 0.0), 0.5, TrackState.CONFIRMED, 1.0, 0.0, SEGMENT)
    hidden, lost = (
        Track(number, 9, (0.0, 0.0, 5.0, 5.0), (0.0, 0.0), 0.5, state, 1.0, 0.3)
        for number, state in ((8, TrackState.OCCLUDED), (9, TrackState.LOST))
    )
    header = Header(frame_id="front")
    found = vision.detections([seen, hidden, lost], CAMVID, header).detections
    assert [d.id for d in found] == ["7"] and found[0].header == header
    assert (found[0].bbox.center.position.x, found[0].bbox.center.position.y) == (15.0, 30.0)
    assert (found[0].bbox.size_x, found[0].bbox.size_y) == (10.0, 20.0)
    assert found[0].results[0].hypothesis.class_id == "Car" and found[0].results[0].hypothesis.score == 0.5


def test_nodes_offer_the_topics() -> None:
    with bench() as ros:
        ros.add(SegmentationNode, "front")
        ros.add(TrackerNode, "front")
        info = ros.listen(vision.LabelInfo, "/front/segmentation/vision_info", qos.LATCHED)
        ros.until(lambda: info, "vision_info")
        assert [(c.class_id, c.class_name) for c in info[0].class_map][8] == (8, "Car")
        assert ros.do(lambda: ros.node.count_publishers("/front/tracking/detections")) == 1


def test_the_tracker_publishes_what_it_sees() -> None:
    with bench() as ros:
        ros.add(TrackerNode, min_hits=2, max_lost_s=0.05)
        arrays = ros.listen(vision.Detection2DArray, "/tracking/detections")
        camera = Camera(ros).ready()
        for number in range(6):
            camera.send(*(masks if number < 3 else empty)(number))
            ros.until(lambda: len(camera.tracks) == len(arrays) == number + 1)  # noqa: B023
        assert [len(message.detections) for message in arrays] == [0, 1, 1, 0, 0, 0], "tentative and lost are not"
        assert [message.header for message in arrays] == [message.header for message in camera.tracks]
        found = arrays[2].detections[0]
        assert (found.bbox.center.position.y, found.bbox.size_x) == (TOP + SIDE / 2, SIDE)
