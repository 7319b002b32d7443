"""What was seen of a node over minutes: ages of its masks, and its memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NS = 1e9


class Samples:
    """What was seen while the cameras sent.

    Attributes:
        arrivals_s, ages_s: of every mask, seconds since the first and seconds.
        rss: (seconds, 1e6 bytes) once a second.
    """

    def __init__(self) -> None:
        self.arrivals_s: list[float] = []
        self.ages_s: list[float] = []
        self.rss: list[tuple[float, float]] = []
        self._first_ns = 0

    def add(self, masks: Sequence[tuple[str, int, int]]) -> None:
        """Take masks: camera, arrival and stamp in ns."""
        for _, arrival_ns, stamp_ns in masks:
            self._first_ns = self._first_ns or arrival_ns
            self.arrivals_s.append((arrival_ns - self._first_ns) / NS)
            self.ages_s.append((arrival_ns - stamp_ns) / NS)

    def masks_per_s(self) -> float:
        """Masks per second, all cameras together."""
        return (len(self.arrivals_s) - 1) / (max(self.arrivals_s) - min(self.arrivals_s))

    def dispatch_s(self) -> float:
        """Mean time between dispatches: masks closer than half the mean distance came together."""
        gaps = np.diff(np.sort(self.arrivals_s))
        return float(gaps.sum() / max(1, np.count_nonzero(gaps > gaps.mean() / 2)))

    def growth_mb(self, warm_s: float) -> float:
        """Largest memory after the warm-up above that at its end."""
        warm = [mb for seconds, mb in self.rss if seconds <= warm_s]
        return max(mb for _, mb in self.rss) - max(warm) if warm else 0.0

    def minutes(self, minute_s: float) -> list[dict[str, float]]:
        """Figures of each minute."""
        arrivals, ages = np.array(self.arrivals_s), np.array(self.ages_s)
        rows = []
        for begin in np.arange(0.0, arrivals.max(), minute_s):
            part = ages[(arrivals >= begin) & (arrivals < begin + minute_s)] * 1e3
            memory = [mb for seconds, mb in self.rss if begin <= seconds < begin + minute_s]
            if len(part) and memory:
                p50, p99 = np.percentile(part, (50, 99))
                row = {"from_s": begin, "masks": len(part), "age_p50_ms": p50, "age_p99_ms": p99, "rss_mb": max(memory)}
                rows.append({name: float(value) for name, value in row.items()})
        return rows
