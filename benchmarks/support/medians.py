"""Medians, and how sure they are, without assumptions about the noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Median:
    """Median of repeated measurements with its 95 % confidence interval.

    Attributes:
        value: the median.
        low, high: order statistics between which the true median lies with a probability of 95 %; with fewer
            than six values that cannot be said, and they are the smallest and the largest.
        values: the measurements.
    """

    value: float
    low: float
    high: float
    values: list[float]

    @classmethod
    def of(cls, values: Sequence[float]) -> Median:
        """Median of at least one value."""
        ordered, count = sorted(values), len(values)
        # So many values can be left out at either end: the median is beyond the k-th with a probability of
        # sum(C(n, i), i < k) / 2^n, as for heads of a coin.
        out = 0
        while 2 * sum(math.comb(count, i) for i in range(out + 2)) <= 0.05 * 2**count:
            out += 1
        return cls(statistics.median(ordered), ordered[out], ordered[count - 1 - out], list(values))

    def text(self, digits: int = 2) -> str:
        """For a table: the median and half the width of its interval."""
        return f"{self.value:.{digits}f} ±{(self.high - self.low) / 2:.{digits}f}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)
