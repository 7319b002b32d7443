"""ClipFrame: frames of a clip in the order in which source_node sends them, read ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from cmt_seg_ros.ros.common.images import NS
from cmt_seg_ros.sources import Clip
from cmt_seg_ros.structures import Frame

MAX_STEP_S, MAX_STEP_PERIODS = 10.0, 10  # a step longer than both is not a pause but a bad stamp


@dataclass(frozen=True, eq=False)
class ClipFrame:
    """Frame to be sent.

    Attributes:
        index: of the frame among those of the clip that can be read, from 0.
        clip_stamp_ns: its stamp in the clip, ns; in a loop, the stamp of ``frame`` keeps increasing.
        frame: what is sent.
        step_ns: how long after the previous frame it is due in the time of the clip, ns; 0 for the first.
        jump_ns: the step between the stamps where it is implausible, ns; None: it is ``step_ns``.
    """

    index: int
    clip_stamp_ns: int
    frame: Frame
    step_ns: int
    jump_ns: int | None


def clip_frames(clip: Clip, loop: bool) -> Iterator[ClipFrame]:
    """Yield the frames of a clip; when it loops, their stamps keep increasing.

    A stamp of 0 becomes 1, as 0 means in ROS that there is none.
    Frames whose stamps do not increase, or jump, keep their stamps and are due one period after the previous frame.
    """
    offset_ns, before_ns, period_ns = 0, None, round(NS / clip.fps)
    while True:
        first_ns = None
        for index, frame in enumerate(prefetched(clip)):
            first_ns = frame.stamp_ns if first_ns is None else first_ns
            moved = replace(frame, stamp_ns=frame.stamp_ns + offset_ns or 1)
            said_ns = 0 if before_ns is None else moved.stamp_ns - before_ns
            good = before_ns is None or 0 < said_ns <= max(MAX_STEP_S * NS, MAX_STEP_PERIODS * period_ns)
            yield ClipFrame(index, frame.stamp_ns, moved, said_ns if good else period_ns, None if good else said_ns)
            before_ns = moved.stamp_ns
        if not loop or first_ns is None or before_ns is None:
            return
        offset_ns = before_ns + period_ns - first_ns


def prefetched(frames: Iterable[Frame], depth: int = 8) -> Iterator[Frame]:
    """Yield the same frames, up to ``depth`` of them read ahead in a thread.

    Errors of the source are raised where the frame would have come.
    """
    iterator = iter(frames)
    with ThreadPoolExecutor(1, "reader") as reader:
        ahead = deque(reader.submit(next, iterator, None) for _ in range(depth))
        while (frame := ahead.popleft().result()) is not None:
            ahead.append(reader.submit(next, iterator, None))
            yield frame
