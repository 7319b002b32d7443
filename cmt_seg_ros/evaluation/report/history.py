"""RunHistory: what happened over the time of a clip, frame by frame, as plain numbers for the report's plots."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.evaluation.scores.frame_records import Record, is_compared
from cmt_seg_ros.evaluation.scores.frame_scores import SCORES, TIMES, ScoredFrame
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
        sequences: names of the sequences.
        names, indexes, stamps_ns: of the frames.
    """

    x: F64
    x_name: str
    columns: dict[str, F64]
    lost: list[int]
    lost_lines: list[str]
    untrue_lines: list[str]
    spans: dict[int, TrackSpan]
    starts: list[int]
    sequences: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    indexes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    stamps_ns: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def frame_time(self, sequence: str, index: int) -> tuple[str, float]:
        """Return the name of a frame and its time after the first one of its sequence, s."""
        place = self.sequences.index(sequence)
        first, end = [*self.starts, len(self.names)][place : place + 2]
        row = first + int(np.argmax(self.indexes[first:end] == index))
        return self.names[row], int(self.stamps_ns[row] - self.stamps_ns[first]) / 1e9


class HistoryBuilder:
    """Makes the history of one or several sequences, all frames of a sequence in a row."""

    def __init__(self) -> None:
        self._columns = {name: array("d") for name in (*SCORES, *TIMES)}
        self._stamps_ns, self._indexes = array("q"), array("q")
        self._names: list[str] = []
        self._lost: list[int] = []
        self._lost_lines: list[str] = []
        self._untrue_lines: list[str] = []
        self._spans: dict[int, TrackSpan] = {}
        self._starts: list[int] = []
        self._sequences: list[str] = []

    def add(self, frame: ScoredFrame) -> None:
        """Take the next frame."""
        row, record = len(self._names), frame.record
        if self._sequences[-1:] != [record["sequence"]]:
            self._starts.append(row)
            self._sequences.append(record["sequence"])
        self._stamps_ns.append(record["stamp_ns"])
        self._indexes.append(record["index"])
        self._names.append(record["name"])
        values = {**frame.scores, **record["timing"]}
        for name, column in self._columns.items():
            value = values.get(name)
            column.append(float("nan") if value is None else value)
        self._list(row, record)
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
        """Return what was taken so far."""
        columns = {name: np.array(column) for name, column in self._columns.items()}
        stamps_ns, several = np.array(self._stamps_ns, np.int64), len(self._starts) > 1
        x = None if several else _seconds(stamps_ns, self._lost)
        x_name = "time, s" if x is not None else "frame"
        return RunHistory(
            x=np.arange(len(stamps_ns), dtype=np.float64) if x is None else x,
            x_name=f"{x_name} of all sequences, one after the other" if several else x_name,
            columns={name: column for name, column in columns.items() if not np.isnan(column).all()},
            lost=self._lost,
            lost_lines=self._lost_lines,
            untrue_lines=self._untrue_lines,
            spans={} if several else self._spans,
            starts=self._starts,
            sequences=self._sequences,
            names=self._names,
            indexes=np.array(self._indexes, np.int64),
            stamps_ns=stamps_ns,
        )


def _seconds(stamps_ns: npt.NDArray[np.int64], lost: list[int]) -> F64 | None:
    """Return (N,) float64, seconds after the first frame; None where the stamps do not advance like time."""
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
