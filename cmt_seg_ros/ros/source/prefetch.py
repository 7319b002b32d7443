"""Reading ahead, so that a slow frame now and then does not make a camera late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from cmt_seg_ros.structures import Frame


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
