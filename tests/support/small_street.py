"""A clip of tiny frames whose scores are known, and its results as an evaluation has them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.folder import RECORDS
from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.evaluation.report.history import HistoryBuilder, RunHistory
from cmt_seg_ros.evaluation.scores.frame_records import RecordBuilder
from cmt_seg_ros.evaluation.scores.frame_scores import scored_frame
from cmt_seg_ros.evaluation.scores.summary import RunInfo, Summary, plain, summarise
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import Frame, GroundTruth, Segmentation, Track, TrackState

START_NS, PERIOD_NS = 1_700_000_000_000_000_000, 100_000_000
INFO = RunInfo(
    "a <clip> & more", "offline", "some-model", {"source": {"frames": 10}}, device="CPU", wall_s=2.0, cpu_s=3.0
)


def street(frames: int = 10) -> list[FrameResult]:
    """Two cars of 5 x 4 pixels and a speck of one pixel; the left one changes its track half way.

    The masks call a sixteenth of the road pavement, miss the speck and leave the last frame out.
    """
    return [*(_result(i, left_track(i, frames)) for i in range(frames - 1)), _lost(frames - 1)]


def left_track(index: int, frames: int) -> int:
    """Id of the left car's track."""
    return 11 if index < frames // 2 else 13


def images(left_id: int) -> tuple[np.ndarray, ...]:
    """(16, 16) each: true class ids and object ids, found class ids, objectness (0, 255) and track ids."""
    classes = np.full((16, 16), 3, np.uint8)
    objects, tracked = np.zeros((16, 16), np.uint16), np.zeros((16, 16), np.uint16)
    objects[2:6, 0:5], objects[8:12, 8:13], objects[15, 15] = 1, 2, 3
    classes[objects > 0] = 8
    classes[0, 0] = 255
    tracked[2:6, 0:5], tracked[8:12, 8:13] = left_id, 12
    mask = classes.copy()
    mask[0, 0], mask[15, 15], mask[0, 1:15] = 3, 3, 4
    return classes, objects, mask, np.where(mask == 8, 255, 0).astype(np.uint8), tracked


def _result(index: int, left_id: int) -> FrameResult:
    classes, objects, mask, objectness, tracked = images(left_id)
    confidence = np.full((16, 16), 230, np.uint8)
    truth = GroundTruth(classes, np.where(classes == 8, 255, 0).astype(np.uint8), objects)
    frame = _frame(index, truth)
    segmentation = Segmentation("camera", frame.stamp_ns, mask, objectness, confidence)
    tracks = [
        _track(left_id, (0, 2, 5, 6), TrackState.CONFIRMED),
        _track(12, (8, 8, 13, 12), TrackState.CONFIRMED),
        _track(98, (0, 0, 1, 1), TrackState.LOST),
        _track(99, (0, 0, 2, 2), TrackState.TENTATIVE),
    ]
    return FrameResult(index, frame, segmentation, tracks, tracked, timing_ms={"read": 1.0, "infer": 20.0 + index})


def _lost(index: int) -> FrameResult:
    return FrameResult(index, _frame(index, None), lost="malformed", timing_ms={"read": 1.0})


def _frame(index: int, truth: GroundTruth | None) -> Frame:
    return Frame(
        "camera", START_NS + index * PERIOD_NS, np.full((16, 16, 3), 90, np.uint8), name=f"{index:06d}", truth=truth
    )


def _track(track_id: int, box: tuple[float, float, float, float], state: TrackState) -> Track:
    return Track(track_id, 8, box, (0.0, 0.0), 1.0, state, 1.0, 0.0)


def records_of(results: Iterable[FrameResult], sequence: str = "street") -> list[dict[str, Any]]:
    """Their records, with times that are the same on every machine."""
    builder = RecordBuilder(sequence, CAMVID, CAMVID)
    records = [plain(builder.record(result)) for result in results]
    return [{**r, "timing": {**r["timing"], "score_ms": 3.0, "memory_mb": 200.0}} for r in records]


def without_truth(results: Iterable[FrameResult]) -> list[FrameResult]:
    """The same, but nothing is known of what is true."""
    return [replace(r, frame=replace(r.frame, truth=None)) for r in results]


def write_records(folder: Path, records: Iterable[dict[str, Any]], info: RunInfo = INFO) -> tuple[Summary, RunHistory]:
    """Write frames.jsonl; returns the summary and the history."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORDS).write_text("".join(json.dumps(record) + "\n" for record in records))
    history = HistoryBuilder()
    return summarise(read_records(folder), CAMVID, info, [history]), history.history()


def history_of(records: Iterable[dict[str, Any]]) -> RunHistory:
    """The history of records."""
    builder = HistoryBuilder()
    for record in records:
        builder.add(scored_frame(record, len(CAMVID)))
    return builder.history()
