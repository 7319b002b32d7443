"""Values of ROS parameters as the configuration wants them."""

from __future__ import annotations

import pytest

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.ros.common.parameters import convert


def test_number_is_taken_where_a_text_is_wanted() -> None:
    """``mono16_range: 12`` needs no quotation marks."""
    assert convert("mono16_range", 12, str) == "12"
    with pytest.raises(ConfigError, match="expected str"):
        convert("mono16_range", True, str)
