"""Start segmentation and tracking: ros2 launch cmt_seg_ros seg.launch.py [video:=clip.mp4] ..."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

# Name, default, description, allowed values. `ros2 launch cmt_seg_ros seg.launch.py --show-args` lists them.
ARGUMENTS = (
    ("namespace", "camera", "namespace of all nodes and topics", None),
    ("params_file", "", "YAML file with parameters of any of the nodes; empty: the defaults", None),
    ("model", "", "name or folder of a model package; empty: as in params_file", None),
    ("device", "", "OpenVINO devices in order of preference, e.g. NPU,GPU,CPU; empty: as in params_file", None),
    ("input_image_topic", "", "topic of the camera's images; empty: as in params_file, image_raw", None),
    ("video", "", "a video file, played as the camera; 'scene': the synthetic street; empty: a real camera", None),
    ("use_tracking", "true", "start tracker_node", ("true", "false")),
    ("use_sim_time", "false", "take the time from /clock", ("true", "false")),
    ("use_rviz", "false", "open RViz with the masks and overlays", ("true", "false")),
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start the nodes once their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, default, text, choices in ARGUMENTS
    ]
    return LaunchDescription([*declared, *_fastdds(), OpaqueFunction(function=_nodes)])


def _fastdds() -> list[SetEnvironmentVariable]:
    """The shipped profile, unless the user has one: the default one loses large images."""
    profile = str(Path(get_package_share_directory("cmt_seg_ros")) / "config" / "fastdds.xml")
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    if any(name in os.environ for name in names):
        return []
    old = os.environ.get("ROS_DISTRO", "") in ("humble", "iron", "jazzy")
    return [SetEnvironmentVariable(names[1] if old else names[0], profile)]


def _nodes(context: LaunchContext) -> list[Node]:
    values = {name: LaunchConfiguration(name).perform(context) for name, *_ in ARGUMENTS}
    common = [{"use_sim_time": values["use_sim_time"] == "true"}]
    if values["params_file"]:
        file = Path(values["params_file"]).expanduser()
        if not file.is_file():  # launch_ros would warn and start with the defaults
            raise RuntimeError(f"params_file {file} is not a file; give a YAML file with parameters")
        common.insert(0, str(file))

    def text(**parameters: str) -> dict[str, ParameterValue]:
        # Typed, as "0" or "true" would become a number or a boolean.
        return {name: ParameterValue(value, value_type=str) for name, value in parameters.items() if value}

    def node(executable: str, *parameters: dict[str, ParameterValue], **options: object) -> Node:
        return Node(
            package="cmt_seg_ros",
            executable=executable,
            name=executable,
            namespace=values["namespace"],
            parameters=[*common, *parameters],
            output="screen",
            **options,
        )

    topic = text(image_topic=values["input_image_topic"])
    nodes = [node("segmentation_node", text(model=values["model"], device=values["device"]), topic)]
    if values["use_tracking"] == "true":
        nodes.append(node("tracker_node", topic))
    if values["video"]:
        clip = {} if values["video"] == "scene" else text(video=str(Path(values["video"]).expanduser()))
        played_on = [("image_raw", values["input_image_topic"])] if values["input_image_topic"] else []
        nodes.append(node("source_node", clip, remappings=played_on))
    if values["use_rviz"] == "true":
        layout = Path(get_package_share_directory("cmt_seg_ros")) / "config" / "cmt_seg.rviz"
        nodes.append(Node(package="rviz2", executable="rviz2", arguments=["-d", str(layout)], output="screen"))
    return nodes
