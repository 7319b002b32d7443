"""All nodes together in the time of a bag that another program plays in a loop, as `ros2 bag play --loop --clock`."""

from __future__ import annotations

from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from cmt_seg_ros.msg import TrackArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from support.ros_harness import bench, image, stamps

from cmt_seg_ros.evaluation.live.recording import Recording
from cmt_seg_ros.ros.recorder_node import RecorderNode
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.ros.tracker_node import TrackerNode

NS = 1_000_000_000
FRAMES = 6  # the tracker takes the third frame that goes back for a new round


@pytest.mark.usefixtures("no_camera_is_silent")
def test_nodes_survive_a_bag_that_begins_again(tmp_path: Path) -> None:
    with bench() as ros:
        node = ros.add(SegmentationNode, device="CPU", use_sim_time=True)
        ros.add(TrackerNode, use_sim_time=True)
        recorder = ros.add(RecorderNode, out=str(tmp_path), video=False, input=True, use_sim_time=True)
        masks, tracks = ros.listen(Image, "/segmentation/mask"), ros.listen(TrackArray, "/tracking/tracks")
        clock = ros.publisher(Clock, "/clock", matched=3)
        for played in range(2):
            for second in range(100, 100 + FRAMES):
                clock.publish(Clock(clock=Time(sec=second)))
                ros.until(lambda s=second: node.get_clock().now().nanoseconds == s * NS)
                ros.send("/image_raw", image(second * NS), matched=2)
                ros.until(lambda n=played * FRAMES + second - 99: len(masks) == n, "a mask of each frame")
        ros.until(lambda: stamps(tracks)[-1] == (99 + FRAMES) * NS and len(tracks) > FRAMES, "tracks of both rounds")
        ros.until(lambda: recorder._thread.count("/segmentation/mask").written == 2 * FRAMES)
        assert recorder._thread.count("/image_raw").written == 2 * FRAMES
        assert [error for error in ros.errors() if "the clock counts as restarted" not in error] == []
    assert stamps(masks) == [second * NS for second in range(100, 100 + FRAMES)] * 2
    assert len(list(Recording(tmp_path / "bag"))) >= FRAMES
