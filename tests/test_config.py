"""Values outside their range are refused with a sentence."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import yaml
from support import ROOT

from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.errors import ConfigError


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
    listed = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    assert {name: listed.get(name) for name in asdict(SegmentationConfig())} == asdict(SegmentationConfig())


def test_device_chain_is_read_in_order() -> None:
    assert SegmentationConfig(device="npu, GPU,cpu").devices == ("NPU", "GPU", "CPU")


def test_source_takes_one_clip() -> None:
    with pytest.raises(ConfigError, match="source has video and bag; name at most one"):
        SourceConfig(video="a.mp4", bag="b")
