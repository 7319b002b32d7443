"""A run as `cmt-seg compare` needs it: summary.json, and from frames.jsonl what each frame adds to each sum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.compare.scores import shapes
from cmt_seg_ros.evaluation.folder import SUMMARY
from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.evaluation.scores.summary import SCHEMA_VERSION, Summary
from cmt_seg_ros.evaluation.scores.totals import confusion_of
from cmt_seg_ros.metrics.matching import confirmed_only
from cmt_seg_ros.metrics.tracking import FrameMatch, clear_parts, hota_parts, identity_parts
from cmt_seg_ros.structures import F64, TrackState

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
        statistics: by name (F, ...) float64, shapes as of :func:`shapes`; zeros where not known.
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
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}; {_AGAIN}") from error
    version = summary.get("schema_version") if isinstance(summary, dict) else None
    if version != SCHEMA_VERSION:
        raise SourceError(f"{path} has schema_version {version}; this version reads {SCHEMA_VERSION}: {_AGAIN}")
    return cast(Summary, summary)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _statistics(records: Sequence[Record], classes: int) -> tuple[dict[str, F64], dict[str, npt.NDArray[np.bool_]]]:
    """Arrays over all frames, and in which frames each is known."""
    arrays = {name: np.zeros((len(records), *shape)) for name, shape in shapes(classes).items()}
    known: dict[str, npt.NDArray[np.bool_]] = {name: np.zeros(len(records), np.bool_) for name in arrays}
    for row, record in enumerate(records):
        for name, value in _of_frame(record, classes).items():
            arrays[name][row], known[name][row] = value, True
    for _, group in groupby(range(len(records)), key=lambda row: records[row]["sequence"]):
        rows = list(group)
        matched = [row for row in rows if records[row]["match"] is not None]
        matches = _confirmed_matches([records[row] for row in rows])
        for name, parts in (("hota", hota_parts), ("clear", clear_parts), ("identity", identity_parts)):
            arrays[name][matched], known[name][matched] = parts(matches), True
    return arrays, known


def _of_frame(record: Record, classes: int) -> dict[str, Any]:
    """Statistics of one frame that need no other frame, where it has them."""
    found: dict[str, Any] = {"result": (not record["lost"], 1)}
    if record["confusion"] is not None:
        matrix = confusion_of(record, classes)
        found["pixels"] = np.diagonal(matrix), matrix.sum(axis=1), matrix[:, :classes].sum(axis=0)
    if record["boundary_f"] is not None:
        scores = np.array(record["boundary_f"], np.float64)  # None becomes nan
        found["boundary"] = np.nan_to_num(scores), ~np.isnan(scores)
    if record["objects"] is not None:
        (_, wrong, _), (missed, right, unused) = record["objects"]
        found["objects"] = right, missed + right + unused, wrong + right
    if record["panoptic"] is not None:
        found["panoptic"] = np.zeros((4, classes))
        for class_id, *parts in record["panoptic"]:
            found["panoptic"][:, class_id] = parts
    return found | {name: record[name] for name in ("calibration", "temporal") if record[name] is not None}


def _confirmed_matches(records: Sequence[Record]) -> list[FrameMatch]:
    """Of one sequence, the frames that were compared, without tracks that were never confirmed."""
    confirmed = {row[0] for record in records for row in record["tracks"] or () if row[2] == TrackState.CONFIRMED}
    matches = [record["match"] for record in records if record["match"] is not None]
    sizes = [(len(match["truth"]), len(match["tracks"])) for match in matches]
    return confirmed_only(
        [
            (m["truth"], m["tracks"], np.array(m["iou"], np.float64).reshape(size))
            for m, size in zip(matches, sizes, strict=True)
        ],
        confirmed,
    )
