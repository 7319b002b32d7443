"""Configuration of the recorder node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cmt_seg_ros.config.fields import check, choice, flag, names, text
from cmt_seg_ros.config.topics import TOPICS
from cmt_seg_ros.errors import ConfigError

RECORDABLE = tuple(dict.fromkeys(topic.name for topic in TOPICS if topic.recordable))
"""Results that the recorder node can record; names without a slash in front are relative to its namespace."""

RECORDING_FILES = ("bag", "arrivals.csv", "recording.json", "overlay.mp4")
"""What a recording consists of; nothing of these names is ever replaced."""


@dataclass(frozen=True)
class RecorderConfig:
    """What the recorder node writes. Masks that nobody else wants are computed for it.

    Raises:
        ConfigError: a value is not allowed, or nothing is to be recorded.
    """

    READ_WHEN: ClassVar = "read when the node starts"

    out: str = text("recording", "folder, made if missing; it must not hold a recording", if_empty="name a folder")
    topics: tuple[str, ...] = names(
        (
            *("segmentation/mask", "segmentation/objectness", "segmentation/label_info"),
            *("tracking/tracks", "tracking/instances", "truth/class_ids", "truth/instances", "/diagnostics"),
        ),
        "results to record; an empty string stands for nothing",
        choices=RECORDABLE,
    )
    input: bool = flag(False, "also record the camera: its images and the camera_info beside them")
    image_topic: str = text("image_raw", "topic of the camera's images", if_empty="name a topic")
    transport: str = choice(
        "raw",
        ("raw", "compressed"),
        "raw: sensor_msgs/Image on image_topic; compressed: sensor_msgs/CompressedImage on image_topic/compressed",
    )
    video: bool = flag(True, "also film the tracker's overlay, or the segmentation's where there is none: overlay.mp4")

    def __post_init__(self) -> None:
        check("recorder", self)
        if not (any(self.topics) or self.input or self.video):
            raise ConfigError("recorder: no topics, no input and no video: nothing is to be recorded; name some topics")
