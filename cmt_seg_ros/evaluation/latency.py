"""How fast a recording was: rates, and how old images were when their results arrived."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.structures import F64

I64 = npt.NDArray[np.int64]

COLUMNS = ["topic", "stamp_ns", "received_ns"]
_LONGEST_MS = 60_000.0


@dataclass(frozen=True, eq=False)
class Latency:
    """Arrivals of one topic.

    Attributes:
        topic: full name.
        received_s: (N,) float64, when each message came, seconds after the first one of all topics.
        age_ms: (N,) float64, age of the image when its result came: time of arrival less stamp. None if the
            stamps are not of the recorder's clock (a replay that keeps the stamps of its bag).
    """

    topic: str
    received_s: F64
    age_ms: F64 | None

    def __len__(self) -> int:
        return len(self.received_s)

    @property
    def fps(self) -> float:
        """Mean rate from the first to the last message, 1/s; nan for fewer than two."""
        span = float(self.received_s[-1] - self.received_s[0]) if len(self) > 1 else 0.0
        return (len(self) - 1) / span if span > 0 else float("nan")

    def percentile_ms(self, percent: float) -> float:
        """Age that ``percent`` of the messages do not exceed, ms; nan where ages are not known."""
        return float(np.percentile(self.age_ms, percent)) if self.age_ms is not None and len(self) else float("nan")


def read_arrivals(path: Path) -> dict[str, Latency]:
    """Read the recorder's ``arrivals.csv``.

    Returns:
        By topic without its namespace, such as ``segmentation/mask``; topics without messages are missing.

    Raises:
        SourceError: no such file, or not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or rows[0] != COLUMNS:
            raise ValueError(f"its columns are {rows[:1]}")
        table = [(topic, int(stamp), int(received)) for topic, stamp, received in rows[1:]]
    except (OSError, ValueError) as error:
        expected = "expected the arrivals.csv that recorder_node writes, with columns " + ", ".join(COLUMNS)
        raise SourceError(f"{path} cannot be read: {error}; {expected}") from error
    first = min((received for _, _, received in table), default=0)
    topics = sorted({topic for topic, _, _ in table})
    return {"/".join(t.split("/")[-2:]): _latency(t, table, first) for t in topics}


def _latency(topic: str, table: list[tuple[str, int, int]], first_ns: int) -> Latency:
    times: I64 = np.array([(s, r) for t, s, r in table if t == topic], np.int64)
    age_ms: F64 = (times[:, 1] - times[:, 0]) / 1e6
    known = 0 <= float(np.median(age_ms)) < _LONGEST_MS
    return Latency(topic, (times[:, 1] - first_ns) / 1e9, age_ms if known else None)
