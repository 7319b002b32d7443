"""One camera of the segmentation node: its topics, its counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from cmt_seg_ros.config import CameraList, CameraSettings
from cmt_seg_ros.config.fields import parameters_of
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.ros.common import parameters
from cmt_seg_ros.ros.common.statistics import CameraStatistics


@dataclass(eq=False)
class CameraInput:
    """What the node keeps of a camera while it runs.

    Attributes:
        settings: its parameters.
        statistics: its counts.
        info: the newest CameraInfo, if any came.
        last_taken_ns: stamp of the newest frame that was not above ``max_fps``.
        wanted: which of ``graph.MASKS`` are needed for what somebody subscribes to.
        silent: it has been reported that no frames come.
    """

    settings: CameraSettings
    statistics: CameraStatistics = field(default_factory=CameraStatistics)
    info: CameraInfo | None = None
    last_taken_ns: int | None = None
    wanted: tuple[str, ...] = ()
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
    parameters.declare(node, CameraList)
    for name in camera_names(node):
        topic = {"image_topic": f"{name}/image_raw"} if name else {}
        parameters.declare(node, CameraSettings, _prefix(name), topic)


def is_camera_parameter(name: str) -> bool:
    """True for ``cameras`` and what :func:`declare_cameras` declares for a camera."""
    return name == "cameras" or name.rpartition(".")[2] in parameters_of(CameraSettings)


def camera_names(node: Node) -> list[str]:
    """The cameras listed; ``[""]`` stands for one camera in the node's own namespace.

    Raises:
        ConfigError: it is no list of names, or a name occurs twice or is not a valid topic part.
    """
    names = [name for name in parameters.load(node, CameraList).cameras if name]
    wrong = [n for n in names if not n.replace("_", "a").isalnum() or n[0].isdigit()]
    if wrong or len(set(names)) != len(names):
        raise ConfigError(f"cameras is {names}; each name must be of letters, digits and _ and occur once")
    return names or [""]


def load_cameras(node: Node) -> list[CameraSettings]:
    """Read the blocks, also of cameras that were added to the list after the node began.

    Raises:
        ConfigError: a value has the wrong type or is not allowed.
    """
    declare_cameras(node)
    return [parameters.load(node, CameraSettings, _prefix(name), name=name) for name in camera_names(node)]


def _prefix(camera: str) -> str:
    return f"{camera}." if camera else ""
