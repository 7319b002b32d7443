"""Replay: every frame of a clip through the live node's own batcher, runner and pipeline, in order, none dropped.

Three threads overlap: one reads and decodes, the runner's infer, and the caller's tracks and scores.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from cmt_seg_ros.errors import CmtSegError, FrameError
from cmt_seg_ros.evaluation.job import FrameResult, lost_result
from cmt_seg_ros.runtime.batching import Batcher
from cmt_seg_ros.runtime.masks import default_masks
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.runtime.runner import Runner
from cmt_seg_ros.structures import Frame, Segmentation

AHEAD = 4  # results that wait for the caller

_Event = tuple[int, FrameResult | Exception | None]
"""A frame's number and result; or how many frames there are, at the end, and what ended them before."""


class Replay:
    """Iterating gives a result for each frame of a clip, without tracks.

    Args:
        frames: the clip, of one camera, as ``sources.clip.numbered`` gives it.
        pipeline: infers.
        start: the first so many frames are read and not inferred: an earlier run did that.
        refused: called as ``refused(index, error)`` for each frame that is lost, with its number.
    """

    def __init__(
        self,
        frames: Iterable[tuple[int, Frame | str]],
        pipeline: Pipeline,
        start: int,
        refused: Callable[[int, FrameError], None],
    ) -> None:
        self._frames, self._pipeline, self._start, self._refused = frames, pipeline, start, refused
        self._masks = default_masks(pipeline.config, pipeline.package)
        self._events: queue.Queue[_Event] = queue.Queue(AHEAD)
        self._batcher = Batcher(1, 0.0, True, on_drop=lambda frame, reason: None)
        # Of the frames between batcher and runner, in their order: number, and ms it took to read.
        self._under_way: deque[tuple[int, float]] = deque()
        self._infer_ms: dict[int, float] = {}  # by id(frame): stamps may repeat
        self._closed = False

    def __iter__(self) -> Iterator[FrameResult]:
        """Yield the results.

        Raises:
            SourceError: the clip cannot be read on; all results before have been given.
        """
        runner = Runner(self._pipeline, self._batcher, self._deliver, self._refuse, self._timed, self._fail)
        reader = threading.Thread(target=self._read, name="reader", daemon=True)
        reader.start()
        try:
            yield from self._in_order()
        finally:
            self._closed = True
            runner.stop()
            reader.join(timeout=10.0)

    def _in_order(self) -> Iterator[FrameResult]:
        """Yield results in order; only frames that are refused before they are inferred come early."""
        waiting: dict[int, FrameResult] = {}
        due, end, failure = self._start, -1, None
        while due != end:
            index, outcome = self._events.get()
            if isinstance(outcome, FrameResult):
                waiting[index] = outcome
            else:
                end, failure = max(index, due), outcome
            while due in waiting:
                yield waiting.pop(due)
                due += 1
        if failure is not None:
            raise failure

    def _read(self) -> None:
        """Hand every frame to the batcher; runs in a thread."""
        end, failure, frames, last = 0, None, iter(self._frames), None
        unread: list[tuple[int, str]] = []  # more than one only before the first frame
        try:
            while not self._closed:
                begun = time.perf_counter()
                index, frame = next(frames, (end, None))
                if frame is None:
                    break
                end = index + 1
                if isinstance(frame, Frame):
                    self._put(index, frame, 1e3 * (time.perf_counter() - begun))
                    last = frame
                else:
                    unread.append((index, frame))
                if last is not None:
                    self._lose_unread(unread, last)
        except Exception as error:  # to be raised where the frames are wanted
            failure = error
        self._send((0 if last is None else end, failure))

    def _put(self, index: int, frame: Frame, read_ms: float) -> None:
        """Give a frame to the batcher as the live node does; only its stamp if an earlier run inferred it."""
        try:
            frame = self._pipeline.check(frame)
            if index < self._start:
                self._batcher.skip(frame)
            else:
                self._infer(index, frame, read_ms)
        except FrameError as error:
            if index >= self._start:
                self._lose(index, frame, error, read_ms)

    def _infer(self, index: int, frame: Frame, read_ms: float) -> None:
        self._under_way.append((index, read_ms))
        try:
            self._batcher.put(frame, self._masks)
        except FrameError:
            self._under_way.pop()
            raise

    def _timed(self, frame: Frame, seconds: float) -> None:
        self._infer_ms[id(frame)] = 1e3 * seconds

    def _deliver(self, frame: Frame, segmentation: Segmentation) -> None:
        index, read_ms = self._under_way.popleft()
        timing_ms = {"read": read_ms, "infer": self._infer_ms.pop(id(frame))}
        self._send((index, FrameResult(index, frame, segmentation, timing_ms=timing_ms)))

    def _refuse(self, frame: Frame, error: FrameError) -> None:
        index, read_ms = self._under_way.popleft()
        self._lose(index, frame, error, read_ms)

    def _fail(self, fault: str) -> None:
        """End with an error: results after this one may be missing, and would be waited for."""
        self._send((0, CmtSegError(f"inference stopped: {fault}")))

    def _lose(self, index: int, frame: Frame, error: FrameError, read_ms: float) -> None:
        self._refused(index, error)
        self._send((index, FrameResult(index, frame, lost=error.reason, timing_ms={"read": read_ms})))

    def _lose_unread(self, unread: list[tuple[int, str]], near: Frame) -> None:
        """Give up frames that could not be read; nobody knows their stamps, but those of the frames beside them."""
        for index, reason in unread:
            if index >= self._start:
                self._send((index, lost_result(index, near.camera, near.stamp_ns, reason)))
        unread.clear()

    def _send(self, event: _Event) -> None:
        """Wait for room, unless nobody wants results any more."""
        while not self._closed:
            try:
                self._events.put(event, timeout=0.1)
            except queue.Full:
                continue
            return
