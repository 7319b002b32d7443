"""Which frames are inferred together: the newest of each camera, and what is lost is counted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.structures import Frame

LOSSLESS_CAPACITY = 4  # waiting frames of one camera before a lossless source is held back
RESTART_AFTER = 3  # so many frames in a row before the newest stamp: the source began again


class Batcher:
    """Hands frames from the threads that receive them to the one that infers.

    Args:
        max_batch_size: most frames in a batch; at most one of each camera.
        max_wait_s: how long the first frame of a batch may wait for other cameras' frames, seconds.
        lossless: False: a newer frame replaces a waiting one. True: :meth:`put` waits for room.
        on_drop: called as ``on_drop(frame, reason)`` for every frame that is given up.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        max_batch_size: int,
        max_wait_s: float,
        lossless: bool,
        on_drop: Callable[[Frame, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_batch_size, self._max_wait_s, self._lossless = max_batch_size, max_wait_s, lossless
        self._on_drop, self._clock = on_drop, clock
        # Cameras in the order of their turn: who was served goes to the end.
        self._waiting: OrderedDict[str, deque[Frame]] = OrderedDict()
        self._newest_ns: dict[str, int] = {}
        self._late: dict[str, int] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Leave a frame; in lossless mode waits while its camera's queue is full.

        Raises:
            FrameError: its stamp is not after the camera's newest one (reason ``out_of_order``).
        """
        with self._changed:
            self._check_order(frame)
            queue = self._waiting.setdefault(frame.camera, deque())
            if self._lossless:
                self._changed.wait_for(lambda: self._closed or len(queue) < LOSSLESS_CAPACITY)
            elif queue:
                self._on_drop(queue.popleft(), "newer_frame")
            if self._closed:
                self._on_drop(frame, "shutdown")
            else:
                queue.append(frame)
            self._changed.notify_all()

    def get(self, timeout_s: float) -> list[Frame]:
        """Wait for frames and return a batch; empty after ``timeout_s`` without one, or when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ready(), timeout_s)
            cameras = len(self._newest_ns)
            deadline = self._clock() + self._max_wait_s
            while self._ready() and self._ready() < min(cameras, self._max_batch_size) and not self._closed:
                left = deadline - self._clock()
                if left <= 0 or not self._changed.wait(left):
                    break
            batch = [self._take(c) for c in [c for c, q in self._waiting.items() if q][: self._max_batch_size]]
            self._changed.notify_all()
            return batch

    def close(self) -> None:
        """Give up what waits and let every waiting thread go."""
        with self._changed:
            self._closed = True
            for queue in self._waiting.values():
                while queue:
                    self._on_drop(queue.popleft(), "shutdown")
            self._changed.notify_all()

    def _ready(self) -> int:
        return sum(1 for queue in self._waiting.values() if queue)

    def _take(self, camera: str) -> Frame:
        self._waiting.move_to_end(camera)
        return self._waiting[camera].popleft()

    def _check_order(self, frame: Frame) -> None:
        newest = self._newest_ns.get(frame.camera)
        late = self._late.get(frame.camera, 0) + 1
        if newest is not None and frame.stamp_ns <= newest and late < RESTART_AFTER:
            self._late[frame.camera] = late
            raise FrameError(
                f"stamp {frame.stamp_ns} ns is {(newest - frame.stamp_ns) / 1e9:.3f} s before the newest one; "
                "stamps of a camera must increase "
                f"(after {RESTART_AFTER} such frames in a row the clock counts as restarted)",
                "out_of_order",
            )
        self._late[frame.camera] = 0
        self._newest_ns[frame.camera] = frame.stamp_ns
