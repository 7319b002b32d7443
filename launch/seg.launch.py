"""Start segmentation and tracking: ros2 launch cmt_seg_ros seg.launch.py [video:=clip.mp4] ..."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from cmt_seg_ros.ros import launching
from cmt_seg_ros.ros.launching import text

# `ros2 launch cmt_seg_ros seg.launch.py --show-args` lists them.
ARGUMENTS = (
    launching.NAMESPACE,
    launching.PARAMS_FILE,
    launching.MODEL,
    launching.DEVICE,
    ("input_image_topic", "", "topic of the camera's images; empty: as in params_file, image_raw", None),
    ("video", "", "a video file, played as the camera; 'scene': the synthetic street; empty: a real camera", None),
    launching.USE_TRACKING,
    ("use_sim_time", "false", "take the time from /clock", launching.YES_NO),
    launching.USE_RVIZ,
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start the nodes once their values are known."""
    return launching.description(ARGUMENTS, OpaqueFunction(function=_nodes))


def _nodes(context: LaunchContext) -> list[Node]:
    values = launching.values_of(context, ARGUMENTS)
    nodes = launching.Nodes(values, values["use_sim_time"] == "true")
    started = nodes.perception(image_topic=values["input_image_topic"])
    if values["video"]:
        clip = {} if values["video"] == "scene" else text(video=str(Path(values["video"]).expanduser()))
        played_on = [("image_raw", values["input_image_topic"])] if values["input_image_topic"] else []
        started.append(nodes.node("source_node", clip, remappings=played_on))
    return [*started, *nodes.rviz()]
