"""Totals: sums over frames of what the records count, and the scores of the whole that come of them."""

from __future__ import annotations

from collections import Counter
from typing import TypedDict

import numpy as np

from cmt_seg_ros.evaluation.scores.frame_records import Record, is_compared
from cmt_seg_ros.evaluation.scores.frame_scores import (
    ScoredFrame,
    confirmed_ids,
    confusion_of,
    frame_match,
    frame_others,
    track_statistics,
)
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics import scores
from cmt_seg_ros.metrics.boundary import TOLERANCE_PX
from cmt_seg_ros.metrics.calibration import BINS
from cmt_seg_ros.metrics.matching import MIN_OBJECT_FRACTION, Others, confirmed_only
from cmt_seg_ros.metrics.panoptic import panoptic_quality
from cmt_seg_ros.metrics.scores import Sums
from cmt_seg_ros.metrics.segmentation import I64
from cmt_seg_ros.metrics.tracking import FrameMatch
from cmt_seg_ros.structures import F64


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


class Totals:
    """Adds up the frames of one or several sequences, all frames of a sequence in a row.

    Args:
        labels: the predicted classes.

    Attributes:
        frames, with_masks, with_truth: how many came, have masks, were compared with ground truth.
        lost: frames lost, by reason.
        size_px: height and width of the last masks; None without any.
    """

    def __init__(self, labels: LabelSet) -> None:
        self._names = labels.names
        self._sums: dict[str, Sums] = {
            name: np.zeros(shape) for name, shape in scores.statistic_shapes(len(labels)).items()
        }
        self._known: Counter[str] = Counter()  # frames by statistic
        self._confusion: I64 = np.zeros((len(labels), len(labels) + 1), np.int64)
        # Of the tracks of the sequence that goes on; identities are settled when it is over.
        self._sequence: str | None = None
        self._matches: list[FrameMatch] = []
        self._others: list[Others | None] = []
        self._confirmed: set[int] = set()
        self._kind = ""
        self._counts: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.frames = self.with_masks = self.with_truth = 0
        self.size_px: tuple[int, int] | None = None

    def add(self, frame: ScoredFrame) -> None:
        """Take the next frame."""
        record = frame.record
        self.frames += 1
        if record["lost"]:
            self.lost[record["lost"]] += 1
        self.with_masks += record["size_px"] is not None
        self.with_truth += is_compared(record)
        self.size_px = record["size_px"] or self.size_px
        for name, values in frame.statistics.items():
            self._sums[name] += values
            self._known[name] += 1
        self._confusion += confusion_of(record, len(self._names))
        self._add_tracks(record)

    def _add_tracks(self, record: Record) -> None:
        if record["sequence"] != self._sequence:
            self._end_sequence()
            self._sequence = record["sequence"]
        self._confirmed |= confirmed_ids(record)
        match = record["match"]
        if match is not None:
            self._kind = match["kind"]
            self._counts += Counter(frames=1, ignored=record["ignored"] or 0)
            self._matches.append(frame_match(match))
            self._others.append(frame_others(match))

    def _end_sequence(self) -> None:
        """Match the sequence as a whole, without tracks that were never confirmed: subscribers ignore those."""
        kept = confirmed_only(self._matches, self._confirmed, self._others)
        for name, parts in track_statistics(kept).items():
            self._sums[name] += parts.sum(axis=0)
        for side, name in enumerate(("true_objects", "tracks")):
            self._counts[name] += len({int(i) for match in kept for i in np.asarray(match[side])})
        self._matches, self._others, self._confirmed = [], [], set()

    def scores(self) -> Scores:
        """Return the scores of all frames so far."""
        return {
            "masks": self._mask_scores(),
            "objectness": self._object_scores(),
            "calibration": self._calibration_scores(),
            "temporal": self._temporal_scores(),
            "tracks": self._track_scores(),
            "panoptic": self._panoptic_scores(),
        }

    def _mask_scores(self) -> MaskScores | None:
        pixels, boundary = self._sums["pixels"], self._sums["boundary"]
        if not self._known["pixels"]:
            return None
        ious = scores.class_iou(pixels)
        worst = None if np.isnan(ious).all() else int(np.nanargmin(ious))
        return {
            "frames": self._known["pixels"],
            "mean_iou": float(scores.mean_iou(pixels)),
            "pixel_accuracy": float(scores.pixel_accuracy(pixels)),
            "worst_class": None if worst is None else {"name": self._names[worst], "iou": float(ious[worst])},
            "mean_boundary_f": float(scores.mean_boundary_f(boundary)),
            "boundary_tolerance_px": TOLERANCE_PX,
            "class_iou": self._by_class(ious),
            "class_boundary_f": self._by_class(scores.class_boundary_f(boundary)),
            "true_pixels": dict(zip(self._names, self._confusion.sum(axis=1).tolist(), strict=True)),
            "confusion": self._confusion.tolist(),
        }

    def _object_scores(self) -> ObjectnessScores | None:
        pixels = self._sums["objects"]
        if not self._known["objects"]:
            return None
        return {
            "frames": self._known["objects"],
            "iou": float(scores.class_iou(pixels)[1]),
            "precision": float(scores.class_precision(pixels)[1]),
            "recall": float(scores.class_recall(pixels)[1]),
        }

    def _calibration_scores(self) -> CalibrationScores | None:
        sums = self._sums["calibration"]
        if not self._known["calibration"]:
            return None
        edges = np.linspace(0.0, 1.0, BINS + 1).tolist()
        bins: list[Bin] = []
        for low, high, (pixels, confidence, right) in zip(edges, edges[1:], sums.tolist(), strict=False):
            means = (confidence / pixels, right / pixels) if pixels else (None, None)
            bins.append({"low": low, "high": high, "pixels": int(pixels), "confidence": means[0], "accuracy": means[1]})
        ece = float(scores.expected_calibration_error(sums))
        return {"frames": self._known["calibration"], "ece": ece, "bins": bins}

    def _temporal_scores(self) -> TemporalScores | None:
        if not self._known["temporal"]:
            return None
        return {"frames": self._known["temporal"], "agreement": float(scores.share(self._sums["temporal"]))}

    def _track_scores(self) -> TrackScores | None:
        """Score the tracks of all sequences together, as TrackEval combines them: by their sums."""
        self._end_sequence()
        if not self._counts["frames"]:
            return None
        of_hota, clear = self._sums["hota"], self._sums["clear"]
        return {
            "frames": self._counts["frames"],
            "truth": self._kind,
            "hota": float(scores.hota(of_hota)),
            "det_a": float(scores.det_a(of_hota)),
            "ass_a": float(scores.ass_a(of_hota)),
            "idf1": float(scores.idf1(self._sums["identity"])),
            "mota": float(scores.mota(clear)),
            "id_switches": int(clear[3]),
            "true_objects": self._counts["true_objects"],
            "tracks": self._counts["tracks"],
            "ignored": self._counts["ignored"],
            "min_object_fraction": MIN_OBJECT_FRACTION if self._kind == "masks" else 0.0,
        }

    def _panoptic_scores(self) -> PanopticScores | None:
        if not self._known["panoptic"]:
            return None
        quality = panoptic_quality(self._sums["panoptic"])
        class_pq = self._by_class(quality.class_pq)
        frames = self._known["panoptic"]
        return {"frames": frames, "pq": quality.pq, "sq": quality.sq, "rq": quality.rq, "class_pq": class_pq}

    def _by_class(self, values: F64) -> dict[str, float | None]:
        return dict(zip(self._names, values.tolist(), strict=True))
