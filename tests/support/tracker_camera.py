"""What tests of tracker_node share: masks of a car that drives, and a camera that publishes them."""

from __future__ import annotations

import numpy as np
from cmt_seg_ros.msg import ClassInfo, ClassMap, TrackArray
from rclpy.logging import LoggingSeverity
from sensor_msgs.msg import Image

from cmt_seg_ros.labels import CAMVID, LabelSet
from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.tracker.camera_tracking import CameraTracking
from cmt_seg_ros.ros.tracker_node import TrackerNode
from support.ros_harness import LATCHED, Bench, header

MS = 1_000_000
NODE = "/tracker_node"
STATUS = f"{NODE}: camera"
CAR, ROAD = 8, 3
SIDE, TOP = 40, 30  # of the square that moves, px
STEP_PX, STEP_MS = 4, 40  # 100 px/s to the right
SIZE = (120, 400)  # height, width


def masks(number: int, encoding: str = "mono8") -> tuple[Image, Image]:
    """Mask and objectness of frame 0, 1, ...: a car, a square, drives to the right."""
    ids = np.full(SIZE, ROAD, np.uint8)
    left = 20 + STEP_PX * number
    ids[TOP : TOP + SIDE, left : left + SIDE] = CAR
    head = header(1_000_000_000 + number * STEP_MS * MS)
    objectness = np.where(ids == CAR, 255, 0).astype(np.uint8)
    return image_from_array(ids, encoding, head), image_from_array(objectness, "mono8", head)


def empty(number: int) -> tuple[Image, Image]:
    """Masks of frame 0, 1, ... without the car."""
    head = header(1_000_000_000 + number * STEP_MS * MS)
    road, nothing = np.full(SIZE, ROAD, np.uint8), np.zeros(SIZE, np.uint8)
    return image_from_array(road, "mono8", head), image_from_array(nothing, "mono8", head)


class Camera:
    """What the tracker hears and says of one camera."""

    def __init__(self, ros: Bench, name: str = "", labels: LabelSet = CAMVID) -> None:
        self.ros, self.name = ros, name
        self.tracks: list[TrackArray] = ros.listen(TrackArray, f"{name}/tracking/tracks")
        self.publish_classes(labels)

    def publish_classes(self, labels: LabelSet) -> None:
        """Say what the numbers in the masks mean."""
        message = labels.to_class_map("test", header(0), ClassMap, ClassInfo)
        self.ros.publisher(ClassMap, f"{self.name}/segmentation/label_info", LATCHED).publish(message)

    def send(self, mask: Image | None, objectness: Image | None, mask_first: bool = False) -> None:
        """Publish the masks of one frame, or one of them."""
        pair = [("objectness", objectness), ("mask", mask)]
        for what, message in pair[::-1] if mask_first else pair:
            if message is not None:
                self.ros.send(f"{self.name}/segmentation/{what}", message)

    def track(self, number: int, mask_first: bool = False) -> TrackArray:
        """Send one frame and wait for its tracks."""
        before = len(self.tracks)
        self.send(*masks(number), mask_first)
        self.ros.until(lambda: len(self.tracks) > before, f"tracks of frame {number}")
        return self.tracks[-1]

    @property
    def tracking(self) -> CameraTracking:
        """What the tracker under test keeps of this camera."""
        (node,) = [n for n in self.ros.nodes if isinstance(n, TrackerNode)]
        return node._cameras[self.name.strip("/")]

    def ready(self) -> Camera:
        """Wait until the tracker knows the classes."""
        self.ros.until(lambda: self.tracking._session is not None, "the tracker knows the classes")
        return self


def warned(ros: Bench, words: str) -> bool:
    """Whether a warning with these words was logged."""
    return any(words in log.msg for log in ros.logs if log.level == LoggingSeverity.WARN)
