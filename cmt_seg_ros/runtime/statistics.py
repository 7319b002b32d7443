"""What happened to the frames of one camera: counts, and ages of what was published."""

from __future__ import annotations

import threading
from collections import Counter, deque

import numpy as np

AGES_KEPT = 600


class CameraStatistics:
    """Counts of one camera; every frame received is inferred, dropped, or still in hand.

    Attributes:
        received: frames that arrived.
        inferred: frames whose masks were published.
        dropped: frames given up, by reason.
    """

    def __init__(self) -> None:
        self.received = 0
        self.inferred = 0
        self.dropped: Counter[str] = Counter()
        self.last_received_s = 0.0
        self._ages_ms: deque[float] = deque(maxlen=AGES_KEPT)
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
        """Count a loss."""
        with self._lock:
            self.dropped[reason] += 1

    def ages_ms(self) -> tuple[float, float, float]:
        """p50, p99 and maximum of the newest 600 ages, milliseconds; nan without any."""
        with self._lock:
            ages = list(self._ages_ms)
        if not ages:
            return float("nan"), float("nan"), float("nan")
        p50, p99 = np.percentile(ages, (50, 99))
        return float(p50), float(p99), max(ages)
