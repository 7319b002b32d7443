"""Which frames are inferred together: the newest of each camera, and what is lost is counted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cmt_seg_ros.stamps import StampOrder
from cmt_seg_ros.structures import Frame

LOSSLESS_CAPACITY = 4  # waiting frames of one camera before a lossless source is held back
GONE_AFTER_S = 1.0  # a camera silent for longer is not waited for


@dataclass(eq=False)
class Batch:
    """Frames of different cameras, and the batches whose results must be out before theirs."""

    frames: list[Frame]
    _before: list[threading.Event]
    _done: threading.Event

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Wait until earlier frames of the same cameras are through; later ones wait for this block."""
        for earlier in self._before:
            earlier.wait()
        try:
            yield
        finally:
            self._done.set()


class Batcher:
    """Hands frames from the threads that receive them to those that infer.

    Args:
        max_batch_size: most frames in a batch; at most one of each camera.
        max_wait_s: how long the first frame of a batch may wait for other cameras' frames, seconds.
        lossless: False: a newer frame replaces a waiting one. True: :meth:`put` waits for room, and each frame
            is a batch, so that results do not depend on which frames happened to meet.
        on_drop: called as ``on_drop(frame, reason)`` for every frame that is given up.
        clock: monotonic seconds.
        is_late: live: says of a frame whether it is too old to be inferred (reason ``too_old``).
        is_ready: says of a frame whether it can be inferred now; it waits, or is replaced, until then.
    """

    def __init__(
        self,
        max_batch_size: int,
        max_wait_s: float,
        lossless: bool,
        on_drop: Callable[[Frame, str], None],
        clock: Callable[[], float] = time.monotonic,
        is_late: Callable[[Frame], bool] = lambda frame: False,
        is_ready: Callable[[Frame], bool] = lambda frame: True,
    ) -> None:
        self._max_batch_size, self._max_wait_s = 1 if lossless else max_batch_size, max_wait_s
        self._lossless, self._on_drop, self._clock = lossless, on_drop, clock
        self._is_late, self._is_ready = is_late, is_ready
        # Cameras in the order of their turn: who was served goes to the end.
        self._waiting: OrderedDict[str, deque[Frame]] = OrderedDict()
        self._heard_s: dict[str, float] = {}
        self._orders: defaultdict[str, StampOrder] = defaultdict(StampOrder)
        self._last: dict[str, threading.Event] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Leave a frame; in lossless mode waits while its camera's queue is full.

        Raises:
            FrameError: its stamp is not after the camera's newest one (reason ``out_of_order``).
        """
        with self._changed:
            self._orders[frame.camera].accept(frame.stamp_ns)
            self._heard_s[frame.camera] = self._clock()
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

    def skip(self, frame: Frame) -> None:
        """Record the stamp of a frame that need not be inferred, as :meth:`put` would.

        Raises:
            FrameError: as :meth:`put`.
        """
        with self._changed:
            self._orders[frame.camera].accept(frame.stamp_ns)

    def get(self, timeout_s: float) -> Batch | None:
        """Wait for frames and return a batch; None after ``timeout_s`` without any, or when closed."""
        with self._changed:
            # What is not ready now is looked at again at the next call: nothing tells when that changes.
            self._changed.wait_for(lambda: self._closed or self._ready(), timeout_s)
            if self._max_batch_size > 1:
                self._wait_for_others()
            frames = self._take()
            self._changed.notify_all()
            if not frames:
                return None
            done, cameras = threading.Event(), [frame.camera for frame in frames]
            before = [self._last[camera] for camera in cameras if camera in self._last]
            self._last.update(dict.fromkeys(cameras, done))
            return Batch(frames, before, done)

    def restart(self) -> None:
        """The clock was set: stamps may go back."""
        with self._changed:
            self._orders.clear()

    def close(self) -> None:
        """Give up what waits and let every waiting thread go."""
        with self._changed:
            self._closed = True
            for queue in self._waiting.values():
                while queue:
                    self._on_drop(queue.popleft(), "shutdown")
            self._changed.notify_all()

    def _wait_for_others(self) -> None:
        """Give other cameras time to fill the batch."""
        deadline = self._clock() + self._max_wait_s
        while 0 < len(self._ready()) < min(self._max_batch_size, self._cameras()) and not self._closed:
            left = deadline - self._clock()
            if left <= 0 or not self._changed.wait(left):
                break

    def _ready(self) -> list[str]:
        """Cameras with a frame that can be inferred, in the order of their turn."""
        return [camera for camera, queue in self._waiting.items() if queue and self._is_ready(queue[0])]

    def _cameras(self) -> int:
        """Cameras that may send a frame any moment."""
        now = self._clock()
        return sum(1 for heard in self._heard_s.values() if now - heard < GONE_AFTER_S)

    def _take(self) -> list[Frame]:
        """One frame each of the cameras whose turn it is."""
        frames: list[Frame] = []
        for camera in self._ready():
            frame = self._waiting[camera].popleft()
            if not self._lossless and self._is_late(frame):
                self._on_drop(frame, "too_old")
                continue
            self._waiting.move_to_end(camera)
            frames.append(frame)
            if len(frames) == self._max_batch_size:
                break
        return frames
