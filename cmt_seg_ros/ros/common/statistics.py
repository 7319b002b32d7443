"""Statistics of the frames of one camera: counts, rates, and ages of the published results."""

from __future__ import annotations

import threading
from collections import Counter, deque

import numpy as np

AGES_KEPT = 600


class CameraStatistics:
    """Counts of one camera; every frame received is inferred, dropped, or still being processed.

    Attributes:
        received: frames that arrived.
        inferred: frames whose masks were published.
        dropped: frames dropped, by reason.
    """

    def __init__(self) -> None:
        self.received = 0
        self.inferred = 0
        self.dropped: Counter[str] = Counter()
        self.last_received_s = 0.0
        self._ages_ms: deque[float] = deque(maxlen=AGES_KEPT)
        self._before: tuple[float, int, int] | None = None
        self._lock = threading.Lock()

    def receive(self, now_s: float) -> None:
        """Count an arrival at ``now_s`` (monotonic seconds)."""
        with self._lock:
            self.received += 1
            self.last_received_s = now_s

    def publish(self, age_ms: float) -> None:
        """Count a published mask; ``age_ms``: now - stamp when it was published, milliseconds."""
        with self._lock:
            self.inferred += 1
            self._ages_ms.append(age_ms)

    def drop(self, reason: str) -> None:
        """Count a frame that is dropped."""
        with self._lock:
            self.dropped[reason] += 1

    def counts(self) -> tuple[int, int, dict[str, int]]:
        """Return received, inferred, and dropped by reason, all of the same moment."""
        with self._lock:
            return self.received, self.inferred, dict(sorted(self.dropped.items()))

    def ages_ms(self) -> tuple[float, float, float]:
        """Return p50, p99 and maximum of the newest AGES_KEPT ages, milliseconds; nan without any."""
        with self._lock:
            ages = list(self._ages_ms)
        if not ages:
            return float("nan"), float("nan"), float("nan")
        p50, p99 = np.percentile(ages, (50, 99))
        return float(p50), float(p99), max(ages)

    def rates_hz(self, now_s: float) -> tuple[float, float]:
        """Return frames received and inferred per second since the previous call; 0 at the first call.

        Args:
            now_s: monotonic seconds.
        """
        with self._lock:
            then_s, received, inferred = self._before or (now_s, self.received, self.inferred)
            self._before = now_s, self.received, self.inferred
            elapsed_s = now_s - then_s
            if elapsed_s <= 0:
                return 0.0, 0.0
            return (self.received - received) / elapsed_s, (self.inferred - inferred) / elapsed_s

    def forget_ages(self) -> None:
        """Forget the ages: the clock was set, and ages before and after cannot be compared."""
        with self._lock:
            self._ages_ms.clear()
