"""Play a bag through the nodes in the bag's own time: ros2 launch cmt_seg_ros replay.launch.py bag:=my_bag ..."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown as ShutdownEvent
from launch.events.process import ProcessExited
from launch_ros.actions import Node

from cmt_seg_ros.ros import launching
from cmt_seg_ros.ros.launch_arguments import REPLAY as ARGUMENTS
from cmt_seg_ros.ros.launching import Parameters, text

CLIPS = ("bag", "video", "images")
DRAIN_S = 2.0  # after the last frame, for its results
STOP_S = "30"  # for the recorder to write what it has received


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start the nodes once their values are known."""
    return launching.description(ARGUMENTS, OpaqueFunction(function=_nodes))


def _nodes(context: LaunchContext) -> list[Node | RegisterEventHandler]:
    values = launching.values_of(context, ARGUMENTS)
    policy = text(drop_policy="none" if values["every_frame"] == "true" else "oldest")
    nodes = launching.Nodes(values, use_sim_time=True)
    started = nodes.perception(policy)
    if values["record"]:
        out = text(out=str(Path(values["record"]).expanduser()))
        # Without the overlay, which would be computed for the video alone: a replay also shows how fast the nodes are.
        started.append(nodes.node("recorder_node", out, {"video": False}, sigterm_timeout=STOP_S))
    source = nodes.node("source_node", _clip(values), policy, {"clock": True, "rate": _rate(values["rate"])})
    handlers = [OnProcessExit(target_action=node, on_exit=_fail) for node in started]
    handlers.append(OnProcessExit(target_action=source, on_exit=_end))
    return [*started, source, *map(RegisterEventHandler, handlers), *nodes.rviz()]


def _clip(values: dict[str, str]) -> Parameters:
    """Return the parameters of the one clip that is named.

    Raises:
        RuntimeError: none or several are, or it does not exist; launch prints it and ends.
    """
    named = {name: Path(values[name]).expanduser() for name in CLIPS if values[name]}
    if len(named) != 1:
        given = " and ".join(named) or "nothing"
        raise RuntimeError(f"{given} to play; name one of bag, video and images, e.g. bag:=my_bag")
    for name, path in named.items():
        if not path.exists():
            raise RuntimeError(f"{name} {path} does not exist")
    return text(bag_topic=values["topic"], **{name: str(path) for name, path in named.items()})


def _rate(rate: str) -> float:
    """Return the playing speed; source_node checks its range.

    Raises:
        RuntimeError: it is no number; launch prints it and ends.
    """
    try:
        return float(rate)
    except ValueError:
        raise RuntimeError(f"rate is {rate!r}; it must be a number, 1.0 for the clip's own speed") from None


def _fail(event: ProcessExited, context: LaunchContext) -> None:
    """End the launch as a node has ended.

    Raises:
        RuntimeError: it ended before the clip: the replay is incomplete without it; launch prints this and ends.
    """
    if not context.is_shutdown:
        raise RuntimeError(f"{event.process_name} ended with status {event.returncode}: the replay needs it")


def _end(event: ProcessExited, context: LaunchContext) -> list[TimerAction]:
    """End all nodes once the last results of the clip have come.

    Raises:
        RuntimeError: the clip could not be played to its end; launch prints it and ends.
    """
    if event.returncode and not context.is_shutdown:
        raise RuntimeError(f"source_node ended with status {event.returncode}: the clip was not played to its end")
    return [TimerAction(period=DRAIN_S, actions=[EmitEvent(event=ShutdownEvent(reason="the clip is over"))])]
