"""Launch helpers: what both launch files share; imports launch, launch_ros and small files of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from cmt_seg_ros.files import PACKAGE, shared
from cmt_seg_ros.ros.common.fastdds import profile_to_set
from cmt_seg_ros.ros.launch_arguments import Argument

Parameters = dict[str, ParameterValue]


def description(arguments: Sequence[Argument], function: OpaqueFunction) -> LaunchDescription:
    """Declare the arguments, so that ``--show-args`` lists them; call the function once their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, default, text, choices in arguments
    ]
    return LaunchDescription([*declared, *fastdds(), function])


def fastdds() -> list[SetEnvironmentVariable]:
    """Choose the shipped Fast DDS profile, unless the user has one."""
    return [SetEnvironmentVariable(name, value) for name, value in profile_to_set().items()]


def values_of(context: LaunchContext, arguments: Sequence[Argument]) -> dict[str, str]:
    """Return the values of the arguments."""
    return {name: LaunchConfiguration(name).perform(context) for name, *_ in arguments}


def text(**parameters: str) -> Parameters:
    """Return text parameters, empty ones left out; typed, as "0" or "true" would otherwise become another type."""
    return {name: ParameterValue(value, value_type=str) for name, value in parameters.items() if value}


class Nodes:
    """Factory of the nodes of this package, all in one namespace.

    Args:
        values: of the arguments namespace, params_file, model, device, use_tracking and use_rviz.
        use_sim_time: whether the nodes take the time from /clock.

    Raises:
        RuntimeError: params_file is no file; launch prints it and ends.
    """

    def __init__(self, values: Mapping[str, str], use_sim_time: bool) -> None:
        self._values = values
        self._time = {"use_sim_time": use_sim_time}
        self._common: list[Any] = [self._time]
        if values["params_file"]:
            file = Path(values["params_file"]).expanduser()
            if not file.is_file():  # launch_ros would warn and start with the defaults
                raise RuntimeError(f"params_file {file} is not a file; give a YAML file with parameters")
            self._common.insert(0, str(file))

    def node(self, executable: str, *parameters: Mapping[str, object], **options: Any) -> Node:
        """Return one node; later parameters override earlier ones, and those of params_file."""
        return Node(
            package=PACKAGE,
            executable=executable,
            name=executable,
            namespace=self._values["namespace"],
            parameters=[*self._common, *parameters],
            output="screen",
            **options,
        )

    def perception(self, *parameters: Parameters, image_topic: str = "", **options: Any) -> list[Node]:
        """Return segmentation_node with these parameters and, if wanted, tracker_node."""
        values, topic = self._values, text(image_topic=image_topic)
        model = text(model=values["model"], device=values["device"])
        nodes = [self.node("segmentation_node", model, topic, *parameters, **options)]
        if values["use_tracking"] == "true":
            nodes.append(self.node("tracker_node", topic, **options))
        return nodes

    def rviz(self) -> list[Node]:
        """Return RViz with the shipped layout, if wanted."""
        if self._values["use_rviz"] != "true":
            return []
        arguments = ["-d", str(shared("config/cmt_seg.rviz")[0])]
        return [
            Node(package="rviz2", executable="rviz2", arguments=arguments, parameters=[self._time], output="screen")
        ]
