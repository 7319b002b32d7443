"""Statistics of the frames of one camera: counts, rates, and ages of the published results."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

AGES_KEPT = 600
STALE_AFTER_S = 2.0
OLDEST_MS = 3_600_000.0
"""Above this a stamp says nothing about the age of an image: the clock is another one, or the stamp is wrong."""
IDLE = ("nobody_subscribes", "disabled")
"""Reasons to drop all frames for now: nothing is meant to be inferred."""
BY_DESIGN = (*IDLE, "max_fps")
"""Reasons to drop a frame that is meant to have no answer."""


@dataclass(frozen=True)
class Pause:
    """Time in which frames came and none was answered.

    Attributes:
        seconds: how long it has lasted; 0 where frames are answered, or none came that should be.
        frames: that came in it and should be answered.
        dropped: what was dropped in it, by reason.
    """

    seconds: float = 0.0
    frames: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


class CameraStatistics:
    """Counts of one camera; every frame received is inferred, dropped, or still being processed.

    Attributes:
        received: frames that arrived.
        inferred: frames whose masks were published.
        dropped: frames dropped, by reason.
        idle: why frames are not meant to be answered at present, one of IDLE; empty: they are.
        absurd_ages: masks whose stamps were in the future, or older than OLDEST_MS; not among the ages.
    """

    def __init__(self) -> None:
        self.received = 0
        self.inferred = 0
        self.dropped: Counter[str] = Counter()
        self.absurd_ages = 0
        self.idle = ""
        self.last_received_s = 0.0
        self._ages_ms: deque[float] = deque(maxlen=AGES_KEPT)
        self._before: tuple[float, int, int] | None = None
        self._answered: tuple[float, int, int, Counter[str]] | None = None  # when frames were last answered
        self._wanted: tuple[float, int] = 0.0, 0  # when the number of frames to be answered last grew, and that number
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
            self.idle = ""
            if 0 <= age_ms <= OLDEST_MS:
                self._ages_ms.append(age_ms)
            else:  # one would spoil the figures of all the others
                self.absurd_ages += 1

    def drop(self, reason: str) -> None:
        """Count a frame that is dropped."""
        with self._lock:
            self.dropped[reason] += 1
            self.idle = reason if reason in IDLE else ""

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

    def pause(self, now_s: float) -> Pause:
        """Return since when frames have come and none was answered; to be called regularly.

        Args:
            now_s: monotonic seconds.
        """
        with self._lock:
            wanted = self.received - sum(self.dropped[reason] for reason in BY_DESIGN)
            if wanted != self._wanted[1]:
                self._wanted = now_s, wanted
            then, quiet = self._answered, now_s - self._wanted[0] > STALE_AFTER_S
            if then is None or self.inferred != then[1] or wanted == then[2] or quiet:
                self._answered = then = now_s, self.inferred, wanted, self.dropped.copy()
            return Pause(now_s - then[0], wanted - then[2], dict((self.dropped - then[3]).most_common()))

    def forget_ages(self) -> None:
        """Forget the ages: the clock was set, and ages before and after cannot be compared."""
        with self._lock:
            self._ages_ms.clear()
