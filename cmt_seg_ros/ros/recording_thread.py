"""The thread between the recorder's callbacks and its files: a callback never waits for a disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from cmt_seg_ros.ros.recording_files import Arrival

QUEUE_BYTES = 64 << 20
QUEUE_MESSAGES = 4096


class RecordingThread:
    """Hands arrivals one by one to ``write``; what does not fit into its queue is lost and counted.

    Args:
        write: takes one arrival; whatever it raises is counted and reported, and the next one is tried.
        idle: called when the queue is empty.
        report: takes one sentence about an arrival that could not be written.

    Attributes:
        lost: arrivals that found the queue full.
        failed: arrivals that could not be written.
        written: all others.
    """

    def __init__(
        self,
        write: Callable[[Arrival], None],
        idle: Callable[[], None],
        report: Callable[[str], None],
        max_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._write, self._idle, self._report, self._max_bytes = write, idle, report, max_bytes
        self._queue: deque[Arrival] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self.lost = self.failed = self.written = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def put(self, arrival: Arrival) -> bool:
        """Queue an arrival; False if the queue is full."""
        with self._changed:
            full = self._bytes + len(arrival.raw) > self._max_bytes or len(self._queue) >= QUEUE_MESSAGES
            if full or self._closing:
                self.lost += 1
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
        while (arrival := self._next()) is not None:
            try:
                self._write(arrival)
                self.written += 1
            except Exception as error:  # a bad message or a full disk must not end the recording
                self.failed += 1
                self._report(f"{arrival.topic}: {error}")

    def _next(self) -> Arrival | None:
        """The next arrival; None at the end."""
        with self._changed:
            if not self._queue:
                self._idle()
            while not self._queue:
                if self._closing:
                    return None
                self._changed.wait()
            arrival = self._queue.popleft()
            self._bytes -= len(arrival.raw)
            return arrival
