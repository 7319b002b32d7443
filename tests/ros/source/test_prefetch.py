"""Reading ahead changes nothing but the time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.ros.source.clip_frames import prefetched
from cmt_seg_ros.structures import Frame


def clip(count: int, fail: bool = False) -> Iterator[Frame]:
    for k in range(count):
        yield Frame("c", k, np.zeros((4, 4, 3), np.uint8))
    if fail:
        raise SourceError("the disk is gone")


@pytest.mark.parametrize("count", [0, 1, 8, 20])
def test_same_frames_in_order(count: int) -> None:
    assert [f.stamp_ns for f in prefetched(clip(count), depth=8)] == list(range(count))


def test_error_comes_after_the_frames_before_it() -> None:
    frames = prefetched(clip(3, fail=True))
    assert [next(frames).stamp_ns for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SourceError, match="the disk is gone"):
        next(frames)
