"""LabelSet: what the numbers in a mask mean."""

from __future__ import annotations

import pytest

from cmt_seg_ros.bags.messages import message_types
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet


def test_camvid_objects_and_look_up_tables() -> None:
    assert [CAMVID.name_of(i) for i in CAMVID.object_ids] == ["Car", "Pedestrian", "Bicyclist"]
    assert CAMVID.is_object_lut[8] == 255 and CAMVID.is_object_lut[3] == 0 and CAMVID.is_object_lut[255] == 0
    assert tuple(CAMVID.bgr_lut[8]) == (128, 0, 64) and CAMVID.name_of(255) == "unlabelled"


def test_round_trip() -> None:
    assert LabelSet.from_list(CAMVID.to_list()) == CAMVID


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "must be 0, 1, 2"),
        ((LabelClass(1, "a", (0, 0, 0)),), "must be 0, 1, 2"),
        ((LabelClass(0, "a", (0, 0, 0)), LabelClass(1, "a", (0, 0, 0))), "each may occur once"),
        ((LabelClass(0, "a", (0, 0, 300)),), "three numbers in 0-255"),
        ((LabelClass(0, "", (0, 0, 0)),), "has 0 characters"),
        ((LabelClass(0, "a" * 101, (0, 0, 0)),), "has 101 characters; allowed: 1 to 100"),
    ],
)
def test_wrong_classes_are_refused(classes: tuple[LabelClass, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelSet(classes)


@pytest.mark.parametrize(
    "changes",
    [{"id": 0.0}, {"id": True}, {"id": "0"}, {"name": 5}, {"is_object": "false"}, {"is_object": 1}]
    + [{"color": color} for color in ([0, 0], [0, 0, 0.5], [0, 0, float("nan")], "abc", None)],
)
def test_values_of_another_type_are_refused_not_taken_for_something(changes: dict[str, object]) -> None:
    row = {"id": 0, "name": "a", "color": [0, 0, 0]}
    assert len(LabelSet.from_list([row])) == 1
    with pytest.raises(ConfigError, match="class entry"):
        LabelSet.from_list([{**row, **changes}])
    with pytest.raises(ConfigError, match="must be a list of entries"):
        LabelSet.from_list("abc")  # type: ignore[arg-type]


def test_a_class_map_of_any_library_and_back() -> None:
    types = message_types().types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 2), "lens")
    kinds = [types[f"cmt_seg_ros/msg/{name}"] for name in ("ClassMap", "ClassInfo")]
    message = CAMVID.to_class_map("some-model", header, *kinds)
    assert (message.model, message.ignore_id, message.header) == ("some-model", 255, header)
    assert LabelSet.from_class_map(message) == CAMVID
    message.classes.pop(3)
    with pytest.raises(ConfigError, match="class ids are"):
        LabelSet.from_class_map(message)
    needs = "ROS 2 is not installed: make test installs it"
    std_msgs, ours = (pytest.importorskip(name, reason=needs) for name in ("std_msgs.msg", "cmt_seg_ros.msg"))
    message = CAMVID.to_class_map("some-model", std_msgs.Header(frame_id="lens"), ours.ClassMap, ours.ClassInfo)
    assert (message.model, message.ignore_id, message.header.frame_id) == ("some-model", 255, "lens")
    assert LabelSet.from_class_map(message) == CAMVID
