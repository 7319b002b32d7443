"""What the running nodes declare, publish, subscribe to and offer is what docs/reference.md is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from support.foreign_models import instance_package
from support.ros_harness import Bench, bench

from cmt_seg_ros.config import NODE_PARAMETERS, SegmentationConfig
from cmt_seg_ros.config.fields import ParameterSpec, parameters_of, read_when
from cmt_seg_ros.config.topics import SERVICES, SUBSCRIPTIONS, TOPICS, Topic
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.ros.common import vision
from cmt_seg_ros.ros.recorder.topics import RECORDED_TYPES as RECORDED
from cmt_seg_ros.ros.recorder_node import RecorderNode
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.ros.source_node import SourceNode
from cmt_seg_ros.ros.tracker_node import TrackerNode

NAMESPACE = "/camera"
OF_ROS = ("use_sim_time", "start_type_description_service")
# With these the nodes have every topic.
STARTED: dict[str, tuple[Callable[..., Node], dict[str, object]]] = {
    "segmentation_node": (SegmentationNode, {"device": "CPU"}),
    "tracker_node": (TrackerNode, {"use_images": True}),
    "source_node": (SourceNode, {"scene_width": 96, "scene_height": 64, "clock": True, "drop_policy": "none"}),
    "recorder_node": (RecorderNode, {}),
}


@pytest.fixture
def ros() -> Iterator[Bench]:
    with bench() as made:
        yield made


def start(ros: Bench, name: str, tmp_path: Path, **more: object) -> Node:
    make, values = STARTED[name]
    if name == "recorder_node":
        more["out"] = str(tmp_path / "out")
    if name == "segmentation_node":
        more.setdefault("model", str(instance_package(tmp_path).folder))
    return ros.add(make, NAMESPACE, **values, **more)


def declared(name: str) -> dict[str, tuple[ParameterSpec, str]]:
    return {
        parameter: (spec, read_when(config))
        for config in NODE_PARAMETERS[name]
        for parameter, spec in parameters_of(config).items()
        if not spec.instead
    }


@pytest.mark.parametrize("name", STARTED)
def test_parameters(ros: Bench, tmp_path: Path, name: str) -> None:
    node = start(ros, name, tmp_path)
    expected = declared(name)
    found = {n for n in node._parameters if n not in OF_ROS and not n.startswith("qos_overrides")}
    assert found == set(expected)
    for parameter, (spec, otherwise) in expected.items():
        descriptor = node.describe_parameter(parameter)
        assert spec.description in descriptor.description and spec.unit in descriptor.description
        assert descriptor.description.endswith("changes at once" if spec.live else otherwise)
        assert descriptor.additional_constraints == spec.allowed
        if parameter not in (*STARTED[name][1], "out", "model"):
            value = node.get_parameter(parameter).value
            assert (tuple(value) if isinstance(value, list) else value) == spec.default


def listed(topics: tuple[Topic, ...], node: str) -> set[tuple[str, str, str]]:
    there = [t for t in topics if t.node == node and (not t.needs or vision.AVAILABLE)]
    return {(t.name if t.name.startswith("/") else f"{NAMESPACE}/{t.name}", t.type, t.qos) for t in there}


def ends(found: Any) -> set[tuple[str, str, str]]:
    own = ("/rosout", "/parameter_events", f"{NAMESPACE}/tracker_node/transition_event")
    own += (f"{NAMESPACE}/segmentation_node/transition_event",)
    return {
        (end.topic_name, f"{end.msg_type.__module__.split('.')[0]}/msg/{end.msg_type.__name__}", words(end.qos_profile))
        for end in found
        if end.topic_name not in own
    }


def words(profile: QoSProfile) -> str:
    said = ["reliable" if profile.reliability == ReliabilityPolicy.RELIABLE else "best effort"]
    said += ["latched"] * (profile.durability == DurabilityPolicy.TRANSIENT_LOCAL)
    said += ["keep all" if profile.history == HistoryPolicy.KEEP_ALL else f"keep last {profile.depth}"]
    return ", ".join(said)


def test_topics_and_services(ros: Bench, tmp_path: Path) -> None:
    nodes = {name: start(ros, name, tmp_path) for name in ("segmentation_node", "tracker_node", "source_node")}
    ros.until(lambda: any(p.topic_name == "/clock" for p in nodes["source_node"].publishers), "the clip's clock")
    for name, node in nodes.items():
        assert ends(list(node.publishers)) == listed(TOPICS, name)
        assert ends(list(node.subscriptions)) == listed(SUBSCRIPTIONS, name)
        found = dict(ros.node.get_service_names_and_types_by_node(name, NAMESPACE))
        own = {n: types[0] for n, types in found.items() if "parameter" not in n and "type_description" not in n}
        expected = {f"{NAMESPACE}/{name}/{n[2:]}": kind for n, kind, _ in SERVICES.get(name, ())}
        assert own == expected


def test_recorder_knows_the_types_of_what_it_records() -> None:
    types = {topic.name: topic.type for topic in TOPICS if topic.recordable}
    assert {name: topic.type_name for name, topic in RECORDED.items()} == types


def warnings(ros: Bench) -> list[str]:
    return [log.msg for log in ros.logs if log.level == 30]


def test_old_names_are_taken_and_told_once(ros: Bench, tmp_path: Path) -> None:
    node = start(ros, "tracker_node", tmp_path, max_odd=1, waist=0.7)
    assert node.get_parameter("max_aspect_deviation").value == 1
    assert node.get_parameter("max_constriction_ratio").value == 0.7
    assert not node.has_parameter("max_odd") and not node.has_parameter("waist")
    ros.until(lambda: len(warnings(ros)) == 2)
    assert warnings(ros)[0].startswith("parameter max_odd is called max_aspect_deviation since version 0.2")


def test_old_and_new_name_together_are_refused(ros: Bench, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_odd is the old name of max_aspect_deviation; give the new one only"):
        start(ros, "tracker_node", tmp_path, max_odd=0.4, max_aspect_deviation=0.6)


def test_wrong_value_under_an_old_name_is_refused(ros: Bench, tmp_path: Path) -> None:
    node = start(ros, "tracker_node", tmp_path, waist=2.0, autostart=False)
    assert not ros.transit(f"{NAMESPACE}/tracker_node", "configure")
    ros.until(lambda: ros.errors())
    assert "tracker.max_constriction_ratio is 2.0; it must be a number from 0 to 1" in ros.errors()[0]
    assert node.get_parameter("max_constriction_ratio").value == 2.0


def test_parameter_that_no_node_has_any_more_is_ignored_with_what_to_use(ros: Bench, tmp_path: Path) -> None:
    node = start(ros, "segmentation_node", tmp_path, top_k=3, autostart=False)
    assert not node.has_parameter("top_k")
    ros.until(lambda: warnings(ros))
    assert warnings(ros) == [f"parameter top_k is ignored: {parameters_of(SegmentationConfig)['top_k'].instead}"]


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("segmentation_node", {"cameras": "front"}, "parameter cameras is 'front' (str); expected a list of texts"),
        ("segmentation_node", {"autostart": 1}, "parameter autostart is 1 (int); expected bool"),
        (
            "recorder_node",
            {"topics": "tracking/tracks"},
            "parameter topics is 'tracking/tracks' (str); expected a list",
        ),
        ("source_node", {"keep_stamps": "no"}, "parameter keep_stamps is 'no' (str); expected bool"),
    ],
)
def test_wrong_type_is_refused_at_start(
    ros: Bench, tmp_path: Path, name: str, values: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        start(ros, name, tmp_path, **values)
    assert words in str(refused.value)
