"""Parameters of lifecycle nodes: their cameras, and whether they start by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cmt_seg_ros.config.fields import check, choice, flag, names, text


@dataclass(frozen=True)
class CameraList:
    """Names of the cameras of a node."""

    cameras: tuple[str, ...] = names(
        ("",),
        "names of the cameras; each has its own block of parameters <camera>.image_topic and so on, and results "
        "in its own namespace; [''] stands for one camera in the node's namespace, without a block",
        group="Cameras",
    )


@dataclass(frozen=True)
class CameraSettings:
    """Parameters of one camera; with a list of cameras ``<camera>.`` stands before their names.

    Attributes:
        name: "" for the only camera of a node without a ``cameras`` list.

    Raises:
        ConfigError: a value is not allowed.
    """

    name: str
    image_topic: str = text(
        "image_raw",
        "topic of the camera's images; of a listed camera <camera>/image_raw by default",
        if_empty="name the topic of the camera's images",
    )
    transport: str = choice(
        "raw",
        ("raw", "compressed"),
        "raw: sensor_msgs/Image on image_topic; compressed: sensor_msgs/CompressedImage on image_topic/compressed",
    )
    image_reliability: str = choice(
        "best_effort",
        ("best_effort", "reliable"),
        "QoS reliability asked of the camera; best_effort also receives from reliable cameras",
    )

    def __post_init__(self) -> None:
        check(self.name, self)

    def topic(self, result: str) -> str:
        """Return the name of a result topic: in the camera's namespace."""
        return f"{self.name}/{result}" if self.name else result


@dataclass(frozen=True)
class LifecycleSettings:
    """How a lifecycle node starts."""

    READ_WHEN: ClassVar = "read when the node starts"

    autostart: bool = flag(True, "configure and activate at start, without a command from outside", group="Start")
