"""What tests of tracker_node share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.ros_harness import Bench
    from support.tracker_camera import Camera


@pytest.fixture
def camera(ros: Bench) -> Camera:
    """A tracker node and the camera that it tracks."""
    from support.tracker_camera import Camera

    from cmt_seg_ros.ros.tracker_node import TrackerNode

    ros.add(TrackerNode)
    return Camera(ros).ready()
