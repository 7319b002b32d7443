"""Start segmentation and tracking: ros2 launch cmt_seg_ros seg.launch.py [video:=clip.mp4] ..."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from cmt_seg_ros.ros import launching
from cmt_seg_ros.ros.launch_arguments import SEG as ARGUMENTS  # `ros2 launch ... --show-args` lists them
from cmt_seg_ros.ros.launching import text


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
