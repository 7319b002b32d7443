"""One line of frames.jsonl: every count that the scores of a frame are made of.

Counts add up over frames, so one frame is enough to know at a time, a run can stop and go on, and `cmt-seg compare`
can draw frames again. What the keys mean: docs/evaluation.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.images.pixels import to_bgr
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.metrics.boundary import boundary_f_per_class
from cmt_seg_ros.metrics.calibration import calibration_bins
from cmt_seg_ros.metrics.matching import MIN_OBJECT_FRACTION, match_boxes, match_instances
from cmt_seg_ros.metrics.panoptic import panoptic_parts
from cmt_seg_ros.metrics.segmentation import confusion_matrix
from cmt_seg_ros.metrics.temporal import TemporalConsistency
from cmt_seg_ros.metrics.tracking import FrameMatch
from cmt_seg_ros.structures import U8, GroundTruth, Segmentation, Track, TrackState

Record = dict[str, Any]


class RecordBuilder:
    """Makes the records of one sequence, in the order of its frames.

    Args:
        sequence: its name.
        labels: what the predicted class ids mean.
        truth_labels: what the true ones mean; classes are the same where their names are.
    """

    def __init__(self, sequence: str, labels: LabelSet, truth_labels: LabelSet) -> None:
        self._sequence, self._labels = sequence, labels
        self._known = known_ids(truth_labels, labels)
        self._temporal = TemporalConsistency()

    def record(self, result: FrameResult) -> Record:
        """The record of the next frame."""
        begun = time.perf_counter()
        record: Record = {
            "sequence": self._sequence,
            "index": result.index,
            "name": result.frame.name,
            "stamp_ns": result.frame.stamp_ns,
            "lost": result.lost,
            **dict.fromkeys(("size_px", "confusion", "boundary_f", "objects", "calibration", "temporal", "panoptic")),
            **dict.fromkeys(("match", "ignored", "tracks")),
        }
        segmentation, truth = result.segmentation, result.frame.truth
        if segmentation is not None:
            record["size_px"] = list(segmentation.class_ids.shape)
            record["temporal"] = self._temporal.add(to_bgr(result.frame), segmentation.class_ids)
            if truth is not None and truth.class_ids is not None:
                record |= self._masks(segmentation, truth.class_ids, truth)
        if result.tracks is not None:
            record["tracks"] = [_row(track) for track in result.tracks if track.state != TrackState.LOST]
            record |= self._tracks(result, truth)
        timing = {f"{name}_ms": value for name, value in result.timing_ms.items()}
        timing["score_ms"] = 1e3 * (time.perf_counter() - begun)
        record["timing"] = {**timing, "memory_mb": memory_mb()}
        return record

    def _masks(self, segmentation: Segmentation, true_ids: U8, truth: GroundTruth) -> Record:
        """Classes against classes where their names are known, objectness in any case."""
        found: Record = {}
        if truth.objectness is not None and segmentation.objectness is not None:
            true_objects = np.where(
                true_ids == IGNORE_ID, np.uint8(IGNORE_ID), (truth.objectness != 0).astype(np.uint8)
            )
            predicted = (segmentation.objectness != 0).astype(np.uint8)
            found["objects"] = confusion_matrix(true_objects, predicted, 2).tolist()
        if self._known is None:
            return found
        ids, true_ids = segmentation.class_ids, self._known[true_ids]
        found["confusion"] = _entries(confusion_matrix(true_ids, ids, len(self._labels)))
        found["boundary_f"] = _floats(boundary_f_per_class(true_ids, ids, len(self._labels)))
        if segmentation.confidence is not None:
            found["calibration"] = calibration_bins(true_ids, ids, segmentation.confidence).tolist()
        return found

    def _tracks(self, result: FrameResult, truth: GroundTruth | None) -> Record:
        """Objects against objects: by their pixels where these are known, else by their boxes."""
        if truth is None or result.tracks is None:
            return {}
        if truth.instance_ids is not None and result.instances is not None:
            smallest = round(MIN_OBJECT_FRACTION * truth.instance_ids.size)
            match, ignored = match_instances(truth.instance_ids, result.instances, smallest, truth.class_ids)
            return {"match": _plain("masks", match), "ignored": ignored, "panoptic": self._panoptic(result, truth)}
        if truth.boxes_px is not None:
            rows = [_row(track) for track in result.tracks if is_seen(track)]
            return {"match": _plain("boxes", match_boxes(truth.boxes_px, rows)), "ignored": 0}
        return {}

    def _panoptic(self, result: FrameResult, truth: GroundTruth) -> list[Any] | None:
        true_ids, masks = truth.class_ids, result.segmentation
        if self._known is None or true_ids is None or masks is None:
            return None
        if truth.instance_ids is None or result.instances is None:
            return None
        parts = panoptic_parts(
            self._known[true_ids], truth.instance_ids, masks.class_ids, result.instances, self._labels
        )
        return [[int(c), float(iou), int(tp), int(fp), int(fn)] for c, iou, tp, fp, fn in parts]


def is_compared(record: Record) -> bool:
    """Whether anything of the frame was compared with ground truth."""
    return any(record[key] is not None for key in ("confusion", "objects", "match"))


def known_ids(truth: LabelSet, labels: LabelSet) -> U8 | None:
    """(256,) uint8: predicted class id for each true one by its name, else 255; None if no name is in both."""
    lut = np.full(256, IGNORE_ID, np.uint8)
    for known in truth.classes:
        if known.name in labels.names:
            lut[known.id] = labels.names.index(known.name)
    return lut if (lut != IGNORE_ID).any() else None


def is_seen(track: Track) -> bool:
    """Whether the frame shows the track."""
    return track.state in (TrackState.TENTATIVE, TrackState.CONFIRMED)


def track_of(row: Sequence[Any]) -> Track:
    """A track from its row in a record, without pixels and velocity."""
    track_id, class_id, state, left, top, width, height, score = row
    box = (left, top, left + width, top + height)
    return Track(track_id, class_id, box, (0.0, 0.0), score, TrackState(state), 0.0, 0.0)


def memory_mb() -> float | None:
    """Memory of this process that is in use now, 1e6 bytes; None where /proc does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * 4096 / 1e6, 1)


def _row(track: Track) -> list[Any]:
    """Id, class, state, and left, top, width, height in px and score as tracks.txt has them."""
    left, top, right, bottom = track.box_px
    numbers = (left, top, right - left, bottom - top, track.score)
    return [int(track.track_id), int(track.class_id), int(track.state), *(round(float(v), 2) for v in numbers)]


def _entries(matrix: npt.NDArray[np.int64]) -> list[list[int]]:
    """(row, column, value) of what is not zero."""
    return [[int(r), int(c), int(matrix[r, c])] for r, c in np.argwhere(matrix)]


def _floats(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def _plain(kind: str, match: FrameMatch) -> Record:
    truth, tracks, similarity = (np.asarray(part) for part in match)
    return {"kind": kind, "truth": truth.tolist(), "tracks": tracks.tolist(), "iou": similarity.tolist()}
