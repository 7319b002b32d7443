"""The scores of single frames: frames.csv, the plots of the annotated bag, and which frames were best and worst."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.evaluation.scores.totals import confusion_of
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics.calibration import expected_calibration_error
from cmt_seg_ros.metrics.segmentation import I64, iou_per_class, mean_iou, mean_known, pixel_accuracy

SCORES = (
    *("mean_iou", "pixel_accuracy", "boundary_f", "objectness_iou", "ece", "temporal_agreement"),
    *("true_objects", "objects_found", "tracks"),
)
TIMES = ("read_ms", "infer_ms", "track_ms", "score_ms", "age_ms", "tracks_age_ms", "memory_mb")
_FOUND_IOU = 0.5


def frame_scores(record: Record, labels: LabelSet) -> dict[str, float | None]:
    """Scores of one frame by the names of :data:`SCORES`; shares are 0-1, None where unknown.

    ``objects_found`` are the true objects of which a track covers half (IoU).
    """
    scores: dict[str, float | None] = dict.fromkeys(SCORES)
    if record["confusion"]:
        confusion = confusion_of(record, len(labels))
        scores["mean_iou"], scores["pixel_accuracy"] = mean_iou(confusion), pixel_accuracy(confusion)
        scores["boundary_f"] = mean_known(np.array(record["boundary_f"], np.float64))
    if record["objects"] is not None:
        objects: I64 = np.array(record["objects"], np.int64)
        scores["objectness_iou"] = float(iou_per_class(objects)[1])
    if record["calibration"] is not None:
        scores["ece"] = expected_calibration_error(np.array(record["calibration"], np.float64))
    if record["temporal"] is not None and record["temporal"][1]:
        scores["temporal_agreement"] = record["temporal"][0] / record["temporal"][1]
    if record["match"] is not None:
        rows = [max(row, default=0.0) for row in record["match"]["iou"]]
        scores["true_objects"] = float(len(record["match"]["truth"]))
        scores["objects_found"] = float(sum(iou >= _FOUND_IOU for iou in rows))
    if record["tracks"] is not None:
        scores["tracks"] = float(len(record["tracks"]))
    return {name: None if value is None or np.isnan(value) else value for name, value in scores.items()}


def write_csv(path: Path, records: Iterable[Record], labels: LabelSet) -> None:
    """Write a row a frame: what it is, its scores, the IoU of each class, and its times.

    Raises:
        OSError: the file cannot be written.
    """
    classes = [f"iou_{name}" for name in labels.names]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["sequence", "index", "name", "stamp_ns", "lost", *SCORES, *classes, *TIMES])
        for record in records:
            scores = frame_scores(record, labels)
            ious = iou_per_class(confusion_of(record, len(labels)))
            what = [record[key] for key in ("sequence", "index", "name", "stamp_ns", "lost")]
            numbers = [*(scores[name] for name in SCORES), *ious.tolist(), *(record["timing"].get(t) for t in TIMES)]
            table.writerow([*what, *(_text(number) for number in numbers)])


def _text(number: float | None) -> str:
    return "" if number is None or np.isnan(number) else f"{number:.6g}"
