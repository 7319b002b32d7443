"""What became of one frame, whoever processed it: replay without ROS, or the live nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cmt_seg_ros.structures import U16, Frame, Segmentation, Track


@dataclass(frozen=True, eq=False)
class Result:
    """One frame of a clip and what was made of it.

    Attributes:
        index: number of the frame in its clip, from 0.
        frame: decoded, with its ground truth where there is some.
        segmentation: its masks; None if it was lost.
        tracks: the tracks of its time, of every state; None if it was not tracked.
        instances: (H, W) uint16, track id per pixel, 0 = none; None if it was not tracked.
        lost: why it has no masks, a short key such as ``out_of_order``; empty if it has.
        timing_ms: how long each stage took, ms, by name: ``read``, ``infer``, ``track``; live ``age``.
    """

    index: int
    frame: Frame
    segmentation: Segmentation | None = None
    tracks: Sequence[Track] | None = None
    instances: U16 | None = None
    lost: str = ""
    timing_ms: Mapping[str, float] = field(default_factory=dict)


def lost_result(index: int, camera: str, stamp_ns: int, reason: str) -> Result:
    """The result of a frame that could not be read.

    Args:
        index: its number.
        camera: its name.
        stamp_ns: nobody knows it: that of a frame beside it.
        reason: why there is none.
    """
    nothing = np.zeros((0, 0, 3), np.uint8)
    return Result(index, Frame(camera, stamp_ns, nothing, name=f"{index:06d}"), lost=reason)
