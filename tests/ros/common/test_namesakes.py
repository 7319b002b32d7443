"""Two nodes of one name: both say so, whichever was there first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from support.ros_harness import Bench, bench, free_domain

from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.ros.tracker_node import TrackerNode

Make = Callable[..., Node]


def warned(ros: Bench, name: str) -> list[str]:
    return [log.msg for log in ros.logs if log.name.endswith(name) and "1 more node(s) are called /" in log.msg]


@pytest.mark.parametrize(("make", "name"), [(SegmentationNode, "segmentation_node"), (TrackerNode, "tracker_node")])
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "the other first"])
def test_node_of_the_same_name_is_told(make: Make, name: str, ours_first: bool, tiny: str) -> None:
    values = {"device": "CPU", "model": tiny} if make is SegmentationNode else {}
    domain = free_domain()
    with bench(domain) as ros, bench(domain) as elsewhere:
        if ours_first:
            ros.add(make, **values)
            ros.until(lambda: ros.status(f"/{name}: camera"))
        other = elsewhere.add(lambda **kwargs: Node(name, start_parameter_services=False, **kwargs))
        if not ours_first:
            ros.until(lambda: name in ros.node.get_node_names())
            ros.add(make, **values)
        ros.until(lambda: f"more node(s) are called /{name}" in message(ros, name))
        assert len(warned(ros, name)) == 1, "the log says it once"
        elsewhere.remove(other)
        ros.until(lambda: "more node(s)" not in message(ros, name))


def message(ros: Bench, name: str) -> str:
    status = ros.status(f"/{name}: camera")
    if status is None:
        return ""
    assert "more node(s)" not in status.message or status.level == DiagnosticStatus.WARN
    return status.message
