"""What tests of nodes share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.ros_harness import Bench


@pytest.fixture
def ros(no_camera_is_silent: None) -> Iterator[Bench]:
    """A bench whose nodes hear each other and nothing else."""
    from support.ros_harness import bench

    with bench() as made:
        yield made


@pytest.fixture
def no_camera_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a frame may come seconds late; tests of silent cameras set a time of their own."""
    import support.ros_harness  # noqa: F401 - skips the test where ROS is missing

    for module in ("segmentation.report", "common.diagnostics", "common.statistics"):
        monkeypatch.setattr(f"cmt_seg_ros.ros.{module}.STALE_AFTER_S", 3600.0)
