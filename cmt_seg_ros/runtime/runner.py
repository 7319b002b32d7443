"""Runner: threads that take batches of frames, infer them, and deliver the results in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.runtime.batching import Batch, Batcher
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import Frame, Segmentation


class Runner:
    """Keeps ``num_requests`` inferences in progress; one more thread delivers results meanwhile.

    Each thread drives an infer request of its own and not a shared AsyncInferQueue, where a failed inference calls no
    callback and every later call raises. Here the exception is attached to the affected frames.

    Args:
        pipeline: infers.
        batcher: where the frames come from; closing it ends the threads.
        deliver: called as ``deliver(frame, segmentation)``, for each camera in the order of its frames.
        refuse: called as ``refuse(frame, error)``, in the same order, for frames that cannot be inferred.
        on_inferred: called as ``on_inferred(frame, seconds)`` before ``deliver``: how long its batch took the device.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        batcher: Batcher,
        deliver: Callable[[Frame, Segmentation], None],
        refuse: Callable[[Frame, FrameError], None],
        on_inferred: Callable[[Frame, float], None] = lambda frame, seconds: None,
    ) -> None:
        self._pipeline, self._batcher, self._on_inferred = pipeline, batcher, on_inferred
        self._deliver, self._refuse = deliver, refuse
        self._stopping = False
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

    def _work(self) -> None:
        while not self._stopping:
            with self._device:  # take frames only when the device is free, so that they are the newest
                batch = self._batcher.get(timeout_s=0.1)
                outcomes = self._infer(batch) if batch else []
            if batch is not None:
                with batch.in_turn():
                    for frame, outcome in outcomes:
                        self._deliver_one(frame, outcome)

    def _deliver_one(self, frame: Frame, outcome: Segmentation | FrameError) -> None:
        if isinstance(outcome, FrameError):
            self._refuse(frame, outcome)
            return
        try:
            self._deliver(frame, outcome)
        except Exception as error:  # the middleware refuses now and then when flooded
            self._refuse(frame, FrameError(f"masks could not be published: {error}", "publish"))

    def _infer(self, batch: Batch) -> list[tuple[Frame, Segmentation | FrameError]]:
        """Return each frame, decoded, with its result, or with the error that concerns it."""
        outcomes: list[tuple[Frame, Segmentation | FrameError]] = []
        frames: list[Frame] = []
        masks: list[tuple[str, ...]] = []
        for request in batch.requests:
            try:
                if request.error is not None:
                    raise request.error
                frames.append(self._pipeline.prepare(request.frame, request.masks))
                masks.append(request.masks)
            except FrameError as error:
                outcomes.append((request.frame, error))
            except Exception as error:  # a thread that dies silently would leave the node deaf
                outcomes.append((request.frame, FrameError(f"{type(error).__name__}: {error}", "inference")))
        begun = time.perf_counter()
        try:
            results = self._pipeline.segment(frames, masks)
        except Exception as error:
            failed = FrameError(f"inference failed: {error}", "inference")
            return outcomes + [(frame, failed) for frame in frames]
        for frame in frames:
            self._on_inferred(frame, time.perf_counter() - begun)
        return outcomes + list(zip(frames, results, strict=True))
