"""Arguments of the launch files as a plain table, which needs no ROS to be read."""

from __future__ import annotations

from typing import NamedTuple


class Argument(NamedTuple):
    """One launch argument.

    Attributes:
        name: as in ``name:=value``.
        default: its value unless given.
        description: what it does.
        choices: allowed values; None: any.
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...] | None = None


YES_NO = ("true", "false")
NAMESPACE = Argument("namespace", "camera", "namespace of all nodes and topics")
COMMON = (
    Argument("params_file", "", "YAML file with parameters of any of the nodes; empty: the defaults"),
    Argument("model", "", "name or folder of a model package; empty: as in params_file"),
    Argument("device", "", "OpenVINO devices in order of preference, e.g. NPU,GPU,CPU; empty: as in params_file"),
)
USE_TRACKING = Argument("use_tracking", "true", "start tracker_node", YES_NO)
USE_RVIZ = Argument("use_rviz", "false", "open RViz with the masks and overlays", YES_NO)

SEG = (
    NAMESPACE,
    *COMMON,
    Argument("input_image_topic", "", "topic of the camera's images; empty: as in params_file, image_raw"),
    Argument("video", "", "a video file, played as the camera; 'scene': the synthetic street; empty: a real camera"),
    USE_TRACKING,
    Argument("use_sim_time", "false", "take the time from /clock", YES_NO),
    USE_RVIZ,
)
"""Those of seg.launch.py."""

REPLAY = (
    Argument("bag", "", "rosbag2 folder, .mcap file or ROS 1 .bag to play; one of bag, video and images is needed"),
    Argument("video", "", "video file to play"),
    Argument("images", "", "folder of images to play, in natural order: 2.png before 10.png"),
    Argument("topic", "", "image topic of the bag; empty: the first camera's"),
    Argument("rate", "1.0", "playing speed, times the clip's own"),
    Argument("every_frame", "false", "drop nothing: wait for each mask, however long it takes", YES_NO),
    Argument("record", "", "folder for a recording of all results; empty: none"),
    NAMESPACE,
    *COMMON,
    USE_TRACKING,
    USE_RVIZ,
)
"""Those of replay.launch.py."""
