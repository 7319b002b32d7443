"""The frames that the source node sends, with what they were in their clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cmt_seg_ros.ros.images import NS
from cmt_seg_ros.sources import Clip
from cmt_seg_ros.sources.prefetch import prefetched
from cmt_seg_ros.structures import Frame


@dataclass(frozen=True, eq=False)
class ClipFrame:
    """A frame to be sent.

    Attributes:
        index: of the frame in the clip, from 0.
        clip_stamp_ns: its stamp in the clip, ns; in a loop, that of ``frame`` goes on instead.
        frame: what is sent.
    """

    index: int
    clip_stamp_ns: int
    frame: Frame


def clip_frames(clip: Clip, loop: bool) -> Iterator[ClipFrame]:
    """The clip's frames, read ahead; when it loops, their stamps go on."""
    offset_ns, first_ns, last_ns = 0, None, 0
    while True:
        for index, frame in enumerate(prefetched(clip)):
            first_ns, last_ns = frame.stamp_ns if first_ns is None else first_ns, frame.stamp_ns
            moved = replace(frame, stamp_ns=frame.stamp_ns + offset_ns) if offset_ns else frame
            yield ClipFrame(index, frame.stamp_ns, moved)
        if not loop or first_ns is None:
            return
        offset_ns += last_ns - first_ns + round(NS / clip.fps)
