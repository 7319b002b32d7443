"""Scores of single frames: what a record adds to the sums of a run, its own scores, and the rows of frames.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cmt_seg_ros.evaluation.scores.frame_records import Match, Record
from cmt_seg_ros.files import ESCAPED
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics import scores
from cmt_seg_ros.metrics.matching import Others
from cmt_seg_ros.metrics.scores import Sums
from cmt_seg_ros.metrics.segmentation import I64, class_pixels
from cmt_seg_ros.metrics.tracking import FrameMatch, clear_parts, hota_parts, identity_parts
from cmt_seg_ros.structures import TrackState

SCORES = (
    *("mean_iou", "pixel_accuracy", "boundary_f", "objectness_iou", "ece", "temporal_agreement"),
    *("true_objects", "objects_found", "tracks"),
)
TIMES = ("read_ms", "infer_ms", "track_ms", "score_ms", "age_ms", "tracks_age_ms", "memory_mb")
_FOUND_IOU = 0.5


@dataclass(frozen=True, eq=False)
class ScoredFrame:
    """A record and what comes of it alone.

    Attributes:
        record: of the frame.
        statistics: what it adds to the sums, as of :func:`frame_statistics`.
        scores: by the names of :data:`SCORES`; shares are 0-1, None where unknown. ``objects_found`` are the true
            objects of which a track covers half (IoU).
    """

    record: Record
    statistics: dict[str, Sums]
    scores: dict[str, float | None]


class Sink(Protocol):
    """Takes the frames of one or several sequences, all frames of a sequence in a row."""

    def add(self, frame: ScoredFrame) -> None:
        """Take the next frame."""


def scored_frame(record: Record, num_classes: int) -> ScoredFrame:
    """Score one frame."""
    statistics = frame_statistics(record, num_classes)
    found: dict[str, float | None] = dict.fromkeys(SCORES)
    if "pixels" in statistics:
        found["mean_iou"] = float(scores.mean_iou(statistics["pixels"]))
        found["pixel_accuracy"] = float(scores.pixel_accuracy(statistics["pixels"]))
        found["boundary_f"] = float(scores.mean_boundary_f(statistics["boundary"]))
    if "objects" in statistics:
        found["objectness_iou"] = float(scores.class_iou(statistics["objects"])[1])
    if "calibration" in statistics:
        found["ece"] = float(scores.expected_calibration_error(statistics["calibration"]))
    if "temporal" in statistics:
        found["temporal_agreement"] = float(scores.share(statistics["temporal"]))
    if record["match"] is not None:
        rows = [max(row, default=0.0) for row in record["match"]["iou"]]
        found["true_objects"] = float(len(record["match"]["truth"]))
        found["objects_found"] = float(sum(iou >= _FOUND_IOU for iou in rows))
    if record["tracks"] is not None:
        found["tracks"] = float(len(record["tracks"]))
    known = {name: None if value is None or np.isnan(value) else value for name, value in found.items()}
    return ScoredFrame(record, statistics, known)


def frame_statistics(record: Record, num_classes: int) -> dict[str, Sums]:
    """Return what a frame adds to each statistic that needs no other frame, where it is known.

    Names and shapes are those of :mod:`cmt_seg_ros.metrics.scores`; "hota", "clear" and "identity" are not among them.
    """
    found: dict[str, Sums] = {"result": np.array([not record["lost"], 1], np.float64)}
    if record["confusion"] is not None:
        found["pixels"] = class_pixels(confusion_of(record, num_classes))
    if record["boundary_f"] is not None:
        values = np.array(record["boundary_f"], np.float64)  # None becomes nan
        found["boundary"] = np.stack([np.nan_to_num(values), ~np.isnan(values)])
    if record["objects"] is not None:
        found["objects"] = class_pixels(np.array(record["objects"], np.int64))
    if record["calibration"] is not None:
        found["calibration"] = np.array(record["calibration"], np.float64)
    if record["temporal"] is not None:
        found["temporal"] = np.array(record["temporal"], np.float64)
    if record["panoptic"] is not None:
        found["panoptic"] = np.zeros((num_classes, 4))
        for class_id, *parts in record["panoptic"]:
            found["panoptic"][class_id] = parts
    return found


def track_statistics(matches: Sequence[FrameMatch]) -> dict[str, Sums]:
    """Return what each frame of one sequence adds to the statistics of tracks, by name: (F, shape of the statistic)."""
    return {"hota": hota_parts(matches), "clear": clear_parts(matches), "identity": identity_parts(matches)}


def frame_match(match: Match) -> FrameMatch:
    """Return the match of a record as arrays."""
    truth, tracks = np.array(match["truth"], np.int64), np.array(match["tracks"], np.int64)
    return truth, tracks, np.array(match["iou"], np.float64).reshape(len(truth), len(tracks))


def frame_others(match: Match) -> Others | None:
    """Return the true boxes of a record that do not count as arrays; None: no track is on a distractor."""
    if "others" not in match:
        return None
    places, distractor, iou = zip(*match["others"], strict=True)
    return Others(np.array(places, np.int64), np.array(distractor, np.bool_), np.array(iou, np.float64))


def confirmed_ids(record: Record) -> set[int]:
    """Return the ids of the tracks that are confirmed in a frame."""
    return {row[0] for row in record["tracks"] or () if row[2] == TrackState.CONFIRMED}


def confusion_of(record: Record, num_classes: int) -> I64:
    """Return (C, C + 1) int64, the confusion matrix of a record."""
    matrix = np.zeros((num_classes, num_classes + 1), np.int64)
    for row, column, count in record["confusion"] or ():
        matrix[row, column] = count
    return matrix


class FrameTable:
    """Writes frames.csv: a row a frame with what it is, its scores, the IoU of each class, and its times.

    Args:
        path: of the file.
        labels: the predicted classes.

    Raises:
        OSError: the file cannot be written; also while writing.
    """

    def __init__(self, path: Path, labels: LabelSet) -> None:
        self._no_ious = [float("nan")] * len(labels)
        self._file = path.open("w", encoding="utf-8", errors=ESCAPED, newline="")
        self._table = csv.writer(self._file)
        classes = [f"iou_{name}" for name in labels.names]
        self._table.writerow(["sequence", "index", "name", "stamp_ns", "lost", *SCORES, *classes, *TIMES])

    def add(self, frame: ScoredFrame) -> None:
        """Write the next row."""
        record, pixels = frame.record, frame.statistics.get("pixels")
        what = record["sequence"], record["index"], record["name"], record["stamp_ns"], record["lost"]
        ious = self._no_ious if pixels is None else scores.class_iou(pixels).tolist()
        numbers = [*frame.scores.values(), *ious, *(record["timing"].get(name) for name in TIMES)]
        self._table.writerow([*what, *(_text(number) for number in numbers)])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _text(number: float | None) -> str:
    return "" if number is None or np.isnan(number) else f"{number:.6g}"
