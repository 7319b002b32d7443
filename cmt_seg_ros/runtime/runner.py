"""Runner: threads that take batches of frames, infer them, and deliver the results in order."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from cmt_seg_ros.errors import FrameError, cause
from cmt_seg_ros.runtime.batching import Batch, Batcher
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import Frame, Segmentation

log = logging.getLogger(__name__)


def log_fault(text: str) -> None:
    """Log a fault where nobody else takes it."""
    log.error("%s", text)


class Runner:
    """Keeps ``num_requests`` inferences in progress; one more thread delivers results meanwhile.

    Each thread drives an infer request of its own and not a shared AsyncInferQueue, where a failed inference calls no
    callback and every later call raises. Here the exception is attached to the affected frames. Whatever a callback
    raises costs its frame and never the thread, without which the cameras would get no answer any more.

    Args:
        pipeline: infers.
        batcher: where the frames come from; closing it ends the threads.
        deliver: called as ``deliver(frame, segmentation)``, for each camera in the order of its frames.
        refuse: called as ``refuse(frame, error)``, in the same order, for frames that cannot be inferred.
        on_inferred: called as ``on_inferred(frame, seconds)`` before ``deliver``: how long its batch took the device.
        on_fault: called with a sentence about each error of the other callbacks, and about a thread that ends.

    Attributes:
        faults: how many of these there were.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        batcher: Batcher,
        deliver: Callable[[Frame, Segmentation], None],
        refuse: Callable[[Frame, FrameError], None],
        on_inferred: Callable[[Frame, float], None] = lambda frame, seconds: None,
        on_fault: Callable[[str], None] = log_fault,
    ) -> None:
        self._pipeline, self._batcher, self._on_inferred = pipeline, batcher, on_inferred
        self._deliver, self._refuse, self._on_fault = deliver, refuse, on_fault
        self._stopping, self.faults = False, 0
        self._busy_since: dict[str, float] = {}  # by thread
        requests = max(1, pipeline.config.num_requests)
        self._device = threading.Semaphore(requests)
        self._threads = [
            threading.Thread(target=self._work, name=f"inference-{i}", daemon=True) for i in range(requests + 1)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish the inferences in progress; the batcher drops the frames that wait.

        Args:
            timeout_s: longest wait for each thread, seconds.
        """
        self._stopping = True
        self._batcher.close()
        for thread in self._threads:
            thread.join(timeout=timeout_s)

    @property
    def gone(self) -> int:
        """How many threads have ended, though nobody stopped them."""
        return 0 if self._stopping else sum(not thread.is_alive() for thread in self._threads)

    def busy_s(self) -> float:
        """Return for how long the oldest inference in progress has been running, seconds; 0 if none is."""
        return max((time.perf_counter() - began for began in list(self._busy_since.values())), default=0.0)

    def _work(self) -> None:
        try:
            while not self._stopping:
                try:
                    self._step()
                except Exception as error:  # of any kind: see the class
                    self._note(error)
        finally:
            if not self._stopping:
                self._note(RuntimeError(f"thread {threading.current_thread().name} has ended"))

    def _step(self) -> None:
        """Take a batch, infer it, and deliver its results when it is their turn."""
        with self._device:  # take frames only when the device is free, so that they are the newest
            batch = self._batcher.get(timeout_s=0.1)
            if batch is None:
                return
            try:
                outcomes = self._infer(batch)
            except BaseException:  # ends the thread; the others must not wait for this batch for ever
                with batch.in_turn():
                    raise
        with batch.in_turn():
            for frame, outcome in outcomes:
                self._answer(frame, outcome)

    def _answer(self, frame: Frame, outcome: Segmentation | FrameError) -> None:
        if not isinstance(outcome, FrameError):
            try:
                self._deliver(frame, outcome)
                return
            except Exception as error:  # the middleware refuses now and then when flooded
                outcome = FrameError(f"masks could not be published: {cause(error)}", "publish")
        try:
            self._refuse(frame, outcome)
        except Exception as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        self.faults += 1
        with contextlib.suppress(Exception):  # it is counted
            self._on_fault(f"{type(error).__name__}: {error}")

    def _infer(self, batch: Batch) -> list[tuple[Frame, Segmentation | FrameError]]:
        """Return each frame, decoded, with its result, or with the error that concerns it."""
        outcomes: list[tuple[Frame, Segmentation | FrameError]] = []
        frames: list[Frame] = []
        masks: list[tuple[str, ...]] = []
        for request in batch.requests:
            try:
                if request.error is not None:
                    raise request.error
                frames.append(self._pipeline.prepare(request.frame))
                masks.append(request.masks)
            except FrameError as error:
                outcomes.append((request.frame, error))
            except Exception as error:  # a thread that dies silently would leave the node deaf
                outcomes.append((request.frame, FrameError(f"{type(error).__name__}: {error}", "inference")))
        begun, thread = time.perf_counter(), threading.current_thread().name
        self._busy_since[thread] = begun
        try:
            results = self._pipeline.segment(frames, masks)
        except Exception as error:
            failed = FrameError(f"inference failed: {cause(error)}", "inference")
            return outcomes + [(frame, failed) for frame in frames]
        finally:
            del self._busy_since[thread]
        for frame in frames:
            try:
                self._on_inferred(frame, time.perf_counter() - begun)
            except Exception as error:  # the masks are good all the same
                self._note(error)
        return outcomes + list(zip(frames, results, strict=True))
