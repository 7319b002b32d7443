"""Threads that take the newest frames, infer them, and hand the results on in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.runtime.batching import Batch, Batcher
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import Frame, Segmentation


class Runner:
    """Keeps ``num_requests`` inferences under way, and one thread more, so that results are handed on meanwhile.

    Each thread drives an infer request of its own and not a shared AsyncInferQueue: a failed inference calls no
    callback there and makes the queue raise for ever; here it is an exception beside the frames that it concerns.

    Args:
        pipeline: infers.
        batcher: where the frames come from; closing it ends the threads.
        deliver: called as ``deliver(frame, segmentation)``, for each camera in the order of its frames.
        refuse: called as ``refuse(frame, error)``, in the same order, for frames that cannot be inferred.
        wanted: which of ``graph.MASKS`` are wanted of a camera now.
        on_inferred: called as ``on_inferred(frame, seconds)`` before ``deliver``: how long its batch took the device.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        batcher: Batcher,
        deliver: Callable[[Frame, Segmentation], None],
        refuse: Callable[[Frame, FrameError], None],
        wanted: Callable[[str], tuple[str, ...]],
        on_inferred: Callable[[Frame, float], None] = lambda frame, seconds: None,
    ) -> None:
        self._pipeline, self._batcher, self._wanted, self._on_inferred = pipeline, batcher, wanted, on_inferred
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
        """Finish what is under way; the batcher drops what waits."""
        self._stopping = True
        self._batcher.close()
        for thread in self._threads:
            thread.join(timeout=timeout_s)

    def _work(self) -> None:
        while not self._stopping:
            with self._device:  # frames are taken when the device is free for them, not before
                batch = self._batcher.get(timeout_s=0.1)
                outcomes = self._infer(batch) if batch else []
            if batch is not None:
                with batch.in_turn():
                    for frame, outcome in outcomes:
                        self._hand_on(frame, outcome)

    def _hand_on(self, frame: Frame, outcome: Segmentation | FrameError) -> None:
        if isinstance(outcome, FrameError):
            self._refuse(frame, outcome)
            return
        try:
            self._deliver(frame, outcome)
        except Exception as error:  # the middleware refuses now and then when flooded
            self._refuse(frame, FrameError(f"masks could not be published: {error}", "publish"))

    def _infer(self, batch: Batch) -> list[tuple[Frame, Segmentation | FrameError]]:
        """Each frame, decoded, and what became of it; whatever goes wrong is the outcome of the frames it concerns."""
        outcomes: list[tuple[Frame, Segmentation | FrameError]] = []
        good: list[Frame] = []
        wanted: list[tuple[str, ...]] = []
        for frame in batch.frames:
            masks = self._wanted(frame.camera)
            try:
                good.append(self._pipeline.prepare(frame, masks))
                wanted.append(masks)
            except FrameError as error:
                outcomes.append((frame, error))
            except Exception as error:  # a thread that dies silently would leave the node deaf
                outcomes.append((frame, FrameError(f"{type(error).__name__}: {error}", "inference")))
        begun = time.perf_counter()
        try:
            results = self._pipeline.segment(good, wanted)
        except Exception as error:
            failed = FrameError(f"inference failed: {error}", "inference")
            return outcomes + [(frame, failed) for frame in good]
        for frame in good:
            self._on_inferred(frame, time.perf_counter() - begun)
        return outcomes + list(zip(good, results, strict=True))
