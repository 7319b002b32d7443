"""Camera images that all measurements share."""

from __future__ import annotations

from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import U8


def pictures(width: int, height: int, count: int = 12) -> list[U8]:
    """Images of the synthetic street, one a second; each (height, width, 3) uint8 bgr8."""
    scene = StreetScene(width, height, fps=1.0, frames=count)
    return [scene.frame(k).pixels for k in range(count)]
