"""Evaluated run as `cmt-seg compare` reads it: summary.json, and from frames.jsonl what each frame adds to each sum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.folder import SUMMARY
from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.evaluation.scores.frame_scores import (
    confirmed_ids,
    frame_match,
    frame_others,
    frame_statistics,
    track_statistics,
)
from cmt_seg_ros.evaluation.scores.summary import SCHEMA_VERSION, Summary
from cmt_seg_ros.metrics.matching import confirmed_only
from cmt_seg_ros.metrics.scores import statistic_shapes
from cmt_seg_ros.metrics.tracking import FrameMatch
from cmt_seg_ros.structures import F64

_MALFORMED = (KeyError, TypeError, ValueError, IndexError)


@dataclass(frozen=True)
class FrameName:
    """What identifies a frame of a run: sequence, number in it from 0, name, time of capture in ns."""

    sequence: str
    index: int
    name: str
    stamp_ns: int


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """One evaluated run of F frames.

    Attributes:
        name: its folder, as people gave it.
        summary: the content of summary.json.
        classes: names.
        frames: sequence after sequence, each in order.
        statistics: by name (F, ...) float64, shapes as in :mod:`cmt_seg_ros.metrics.scores`; zeros where not known.
        known: by name (F,) bool, in which frames it is.
        infer_ms: (F,) float64, ms; nan where not known.
    """

    name: str
    summary: Summary
    classes: tuple[str, ...]
    frames: tuple[FrameName, ...]
    statistics: dict[str, F64]
    known: dict[str, npt.NDArray[np.bool_]]
    infer_ms: F64


def load_run(path: Path) -> EvaluatedRun:
    """Read a run.

    Args:
        path: its summary.json, or the folder of it; frames.jsonl lies beside.

    Raises:
        SourceError: a file is missing, damaged, or of another version of this software.
    """
    file = path if path.name == SUMMARY else path / SUMMARY
    summary = _read_summary(file)
    records = list(read_records(file.parent))
    try:
        records.sort(key=lambda record: (record["sequence"], record["index"]))
        classes = tuple(str(c["name"]) for c in summary["classes"])
        frames = tuple(FrameName(str(r["sequence"]), r["index"], str(r["name"]), r["stamp_ns"]) for r in records)
        infer_ms = np.array([_number((r["timing"] or {}).get("infer_ms")) for r in records], np.float64)
        statistics, known = _statistics(records, len(classes))
    except _MALFORMED as error:
        raise SourceError(f"{file.parent}: summary.json and frames.jsonl do not fit: {error!r}; {_AGAIN}") from error
    return EvaluatedRun(str(file.parent), summary, classes, frames, statistics, known, infer_ms)


_AGAIN = "make the run again with `cmt-seg evaluate`"


def _read_summary(path: Path) -> Summary:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        what = f"{path} is missing; give the summary.json, or the folder, that `cmt-seg evaluate` wrote"
        raise SourceError(what) from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} cannot be read: {error}; {_AGAIN}") from error
    version = summary.get("schema_version") if isinstance(summary, dict) else None
    if version != SCHEMA_VERSION:
        raise SourceError(f"{path} has schema_version {version}; this version reads {SCHEMA_VERSION}: {_AGAIN}")
    return cast(Summary, summary)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _statistics(records: Sequence[Record], classes: int) -> tuple[dict[str, F64], dict[str, npt.NDArray[np.bool_]]]:
    """Return arrays over all frames, and in which frames each is known."""
    arrays = {name: np.zeros((len(records), *shape)) for name, shape in statistic_shapes(classes).items()}
    known: dict[str, npt.NDArray[np.bool_]] = {name: np.zeros(len(records), np.bool_) for name in arrays}
    for row, record in enumerate(records):
        for name, value in frame_statistics(record, classes).items():
            arrays[name][row], known[name][row] = value, True
    for _, group in groupby(range(len(records)), key=lambda row: records[row]["sequence"]):
        rows = list(group)
        matched = [row for row in rows if records[row]["match"] is not None]
        for name, parts in track_statistics(_confirmed_matches([records[row] for row in rows])).items():
            arrays[name][matched], known[name][matched] = parts, True
    return arrays, known


def _confirmed_matches(records: Sequence[Record]) -> list[FrameMatch]:
    """Return, of one sequence, the frames that were compared, without tracks that do not count."""
    confirmed = {track_id for record in records for track_id in confirmed_ids(record)}
    matches = [record["match"] for record in records if record["match"] is not None]
    return confirmed_only([*map(frame_match, matches)], confirmed, [*map(frame_others, matches)])
