"""Record: one line of frames.jsonl, every count that the scores of a frame are made of; and what makes the records.

Counts add up over frames. So one frame at a time is enough, a run can stop and go on, and `cmt-seg compare` can
resample frames. docs/evaluation.md says what the keys mean to users.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.images.pixels import to_bgr
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.metrics.boundary import boundary_f_per_class
from cmt_seg_ros.metrics.calibration import calibration_bins
from cmt_seg_ros.metrics.matching import MIN_OBJECT_FRACTION, match_boxes, match_instances, match_others
from cmt_seg_ros.metrics.panoptic import Part, panoptic_parts
from cmt_seg_ros.metrics.segmentation import confusion_matrix
from cmt_seg_ros.metrics.temporal import TemporalConsistency
from cmt_seg_ros.metrics.tracking import FrameMatch
from cmt_seg_ros.sources.masks import OBJECT
from cmt_seg_ros.sources.truth.boxes import MOT_CLASSES
from cmt_seg_ros.structures import U8, GroundTruth, Segmentation, Track, TrackState
from cmt_seg_ros.tracking.render import image_id

TrackRow = tuple[int, int, int, float, float, float, float, float]
"""A track in one frame: id, class id, state, and left, top, width, height in px and score as tracks.txt has them."""


class _Match(TypedDict):
    kind: str
    truth: list[int]
    tracks: list[int]
    iou: list[list[float]]


class Match(_Match, total=False):
    """True objects and tracks of one frame, and how alike they are.

    Attributes:
        kind: "masks" or "boxes", of which the IoU is.
        truth: N ids of true objects.
        tracks: M ids of tracks; those of masks as in the instance image.
        iou: (N, M) IoU, 0-1.
        others: K true boxes that do not count and have tracks on them, where some are distractors: of each its place
            (how many of ``truth`` come before it), 1 if it is a distractor, and M IoU. Left out where there are none.
    """

    others: list[tuple[int, int, list[float]]]


class Record(TypedDict):
    """One frame. None: not known, because the frame was lost or has no ground truth of that kind.

    Attributes:
        sequence: name of the sequence.
        index: number of the frame in it, from 0.
        name: of the frame.
        stamp_ns: time of capture, ns.
        lost: why there are no masks, a short key; empty if there are.
        size_px: height and width of the masks.
        confusion: (true class, predicted class, pixels) where there are pixels; predicted C = unlabelled.
        boundary_f: boundary F-score of each class, 0-1; None for a class without a boundary.
        objects: (2, 3) confusion matrix of no object, object; last column unlabelled.
        calibration: (15, 3), of each bin of confidence its pixels, their confidences added up, and right ones.
        temporal: pixels that agree with the frame before, and pixels that were compared.
        panoptic: of each class that occurs: id, sum of the IoU of its matches, TP, FP, FN.
        match: true objects and tracks.
        ignored: number of true objects that are too small to count.
        tracks: those of this frame, of every state but LOST.
        timing: ``<stage>_ms`` of each stage in ms, and ``memory_mb`` of the process.
    """

    sequence: str
    index: int
    name: str
    stamp_ns: int
    lost: str
    size_px: tuple[int, int] | None
    confusion: list[tuple[int, int, int]] | None
    boundary_f: list[float | None] | None
    objects: list[list[int]] | None
    calibration: list[list[float]] | None
    temporal: tuple[int, int] | None
    panoptic: list[Part] | None
    match: Match | None
    ignored: int | None
    tracks: list[TrackRow] | None
    timing: dict[str, float | None]


class RecordBuilder:
    """Makes the records of one sequence, in the order of its frames.

    Args:
        sequence: its name.
        labels: what the predicted class ids mean.
        truth_labels: what the true ones mean; classes are the same where their names are.
        times: the only times to keep, by their names in ``timing``; None: all that are known.
        truth_classes: names of the classes, lower case, whose tracks and true objects count; none: all. Objects whose
            class is not known count.
    """

    def __init__(
        self,
        sequence: str,
        labels: LabelSet,
        truth_labels: LabelSet,
        times: Sequence[str] | None = None,
        truth_classes: Collection[str] = (),
    ) -> None:
        self._sequence, self._labels, self._times = sequence, labels, times
        self._known = known_ids(truth_labels, labels)
        self._counted, self._true_counted = None, None
        if truth_classes:
            self._counted = _counted_tracks(labels, truth_labels, truth_classes)
            self._true_counted = np.isin(np.arange(256), [*truth_labels.ids_named(truth_classes)])
        self._temporal = TemporalConsistency()

    def record(self, result: FrameResult) -> Record:
        """Return the record of the next frame."""
        begun = time.perf_counter()
        record: Record = {
            "sequence": self._sequence,
            "index": result.index,
            "name": result.frame.name,
            "stamp_ns": result.frame.stamp_ns,
            "lost": result.lost,
            "size_px": None,
            "confusion": None,
            "boundary_f": None,
            "objects": None,
            "calibration": None,
            "temporal": None,
            "panoptic": None,
            "match": None,
            "ignored": None,
            "tracks": None,
            "timing": {},
        }
        segmentation, truth = result.segmentation, result.frame.truth
        if segmentation is not None:
            height, width = segmentation.class_ids.shape
            record["size_px"] = height, width
            record["temporal"] = self._temporal.add(to_bgr(result.frame), segmentation.class_ids)
            if truth is not None and truth.class_ids is not None:
                self._add_masks(record, segmentation, truth.class_ids, truth)
        if result.tracks is not None:
            record["tracks"] = [_row(track) for track in result.tracks if track.state != TrackState.LOST]
            if truth is not None:
                self._add_match(record, result, result.tracks, truth)
        timing: dict[str, float | None] = {f"{name}_ms": value for name, value in result.timing_ms.items()}
        timing |= {"score_ms": 1e3 * (time.perf_counter() - begun), "memory_mb": memory_mb()}
        record["timing"] = timing if self._times is None else {name: timing.get(name) for name in self._times}
        return record

    def _add_masks(self, record: Record, segmentation: Segmentation, true_ids: U8, truth: GroundTruth) -> None:
        """Compare classes with classes where their names are known, objectness in any case."""
        if truth.objectness is not None and segmentation.objectness is not None:
            true_objects = np.where(
                true_ids == IGNORE_ID, np.uint8(IGNORE_ID), (truth.objectness != 0).astype(np.uint8)
            )
            predicted = (segmentation.objectness != 0).astype(np.uint8)
            record["objects"] = confusion_matrix(true_objects, predicted, 2).tolist()
        if self._known is None:
            return
        ids, true_ids = segmentation.class_ids, self._known[true_ids]
        record["confusion"] = _entries(confusion_matrix(true_ids, ids, len(self._labels)))
        record["boundary_f"] = _floats(boundary_f_per_class(true_ids, ids, len(self._labels)))
        if segmentation.confidence is not None:
            record["calibration"] = calibration_bins(true_ids, ids, segmentation.confidence).tolist()

    def _add_match(self, record: Record, result: FrameResult, tracks: Sequence[Track], truth: GroundTruth) -> None:
        """Compare objects with objects: by their pixels where these are known, else by their boxes."""
        tracks = [track for track in tracks if self._counted is None or track.class_id in self._counted]
        if truth.instance_ids is not None and result.instances is not None:
            smallest = round(MIN_OBJECT_FRACTION * truth.instance_ids.size)
            objects, found = truth.instance_ids, result.instances
            if self._true_counted is not None and truth.class_ids is not None:
                objects = np.where(self._true_counted[truth.class_ids], objects, np.uint16(0))
            if self._counted is not None:
                found = np.where(np.isin(found, [image_id(t.track_id) for t in tracks]), found, np.uint16(0))
            of_masks, record["ignored"] = match_instances(objects, found, smallest, truth.class_ids)
            record["match"] = _plain("masks", of_masks)
            if self._known is not None and truth.class_ids is not None and result.segmentation is not None:
                true_ids, ids = self._known[truth.class_ids], result.segmentation.class_ids
                parts = panoptic_parts(true_ids, truth.instance_ids, ids, result.instances, self._labels)
                record["panoptic"] = [(int(c), float(iou), int(tp), int(fp), int(fn)) for c, iou, tp, fp, fn in parts]
        elif truth.boxes_px is not None:
            rows = [_row(track) for track in tracks if is_seen(track)]
            match = _plain("boxes", match_boxes(truth.boxes_px, rows))
            others = match_others(truth.other_boxes, rows)
            if others is not None:
                columns = zip(others.places.tolist(), others.distractor.tolist(), others.iou.tolist(), strict=True)
                match["others"] = [(place, int(distractor), iou) for place, distractor, iou in columns]
            record["match"], record["ignored"] = match, 0


def is_compared(record: Record) -> bool:
    """Return whether anything of the frame was compared with ground truth."""
    return not (record["confusion"] is None and record["objects"] is None and record["match"] is None)


def known_ids(truth: LabelSet, labels: LabelSet) -> U8 | None:
    """Return (256,) uint8, predicted class id for each true one by its name, else 255; None if no name is in both."""
    lut = np.full(256, IGNORE_ID, np.uint8)
    for known in truth.classes:
        if known.name in labels.names:
            lut[known.id] = labels.names.index(known.name)
    return lut if (lut != IGNORE_ID).any() else None


def _counted_tracks(labels: LabelSet, truth_labels: LabelSet, truth_classes: Collection[str]) -> set[int] | None:
    """Return the ids of the classes whose tracks count; None: all, as those of binary masks, which have no class.

    Raises:
        ConfigError: nobody knows one of the names, or no object is of these classes.
    """
    known = {name.casefold() for name in (*labels.names, *truth_labels.names, *MOT_CLASSES)}
    unknown = sorted(set(truth_classes) - known)
    if unknown:
        raise ConfigError(f"--truth-classes {', '.join(unknown)}: no class has this name; there are {sorted(known)}")
    if labels == OBJECT:
        return None
    ids = labels.ids_named(truth_classes) & set(labels.object_ids)
    if not ids:
        objects = ", ".join(labels.names[i] for i in labels.object_ids)
        raise ConfigError(
            f"--truth-classes {', '.join(sorted(truth_classes))}: no track has such a class; tracks are of {objects}. "
            "Name those that count beside the true ones, with commas between"
        )
    return ids


def is_seen(track: Track) -> bool:
    """Return whether the frame shows the track."""
    return track.state in (TrackState.TENTATIVE, TrackState.CONFIRMED)


def track_of(row: TrackRow) -> Track:
    """Return a track from its row in a record, without pixels and velocity."""
    track_id, class_id, state, left, top, width, height, score = row
    box = (left, top, left + width, top + height)
    return Track(track_id, class_id, box, (0.0, 0.0), score, TrackState(state), 0.0, 0.0)


def memory_mb() -> float | None:
    """Return the memory that this process uses now, 1e6 bytes; None where /proc does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * 4096 / 1e6, 1)


def _row(track: Track) -> TrackRow:
    left, top, right, bottom = track.box_px
    box = _rounded(left), _rounded(top), _rounded(right - left), _rounded(bottom - top)
    return int(track.track_id), int(track.class_id), int(track.state), *box, _rounded(track.score)


def _rounded(value: float) -> float:
    return round(float(value), 2)


def _entries(matrix: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return (row, column, value) of what is not zero."""
    return [(int(r), int(c), int(matrix[r, c])) for r, c in np.argwhere(matrix)]


def _floats(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def _plain(kind: str, match: FrameMatch) -> Match:
    truth, tracks, similarity = (np.asarray(part) for part in match)
    return {"kind": kind, "truth": truth.tolist(), "tracks": tracks.tolist(), "iou": similarity.tolist()}
