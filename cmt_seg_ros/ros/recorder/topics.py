"""Topics that the recorder can record: their message classes and how they are subscribed."""

from __future__ import annotations

from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cmt_seg_ros.config import RecorderConfig
from cmt_seg_ros.msg import ClassMap, InstanceArray, Scene, TrackArray
from cmt_seg_ros.ros.common.cameras import camera_info_topic, image_source

DEPTH = 50


@dataclass(frozen=True)
class Topic:
    """How a topic is recorded.

    Attributes:
        message: class of its messages.
        latched: late subscribers are sent the last message.
        timed: its arrivals are listed in arrivals.csv.
        reliable: asked for; False where publishers may be best effort, as cameras are.
    """

    message: type
    latched: bool = False
    timed: bool = False
    reliable: bool = True

    @property
    def type_name(self) -> str:
        """As in ``sensor_msgs/msg/Image``."""
        return f"{self.message.__module__.split('.')[0]}/msg/{self.message.__name__}"

    @property
    def qos(self) -> QoSProfile:
        """Deep: what comes while the recorder is not scheduled must not be overwritten."""
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if self.reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if self.latched else DurabilityPolicy.VOLATILE,
        )


RECORDED_TYPES = {
    "segmentation/mask": Topic(Image, timed=True),
    "segmentation/objectness": Topic(Image),
    "segmentation/confidence": Topic(Image),
    "segmentation/label_info": Topic(ClassMap, latched=True),
    "segmentation/camera_info": Topic(CameraInfo),
    "segmentation/overlay": Topic(Image),
    "segmentation/overlay/compressed": Topic(CompressedImage),
    "segmentation/instances": Topic(Image),
    "segmentation/panoptic": Topic(Image),
    "segmentation/instance_info": Topic(InstanceArray),
    "segmentation/scene": Topic(Scene),
    "tracking/tracks": Topic(TrackArray, timed=True),
    "tracking/instances": Topic(Image),
    "tracking/overlay": Topic(Image),
    "truth/class_ids": Topic(Image),
    "truth/instances": Topic(Image),
    "/diagnostics": Topic(DiagnosticArray),
    "/clock": Topic(Clock, reliable=False),
}
"""Those of config.RECORDABLE."""


def wanted(config: RecorderConfig) -> dict[str, Topic]:
    """Return the topics that a configuration asks for, by name relative to the node's namespace."""
    topics = {name: RECORDED_TYPES[name] for name in config.topics if name}
    if config.input:
        kind, name = image_source(config.image_topic, config.transport)
        topics[name] = Topic(kind, timed=True, reliable=False)
        topics[camera_info_topic(config.image_topic)] = Topic(CameraInfo, reliable=False)
    return topics
