"""RecordingThread: the queue between the recorder's callbacks and its files; no callback waits for a disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cmt_seg_ros.bags.writer import Arrival, BagWriteError
from cmt_seg_ros.errors import cause

log = logging.getLogger(__name__)

QUEUE_BYTES = 64 << 20
QUEUE_MESSAGES = 4096
TICK_S = 0.2


@dataclass(eq=False)
class TopicCount:
    """What became of the messages of one topic.

    Attributes:
        written: messages that were written.
        size: of those, bytes.
        overrun: arrivals that found the queue full.
        undelivered: messages that ROS reports as sent but never delivered.
        failed: arrivals that could not be written, or whose chunk could not.
    """

    written: int = 0
    size: int = 0
    overrun: int = 0
    undelivered: int = 0
    failed: int = 0

    @property
    def lost(self) -> int:
        """Messages that never reached the writer."""
        return self.overrun + self.undelivered

    def take_back(self, messages: int, size: int) -> None:
        """Count messages as failed that were counted as written."""
        self.written -= messages
        self.size -= size
        self.failed += messages


class RecordingThread:
    """Queue of arrivals that a thread hands one by one to ``write``; what does not fit into it is lost and counted.

    Args:
        write: takes one arrival; whatever it raises is counted and reported, and the next one is tried, unless the bag
            cannot be written any more.
        tick: called with the counts and the failure after each arrival, and a few times a second.
        report: takes one sentence about an arrival that could not be written.
        max_bytes: of the messages in the queue.

    Attributes:
        counts: by topic, in the order in which they first came.
        failure: why nothing more is written, all that comes is counted as failed; empty: it is written.
    """

    def __init__(
        self,
        write: Callable[[Arrival], None],
        tick: Callable[[Mapping[str, TopicCount], str], None],
        report: Callable[[str], None],
        max_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._write, self._tick, self._report, self._max_bytes = write, tick, report, max_bytes
        self._queue: deque[Arrival] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self.counts: dict[str, TopicCount] = {}
        self.failure = ""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; one that has ended writes nothing any more."""
        return self._thread.is_alive()

    @property
    def written(self) -> int:
        """Messages written, of all topics."""
        return sum(count.written for count in list(self.counts.values()))

    @property
    def lost(self) -> int:
        """Messages that never reached the writer, of all topics."""
        return sum(count.lost for count in list(self.counts.values()))

    @property
    def failed(self) -> int:
        """Arrivals that could not be written, of all topics."""
        return sum(count.failed for count in list(self.counts.values()))

    def count(self, topic: str) -> TopicCount:
        """Return the counts of one topic."""
        return self.counts.setdefault(topic, TopicCount())

    def put(self, arrival: Arrival) -> bool:
        """Queue an arrival; False if the queue is full, or nobody empties it any more."""
        with self._changed:
            full = self._bytes + len(arrival.raw) > self._max_bytes or len(self._queue) >= QUEUE_MESSAGES
            if full or self._closing or not self.alive:
                self.count(arrival.topic).overrun += 1
                return False
            self._queue.append(arrival)
            self._bytes += len(arrival.raw)
            self._changed.notify()
            return True

    def close(self, timeout_s: float = 30.0) -> bool:
        """Write what is queued, then end; False if that takes longer than ``timeout_s``."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._wait():
            while (arrival := self._next()) is not None:
                self._take(arrival)
                self._call(self._tick, self.counts, self.failure)
            self._call(self._tick, self.counts, self.failure)

    def _take(self, arrival: Arrival) -> None:
        count = self.count(arrival.topic)
        if self.failure:
            count.failed += 1
            return
        try:
            self._write(arrival)
            count.written += 1
            count.size += len(arrival.raw)
        except BagWriteError as error:
            count.failed += 1
            self.drop(error)
            self.failure = str(error)
        except Exception as error:  # a bad message must not end the recording
            count.failed += 1
            self._call(self._report, f"{arrival.topic}: {cause(error)}")

    @staticmethod
    def _call(callback: Callable[..., object], *arguments: Any) -> None:
        """Call back; an error there must not end the recording either."""
        try:
            callback(*arguments)
        except Exception as error:
            log.error("recorder: %s: %s", type(error).__name__, error)

    def drop(self, error: BagWriteError) -> None:
        """Count what the bag had taken and could not keep."""
        for topic, (messages, size) in error.dropped.items():
            self.count(topic).take_back(messages, size)

    def _wait(self) -> bool:
        """Wait for an arrival, but not long; False at the end, when all is written."""
        with self._changed:
            if not self._queue and not self._closing:
                self._changed.wait(TICK_S)
            return bool(self._queue) or not self._closing

    def _next(self) -> Arrival | None:
        """Take the next arrival; None if there is none now."""
        with self._changed:
            if not self._queue:
                return None
            arrival = self._queue.popleft()
            self._bytes -= len(arrival.raw)
            return arrival
