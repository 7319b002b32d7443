"""One camera of the segmentation node: its topics, its counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.ros.common.statistics import CameraStatistics

DEFAULTS = {"transport": "raw", "image_reliability": "best_effort"}


@dataclass(frozen=True)
class CameraSettings:
    """Parameters of one camera.

    Attributes:
        name: "" for the only camera of a node without a ``cameras`` list.
        image_topic: topic of its images.
        transport: "raw" (sensor_msgs/Image) or "compressed" (CompressedImage on <image_topic>/compressed).
        image_reliability: "best_effort" or "reliable".
    """

    name: str
    image_topic: str
    transport: str
    image_reliability: str

    def topic(self, result: str) -> str:
        """Name of a result topic: in the camera's namespace."""
        return f"{self.name}/{result}" if self.name else result


@dataclass(eq=False)
class CameraInput:
    """What the node keeps of a camera while it runs.

    Attributes:
        settings: its parameters.
        statistics: its counts.
        info: the newest CameraInfo, if any came.
        last_taken_ns: stamp of the newest frame that was not above ``max_fps``.
        silent: it has been reported that no frames come.
    """

    settings: CameraSettings
    statistics: CameraStatistics = field(default_factory=CameraStatistics)
    info: CameraInfo | None = None
    last_taken_ns: int | None = None
    silent: bool = False

    @property
    def label(self) -> str:
        """Name for the log."""
        return self.settings.name or self.settings.image_topic


def declare_cameras(node: Node) -> None:
    """Declare ``cameras`` and the block of each camera (without a list: of the one camera).

    Raises:
        ConfigError: see :func:`camera_names`.
    """
    if not node.has_parameter("cameras"):
        node.declare_parameter("cameras", [""])
    for name in camera_names(node):
        prefix = f"{name}." if name else ""
        defaults = {"image_topic": f"{name}/image_raw" if name else "image_raw", **DEFAULTS}
        for key, default in defaults.items():
            if not node.has_parameter(prefix + key):
                node.declare_parameter(prefix + key, default)


def is_camera_parameter(name: str) -> bool:
    """True for ``cameras`` and what :func:`declare_cameras` declares for a camera."""
    return name == "cameras" or name.rpartition(".")[2] in ("image_topic", *DEFAULTS)


def camera_names(node: Node) -> list[str]:
    """The cameras listed; ``[""]`` stands for one camera in the node's own namespace.

    Raises:
        ConfigError: a name occurs twice or is not a valid topic part.
    """
    names = [n for n in node.get_parameter("cameras").value or [] if n]
    wrong = [n for n in names if not n.replace("_", "a").isalnum() or n[0].isdigit()]
    if wrong or len(set(names)) != len(names):
        raise ConfigError(f"cameras is {names}; each name must be of letters, digits and _ and occur once")
    return names or [""]


def load_cameras(node: Node) -> list[CameraSettings]:
    """Read the blocks, also of cameras that were added to the list after the node began.

    Raises:
        ConfigError: a transport or reliability is not one of those allowed, or a topic is empty.
    """
    declare_cameras(node)
    cameras = []
    for name in camera_names(node):
        prefix = f"{name}." if name else ""
        topic, transport, reliability = (
            str(node.get_parameter(f"{prefix}{key}").value) for key in ("image_topic", "transport", "image_reliability")
        )
        if transport not in ("raw", "compressed"):
            raise ConfigError(f"{prefix}transport is {transport!r}; allowed: 'raw', 'compressed'")
        if reliability not in ("best_effort", "reliable"):
            raise ConfigError(f"{prefix}image_reliability is {reliability!r}; allowed: 'best_effort', 'reliable'")
        if not topic:
            raise ConfigError(f"{prefix}image_topic is empty; name the topic of the camera's images")
        cameras.append(CameraSettings(name, topic, transport, reliability))
    return cameras
