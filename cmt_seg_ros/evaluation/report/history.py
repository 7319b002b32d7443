"""What happened over the time of a clip: one pass over its records, kept as plain numbers for the report's pictures."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.evaluation.scores.frame_records import Record, is_compared
from cmt_seg_ros.evaluation.scores.frame_scores import SCORES, TIMES, frame_scores
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import F64, TrackState

MAX_LISTED = 50
_MAX_GAP = 2  # frames that a track may be unseen without a gap in its bar: less than anybody could see
_LONGEST_PAUSE = 20  # clips that last so many times their frames have stamps that are no time


@dataclass
class TrackSpan:
    """When one track was seen.

    Attributes:
        classes: how often it was of which class id.
        pieces: [first, last] row of each stretch without gaps.
    """

    classes: Counter[int] = field(default_factory=Counter)
    pieces: list[list[int]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """In how many it was seen."""
        return sum(self.classes.values())


@dataclass(frozen=True, eq=False)
class RunHistory:
    """A row for each frame.

    Attributes:
        x: (N,) float64, place of each frame on the axis of time, never falling.
        x_name: what ``x`` is, with its unit.
        columns: (N,) float64 by the names of SCORES and TIMES, nan where unknown; only those that are known anywhere.
        lost: (M,) rows of the frames that were lost.
        lost_lines: the first ones by name, with the reason.
        untrue_lines: the first frames without ground truth by name.
        spans: of confirmed tracks by their ids; empty for several sequences.
        starts: first row of each sequence.
        frame_times: name and second of the frames asked for, by (sequence, index).
    """

    x: F64
    x_name: str
    columns: dict[str, F64]
    lost: list[int]
    lost_lines: list[str]
    untrue_lines: list[str]
    spans: dict[int, TrackSpan]
    starts: list[int]
    frame_times: dict[tuple[str, int], tuple[str, float]]


def read_history(
    records: Iterable[Record], labels: LabelSet, wanted: Iterable[tuple[str, int]] = frozenset()
) -> RunHistory:
    """Read the records of one or several sequences once.

    Args:
        records: all frames of a sequence in a row.
        labels: the predicted classes.
        wanted: (sequence, index) of frames whose names and times are needed.
    """
    reader, wanted = _Reader(labels), frozenset(wanted)
    for record in records:
        reader.add(record, (record["sequence"], record["index"]) in wanted)
    return reader.history()


class _Reader:
    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._columns = {name: array("d") for name in (*SCORES, *TIMES)}
        self._stamps_ns = array("q")
        self._lost: list[int] = []
        self._lost_lines: list[str] = []
        self._untrue_lines: list[str] = []
        self._spans: dict[int, TrackSpan] = {}
        self._starts: list[int] = []
        self._sequence: str | None = None
        self._moments: dict[tuple[str, int], tuple[str, float]] = {}

    def add(self, record: Record, wanted: bool) -> None:
        """Take the next record."""
        row, sequence = len(self._stamps_ns), record["sequence"]
        if sequence != self._sequence:
            self._starts.append(row)
            self._sequence, self._first_ns = sequence, record["stamp_ns"]
        self._stamps_ns.append(record["stamp_ns"])
        values = {**frame_scores(record, self._labels), **record["timing"]}
        for name, column in self._columns.items():
            value = values.get(name)
            column.append(float("nan") if value is None else value)
        self._list(row, record)
        if wanted:
            seconds = (record["stamp_ns"] - self._first_ns) / 1e9
            self._moments[sequence, record["index"]] = record["name"], seconds
        if len(self._starts) == 1:  # ids of tracks start anew in the next sequence
            self._add_tracks(row, record)

    def _list(self, row: int, record: Record) -> None:
        """Name it if it is lost or has no ground truth."""
        text = f"{record['sequence']}: frame {record['index']} ({record['name']})"
        if record["lost"]:
            self._lost.append(row)
            if len(self._lost_lines) < MAX_LISTED:
                self._lost_lines.append(f"{text}: {record['lost'].replace('_', ' ')}")
        elif len(self._untrue_lines) < MAX_LISTED and not is_compared(record):
            self._untrue_lines.append(text)

    def _add_tracks(self, row: int, record: Record) -> None:
        for track_id, class_id, state, *_ in record["tracks"] or ():
            if state == TrackState.CONFIRMED:
                span = self._spans.setdefault(track_id, TrackSpan())
                span.classes[class_id] += 1
                if span.pieces and row - span.pieces[-1][1] <= _MAX_GAP + 1:
                    span.pieces[-1][1] = row
                else:
                    span.pieces.append([row, row])

    def history(self) -> RunHistory:
        """All that was read."""
        columns = {name: np.array(column) for name, column in self._columns.items()}
        several = len(self._starts) > 1
        x = None if several else _seconds(np.array(self._stamps_ns, np.int64), self._lost)
        x_name = "time, s" if x is not None else "frame"
        return RunHistory(
            np.arange(len(self._stamps_ns), dtype=np.float64) if x is None else x,
            f"{x_name} of all sequences, one after the other" if several else x_name,
            {name: column for name, column in columns.items() if not np.isnan(column).all()},
            self._lost,
            self._lost_lines,
            self._untrue_lines,
            {} if several else self._spans,
            self._starts,
            self._moments,
        )


def _seconds(stamps_ns: npt.NDArray[np.int64], lost: list[int]) -> F64 | None:
    """(N,) float64, seconds after the first frame; None where the stamps are no time that runs."""
    good = np.ones(len(stamps_ns), bool)
    good[lost] = False
    steps = np.diff(stamps_ns[good])
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not steps.any() or (steps < 0).any() or steps.sum() > _LONGEST_PAUSE * max(usual, 1) * len(steps):
        return None
    # A frame may be lost because its stamp is wrong: it stays between its neighbours.
    rows = np.flatnonzero(good)
    times = (stamps_ns - stamps_ns[rows[0]]).astype(np.float64)
    earliest = np.maximum.accumulate(np.where(good, times, -usual * rows[0]))
    end = times[rows[-1]] + usual * (len(times) - 1 - rows[-1])
    latest = np.minimum.accumulate(np.where(good, times, end)[::-1])[::-1]
    x = np.maximum.accumulate(np.clip(times, earliest, latest)) / 1e9
    return np.asarray(x - x[0], np.float64)
