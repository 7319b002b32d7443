"""LabelSet: what the numbers in a mask mean."""

from __future__ import annotations

import pytest

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
    ],
)
def test_wrong_classes_are_refused(classes: tuple[LabelClass, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelSet(classes)
