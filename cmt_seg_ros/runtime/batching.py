"""Batcher: the newest frame of each camera, put together into batches; every frame that is dropped is counted."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.stamps import StampOrder
from cmt_seg_ros.structures import Frame

LOSSLESS_CAPACITY = 4  # waiting frames of one camera before a lossless source is held back
GONE_AFTER_S = 1.0  # a camera silent for longer is not waited for


@dataclass(eq=False)
class MaskRequest:
    """A frame and what is requested of it.

    Attributes:
        frame: checked; may be compressed.
        masks: which of ``masks.MASKS`` to compute, as requested when the frame was received.
        ready: whether it can be inferred.
        error: why it can never be inferred.
    """

    frame: Frame
    masks: tuple[str, ...]
    ready: bool = False
    error: FrameError | None = None


@dataclass(eq=False)
class Batch:
    """Requests of different cameras, and the earlier batches whose results must be delivered before theirs."""

    requests: list[MaskRequest]
    _before: list[threading.Event]
    _done: threading.Event

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Wait until earlier frames of the same cameras are delivered; later ones wait for this block."""
        for earlier in self._before:
            earlier.wait()
        try:
            yield
        finally:
            self._done.set()


class Batcher:
    """Passes frames from the threads that receive them to those that infer.

    Args:
        max_batch_size: most frames in a batch; at most one of each camera.
        max_wait_s: how long the first frame of a batch may wait for frames of other cameras, seconds.
        lossless: False: a newer frame replaces a waiting one. True: :meth:`put` waits for room, and each frame
            is a batch, so that results do not depend on which frames happened to meet.
        on_drop: called as ``on_drop(frame, reason)`` for every frame that is dropped.
        clock: monotonic seconds.
        is_late: live: whether a frame is too old to be inferred (reason ``too_old``).
        is_ready: called as ``is_ready(frame)`` until it returns True: whether the frame can be inferred now.
            Until then it waits, or is replaced. Where it raises FrameError the frame is passed on with that error.
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
        # Cameras in the order of their turn: the one that was served moves to the end.
        self._waiting: OrderedDict[str, deque[MaskRequest]] = OrderedDict()
        self._received_s: dict[str, float] = {}
        self._orders: defaultdict[str, StampOrder] = defaultdict(StampOrder)
        self._last: dict[str, threading.Event] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, frame: Frame, masks: tuple[str, ...]) -> None:
        """Add a frame; in lossless mode wait while its camera's queue is full.

        Args:
            frame: checked; may be compressed.
            masks: which of ``masks.MASKS`` to compute.

        Raises:
            FrameError: its stamp is not after the camera's newest one (reason ``out_of_order``, ``duplicate_stamp``).
        """
        with self._changed:
            self._orders[frame.camera].accept(frame.stamp_ns)
            self._received_s[frame.camera] = self._clock()
            queue = self._waiting.setdefault(frame.camera, deque())
            if self._lossless:
                self._changed.wait_for(lambda: self._closed or len(queue) < LOSSLESS_CAPACITY)
            elif queue:
                self._on_drop(queue.popleft().frame, "newer_frame")
            if self._closed:
                self._on_drop(frame, "shutdown")
            else:
                queue.append(MaskRequest(frame, masks))
            self._changed.notify_all()

    def skip(self, frame: Frame) -> None:
        """Record the stamp of a frame that need not be inferred.

        Raises:
            FrameError: as :meth:`put`.
        """
        with self._changed:
            self._orders[frame.camera].accept(frame.stamp_ns)

    def get(self, timeout_s: float) -> Batch | None:
        """Wait for frames and return a batch; None after ``timeout_s`` without any, or when closed."""
        with self._changed:
            # Nothing notifies us when a frame becomes ready: those that wait are asked again at the next call.
            self._changed.wait_for(lambda: self._closed or self._ready_cameras(), timeout_s)
            if self._max_batch_size > 1:
                self._wait_for_others()
            requests = self._take()
            self._changed.notify_all()
            if not requests:
                return None
            done, cameras = threading.Event(), [request.frame.camera for request in requests]
            before = [self._last[camera] for camera in cameras if camera in self._last]
            self._last.update(dict.fromkeys(cameras, done))
            return Batch(requests, before, done)

    def restart(self) -> None:
        """Accept any stamp next: the clock was set."""
        with self._changed:
            self._orders.clear()

    def close(self) -> None:
        """Drop the frames that wait and release every waiting thread."""
        with self._changed:
            self._closed = True
            for queue in self._waiting.values():
                while queue:
                    self._on_drop(queue.popleft().frame, "shutdown")
            self._changed.notify_all()

    def _wait_for_others(self) -> None:
        """Give other cameras time to fill the batch."""
        deadline = self._clock() + self._max_wait_s
        while 0 < len(self._ready_cameras()) < min(self._max_batch_size, self._cameras()) and not self._closed:
            left = deadline - self._clock()
            if left <= 0 or not self._changed.wait(left):
                break

    def _ready_cameras(self) -> list[str]:
        """Return the cameras whose next frame need not wait any longer, in the order of their turn."""
        return [camera for camera, queue in self._waiting.items() if queue and self._update_ready(queue[0])]

    def _update_ready(self, request: MaskRequest) -> bool:
        """Ask whether a frame is ready, unless that is known."""
        if not request.ready and request.error is None:
            try:
                request.ready = self._is_ready(request.frame)
            except FrameError as error:
                request.error = error
            except Exception as error:  # of any kind: it must cost this frame, not the thread that asks
                request.error = FrameError(f"{type(error).__name__}: {error}", "inference")
        return request.ready or request.error is not None

    def _too_old(self, request: MaskRequest) -> bool:
        try:
            return self._is_late(request.frame)
        except Exception as error:  # as above
            request.error = request.error or FrameError(f"{type(error).__name__}: {error}", "inference")
            return False

    def _cameras(self) -> int:
        """Return how many cameras may send a frame at any moment."""
        now = self._clock()
        return sum(1 for received in self._received_s.values() if now - received < GONE_AFTER_S)

    def _take(self) -> list[MaskRequest]:
        """Remove and return one frame each of the cameras whose turn it is."""
        requests: list[MaskRequest] = []
        for camera in self._ready_cameras():
            request = self._waiting[camera].popleft()
            if not self._lossless and self._too_old(request):
                self._on_drop(request.frame, "too_old")
                continue
            self._waiting.move_to_end(camera)
            requests.append(request)
            if len(requests) == self._max_batch_size:
                break
        return requests
