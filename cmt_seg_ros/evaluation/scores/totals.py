"""Totals: sums over frames of what the records count, and the scores of the whole that come of them."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

import numpy as np

from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics.boundary import TOLERANCE_PX
from cmt_seg_ros.metrics.calibration import BINS, expected_calibration_error
from cmt_seg_ros.metrics.matching import MIN_OBJECT_FRACTION, confirmed_only
from cmt_seg_ros.metrics.panoptic import panoptic_quality
from cmt_seg_ros.metrics.segmentation import (
    I64,
    iou_per_class,
    mean_iou,
    mean_known,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
)
from cmt_seg_ros.metrics.tracking import (
    ClearScores,
    FrameMatch,
    HotaScores,
    IdentityScores,
    clear_mot,
    combine_hota,
    hota,
    identity,
)
from cmt_seg_ros.structures import F64, TrackState


class ClassScore(TypedDict):
    """A class and its IoU, 0-1."""

    name: str
    iou: float


class MaskScores(TypedDict):
    """Classes against classes, by name of the class where there is one for each; shares are 0-1, None where undefined.

    ``confusion`` is (C, C + 1), rows true, last column unlabelled.
    """

    frames: int
    mean_iou: float | None
    pixel_accuracy: float | None
    worst_class: ClassScore | None
    mean_boundary_f: float | None
    boundary_tolerance_px: int
    class_iou: dict[str, float | None]
    class_boundary_f: dict[str, float | None]
    true_pixels: dict[str, int]
    confusion: list[list[int]]


class ObjectnessScores(TypedDict):
    """Object or not, pixel by pixel; 0-1, None where undefined."""

    frames: int
    iou: float | None
    precision: float | None
    recall: float | None


class Bin(TypedDict):
    """Pixels of a confidence from ``low`` to ``high``: mean confidence, and share of right ones; 0-1."""

    low: float
    high: float
    pixels: int
    confidence: float | None
    accuracy: float | None


class CalibrationScores(TypedDict):
    """Expected calibration error, 0-1, and its bins."""

    frames: int
    ece: float | None
    bins: list[Bin]


class TemporalScores(TypedDict):
    """Share of pixels that agree with the frame before, 0-1."""

    frames: int
    agreement: float | None


class TrackScores(TypedDict):
    """Tracks against true objects, by their masks or boxes (``truth``); shares are 0-1, None where undefined."""

    frames: int
    truth: str
    hota: float | None
    det_a: float | None
    ass_a: float | None
    idf1: float | None
    mota: float | None
    id_switches: int
    true_objects: int
    tracks: int
    ignored: int
    min_object_fraction: float


class PanopticScores(TypedDict):
    """Panoptic, segmentation and recognition quality, 0-1, None where undefined."""

    frames: int
    pq: float | None
    sq: float | None
    rq: float | None
    class_pq: dict[str, float | None]


class Scores(TypedDict):
    """Every score; None where nothing of that kind was compared."""

    masks: MaskScores | None
    objectness: ObjectnessScores | None
    calibration: CalibrationScores | None
    temporal: TemporalScores | None
    tracks: TrackScores | None
    panoptic: PanopticScores | None


def frame_iou(record: Record, num_classes: int) -> float | None:
    """Mean IoU of one frame over the classes that occur in it, 0-1; None without ground truth."""
    if not record["confusion"]:
        return None
    value = mean_iou(confusion_of(record, num_classes))
    return None if np.isnan(value) else value


def confusion_of(record: Record, num_classes: int) -> I64:
    """(C, C + 1) int64, the confusion matrix of a record."""
    matrix = np.zeros((num_classes, num_classes + 1), np.int64)
    for row, column, count in record["confusion"] or ():
        matrix[row, column] = count
    return matrix


class Totals:
    """Takes the records of one or several sequences, all frames of a sequence in a row.

    Args:
        labels: the predicted classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        count = len(labels)
        self._labels = labels
        self._masks = self._object_frames = self._calibrated = self._consistent = self._panoptic_frames = 0
        self._confusion: I64 = np.zeros((count, count + 1), np.int64)
        self._objects: I64 = np.zeros((2, 3), np.int64)
        self._boundary: F64 = np.zeros((2, count))  # sum, and number of frames
        self._calibration: F64 = np.zeros((BINS, 3))
        self._temporal: I64 = np.zeros(2, np.int64)
        self._panoptic: F64 = np.zeros((count, 4))
        self._tracks = _TrackTotals()
        self.lost: Counter[str] = Counter()
        self.frames = self.with_masks = 0

    def add(self, record: Record) -> None:
        """Take the next record."""
        self.frames += 1
        if record["lost"]:
            self.lost[record["lost"]] += 1
        self.with_masks += record["size_px"] is not None
        self._tracks.add(record)
        if record["objects"] is not None:
            self._object_frames += 1
            self._objects += np.array(record["objects"], np.int64)
        if record["confusion"] is not None:
            self._masks += 1
            self._confusion += confusion_of(record, len(self._labels))
            scores = np.array(record["boundary_f"], np.float64)
            self._boundary += np.nan_to_num(scores), ~np.isnan(scores)
        if record["calibration"] is not None:
            self._calibrated += 1
            self._calibration += record["calibration"]
        if record["temporal"] is not None:
            self._consistent += 1
            self._temporal += record["temporal"]
        if record["panoptic"] is not None:
            self._panoptic_frames += 1
            for class_id, *parts in record["panoptic"]:
                self._panoptic[class_id] += parts

    def scores(self) -> Scores:
        """Return the scores of all frames so far."""
        return {
            "masks": self._mask_scores(),
            "objectness": self._object_scores(),
            "calibration": self._calibration_scores(),
            "temporal": self._temporal_scores(),
            "tracks": self._tracks.scores(),
            "panoptic": self._panoptic_scores(),
        }

    def _mask_scores(self) -> MaskScores | None:
        if not self._masks:
            return None
        ious, names = iou_per_class(self._confusion), self._labels.names
        sums, frames = self._boundary
        boundary = np.divide(sums, frames, out=np.full(len(names), np.nan), where=frames > 0)
        worst = None if np.isnan(ious).all() else int(np.nanargmin(ious))
        return {
            "frames": self._masks,
            "mean_iou": mean_iou(self._confusion),
            "pixel_accuracy": pixel_accuracy(self._confusion),
            "worst_class": None if worst is None else {"name": names[worst], "iou": float(ious[worst])},
            "mean_boundary_f": mean_known(boundary),
            "boundary_tolerance_px": TOLERANCE_PX,
            "class_iou": dict(zip(names, ious.tolist(), strict=True)),
            "class_boundary_f": dict(zip(names, boundary.tolist(), strict=True)),
            "true_pixels": dict(zip(names, self._confusion.sum(axis=1).tolist(), strict=True)),
            "confusion": self._confusion.tolist(),
        }

    def _object_scores(self) -> ObjectnessScores | None:
        if not self._object_frames:
            return None
        return {
            "frames": self._object_frames,
            "iou": float(iou_per_class(self._objects)[1]),
            "precision": float(precision_per_class(self._objects)[1]),
            "recall": float(recall_per_class(self._objects)[1]),
        }

    def _calibration_scores(self) -> CalibrationScores | None:
        if not self._calibrated:
            return None
        edges = np.linspace(0.0, 1.0, BINS + 1).tolist()
        bins: list[Bin] = []
        for low, high, (pixels, confidence, right) in zip(edges, edges[1:], self._calibration.tolist(), strict=False):
            means = (confidence / pixels, right / pixels) if pixels else (None, None)
            bins.append({"low": low, "high": high, "pixels": int(pixels), "confidence": means[0], "accuracy": means[1]})
        return {"frames": self._calibrated, "ece": expected_calibration_error(self._calibration), "bins": bins}

    def _temporal_scores(self) -> TemporalScores | None:
        agreeing, compared = self._temporal.tolist()
        if not self._consistent:
            return None
        return {"frames": self._consistent, "agreement": agreeing / compared if compared else None}

    def _panoptic_scores(self) -> PanopticScores | None:
        if not self._panoptic_frames:
            return None
        quality = panoptic_quality(self._panoptic)
        names = self._labels.names
        return {
            "frames": self._panoptic_frames,
            "pq": quality.pq,
            "sq": quality.sq,
            "rq": quality.rq,
            "class_pq": dict(zip(names, quality.class_pq.tolist(), strict=True)),
        }


class _TrackTotals:
    """Matches of true objects and tracks; identities are settled when a sequence is over."""

    def __init__(self) -> None:
        self._sequence: str | None = None
        self._kind = ""
        self._matches: list[FrameMatch] = []
        self._confirmed: set[int] = set()
        self._scores: list[tuple[HotaScores, ClearScores, IdentityScores]] = []  # of each sequence
        self._counts: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Take the next record."""
        if record["sequence"] != self._sequence:
            self._finish()
            self._sequence = record["sequence"]
        self._confirmed |= {row[0] for row in record["tracks"] or () if row[2] == TrackState.CONFIRMED}
        match = record["match"]
        if match is not None:
            self._kind = match["kind"]
            self._counts += Counter(frames=1, ignored=record["ignored"] or 0)
            truth, tracks = (np.array(match[side], np.int64) for side in ("truth", "tracks"))
            self._matches.append((truth, tracks, np.array(match["iou"], np.float64).reshape(len(truth), len(tracks))))

    def scores(self) -> TrackScores | None:
        """Scores of all sequences, combined as TrackEval does."""
        self._finish()
        if not self._scores:
            return None
        of_hota = combine_hota([scores[0] for scores in self._scores])
        clear = ClearScores(*np.sum([[s.tp, s.fn, s.fp, s.id_switches] for _, s, _ in self._scores], axis=0).tolist())
        ids = IdentityScores(*np.sum([[s.idtp, s.idfn, s.idfp] for *_, s in self._scores], axis=0).tolist())
        return {
            "frames": self._counts["frames"],
            "truth": self._kind,
            "hota": of_hota.hota,
            "det_a": of_hota.det_a,
            "ass_a": of_hota.ass_a,
            "idf1": ids.idf1,
            "mota": clear.mota,
            "id_switches": clear.id_switches,
            "true_objects": self._counts["true_objects"],
            "tracks": self._counts["tracks"],
            "ignored": self._counts["ignored"],
            "min_object_fraction": MIN_OBJECT_FRACTION if self._kind == "masks" else 0.0,
        }

    def _finish(self) -> None:
        """Score the sequence. Tracks that were never confirmed do not exist for who listens to confirmed ones."""
        kept = confirmed_only(self._matches, self._confirmed)
        if kept:
            self._scores.append((hota(kept), clear_mot(kept), identity(kept)))
            for side, name in enumerate(("true_objects", "tracks")):
                self._counts[name] += len({int(i) for match in kept for i in np.asarray(match[side])})
        self._matches, self._confirmed = [], set()
