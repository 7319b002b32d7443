"""Measures of repeated runs and of processes: medians with their confidence, CPU time, memory, ages."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cmt_seg_ros.errors import CmtSegError


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


_LIBC = ctypes.CDLL(None)


def cpu_ms(pid: int) -> float:
    """CPU time of a process so far, user and system, its ended threads included; milliseconds.

    From the process's own CPU clock (POSIX), which counts nanoseconds: /proc/PID/stat counts ticks of 10 ms,
    as much as a fifth of a frame, and the sum over /proc/PID/task forgets threads that have ended.

    Raises:
        CmtSegError: there is no such process.
    """
    clock = ctypes.c_int()
    if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise CmtSegError(f"process {pid} has ended, or its CPU clock cannot be read")
    return time.clock_gettime_ns(clock.value) / 1e6


def thread_cpu_ms(pid: int) -> dict[str, float]:
    """CPU time so far of the main thread ("main"), of Fast DDS's threads ("dds") and of all others ("rest"); ms.

    Fast DDS names its threads dds.*; those of Python and OpenVINO carry the name of the process.
    """
    sums = {"main": 0.0, "dds": 0.0, "rest": 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            name = (task / "comm").read_text(encoding="utf-8")
            part = "main" if task.name == str(pid) else "dds" if name.startswith("dds.") else "rest"
            sums[part] += int((task / "schedstat").read_text(encoding="utf-8").split()[0]) / 1e6
    return sums


def rss_mb(pid: int) -> float:
    """Resident memory of a process, shared memory included; 1e6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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
