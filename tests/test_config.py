"""Values outside their range are refused with a sentence."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from typing import Any

import pytest
import yaml
from support import ROOT

from cmt_seg_ros.config import (
    NODE_PARAMETERS,
    CameraSettings,
    RecorderConfig,
    SegmentationConfig,
    SourceConfig,
    TrackerConfig,
)
from cmt_seg_ros.config.fields import ParameterSpec, changed, parameters_of, renames
from cmt_seg_ros.errors import ConfigError

CONFIGS = tuple(dict.fromkeys(config for configs in NODE_PARAMETERS.values() for config in configs))
EVERY = [(config, name, spec) for config in CONFIGS for name, spec in parameters_of(config).items()]
NUMBERS = [one for one in EVERY if type(one[2].default) in (int, float)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "int4"}, r"segmentation.precision is 'int4'; allowed: 'auto'"),
        ({"drop_policy": "newest"}, r"drop_policy is 'newest'; allowed: 'oldest', 'none'"),
        ({"max_batch_size": 0}, r"max_batch_size is 0; it must be a number from 1 to 64"),
        ({"object_threshold": float("nan")}, r"object_threshold is nan"),
        ({"top_k": 0}, r"top_k is 0; it must be a number from 1 to 255"),
        ({"smoothing": "median"}, r"smoothing is 'median'; allowed: 'none', 'regions', 'mode'"),
        ({"smoothing_area_fraction": 1.5}, r"smoothing_area_fraction is 1.5; it must be a number from 0 to 1"),
        ({"smoothing_window_px": 33}, r"smoothing_window_px is 33; it must be a number from 3 to 31"),
        ({"smoothing_window_px": 4}, r"smoothing_window_px is 4; it must be odd"),
        ({"device": " , "}, r"device is ' , '"),
        ({"model": ""}, r"model is empty"),
    ],
)
def test_segmentation(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SegmentationConfig(**values)  # type: ignore[arg-type]


def test_node_parameters_are_listed_with_their_defaults() -> None:
    path = ROOT / "config" / "segmentation.yaml"
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["/**"]["ros__parameters"]
    expected = {name: spec.default for name, spec in parameters_of(SegmentationConfig).items() if not spec.instead}
    assert {name: listed.get(name) for name in expected} == expected
    assert "top_k" not in listed


def test_tracker_parameters_are_listed_in_their_groups() -> None:
    text = (ROOT / "config" / "tracker.yaml").read_text(encoding="utf-8").split("# Defaults, ranges and units")[1]
    found = [a or b for a, b in re.findall(r"^    # (?:(\w+):  .*|([A-Z].*))$", text, re.MULTILINE)]
    expected = []
    for name, spec in parameters_of(TrackerConfig).items():
        expected += [spec.group] * bool(spec.group) + [name]
    assert found == expected


def test_device_chain_is_read_in_order() -> None:
    assert SegmentationConfig(device="npu, GPU,cpu").devices == ("NPU", "GPU", "CPU")


def test_source_takes_one_clip() -> None:
    with pytest.raises(ConfigError, match="source has video and bag; name at most one"):
        SourceConfig(video="a.mp4", bag="b")


@pytest.mark.parametrize("config", CONFIGS)
def test_every_field_is_declared_with_a_default_and_a_description(config: type) -> None:
    specs = parameters_of(config)
    assert [f.name for f in fields(config) if f.name not in specs] == ["name"] * (config is CameraSettings)
    for name, spec in specs.items():
        assert len(spec.description) > 5 and not spec.description.endswith("."), name
        assert "\n" not in spec.description and spec.type_name, name


@pytest.mark.parametrize(("config", "name", "spec"), NUMBERS, ids=[f"{c.__name__}.{n}" for c, n, _ in NUMBERS])
def test_every_number_has_a_range_and_is_refused_outside_it(config: Any, name: str, spec: ParameterSpec) -> None:
    assert spec.low is not None and spec.high is not None
    assert spec.low <= spec.default <= spec.high
    step = 1 if isinstance(spec.default, int) else 1e-9 * spec.high
    for value in (spec.low - step, spec.high + step, math.nan):
        with pytest.raises(ConfigError, match=rf"\.{name} is .*; it must be a number from {spec.low:g} to "):
            config(**{name: value})
    for value in (spec.low, spec.high):
        if name != "smoothing_window_px" or value % 2:
            assert getattr(config(**{name: value}), name) == value


def test_choices_and_empty_texts_are_refused_in_every_class() -> None:
    for config, name, spec in EVERY:
        if isinstance(spec.default, str) and (spec.choices or spec.if_empty):
            good, wrong = config("") if config is CameraSettings else config(), "nonsense" if spec.choices else " "
            with pytest.raises(ConfigError, match=rf"{name} is ('nonsense'; allowed|empty; )"):
                replace(good, **{name: wrong})


def test_a_camera_is_named_in_its_errors() -> None:
    with pytest.raises(ConfigError, match=r"^front\.transport is 'jpeg'; allowed: 'raw', 'compressed'$"):
        CameraSettings("front", transport="jpeg")
    with pytest.raises(ConfigError, match=r"^image_topic is empty; name the topic of the camera's images$"):
        CameraSettings("", image_topic="")


def test_recorder_names_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match=r"^recorder.topics has other, x; allowed: segmentation/mask, "):
        RecorderConfig(topics=("x", "", "other"))


def test_old_names_are_taken_with_a_warning() -> None:
    assert renames(TrackerConfig) == {"max_odd": "max_aspect_deviation", "waist": "max_constriction_ratio"}
    with pytest.warns(FutureWarning, match="parameter max_odd is called max_aspect_deviation since version 0.2"):
        config = TrackerConfig(max_odd=0.4)  # type: ignore[call-arg]
    assert changed(config) == {"max_aspect_deviation": 0.4}
    with pytest.raises(ConfigError, match="waist is the old name of max_constriction_ratio; give the new one only"):
        TrackerConfig(waist=0.4, max_constriction_ratio=0.5)  # type: ignore[call-arg]


def test_an_old_name_has_the_range_of_the_new_one() -> None:
    with pytest.warns(FutureWarning), pytest.raises(ConfigError, match=r"max_constriction_ratio is 2; it must"):
        TrackerConfig(waist=2)  # type: ignore[call-arg]
