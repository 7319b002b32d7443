"""Values outside their range are refused with a sentence."""

from __future__ import annotations

import pytest

from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "int4"}, r"segmentation.precision is 'int4'; allowed: 'auto'"),
        ({"drop_policy": "newest"}, r"drop_policy is 'newest'; allowed: 'oldest', 'none'"),
        ({"max_batch_size": 0}, r"max_batch_size is 0; it must be a number from 1 to 64"),
        ({"object_threshold": float("nan")}, r"object_threshold is nan"),
        ({"device": " , "}, r"device is ' , '"),
        ({"model": ""}, r"model is empty"),
    ],
)
def test_segmentation(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SegmentationConfig(**values)  # type: ignore[arg-type]


def test_device_chain_is_read_in_order() -> None:
    assert SegmentationConfig(device="npu, GPU,cpu").devices == ("NPU", "GPU", "CPU")


def test_source_takes_one_clip() -> None:
    with pytest.raises(ConfigError, match="source has video and bag; name at most one"):
        SourceConfig(video="a.mp4", bag="b")
