"""What tests of segmentation_node share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_camera_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a frame may come seconds late; tests of silent cameras set a time of their own."""
    for module in ("segmentation.report", "common.diagnostics"):
        monkeypatch.setattr(f"cmt_seg_ros.ros.{module}.STALE_AFTER_S", 3600.0)
