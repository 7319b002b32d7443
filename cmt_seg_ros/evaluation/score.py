"""How good a recording is: masks and tracks against ground truth, in one pass over the bag."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.evaluation.recording import RecordedFrame, Recording
from cmt_seg_ros.labels import CAMVID, IGNORE_ID, LabelSet
from cmt_seg_ros.metrics.segmentation import MaskMeter, iou_per_class, mean_iou, mean_known, pixel_accuracy
from cmt_seg_ros.metrics.similarity import mask_iou
from cmt_seg_ros.metrics.tracking import FrameMatch, clear_mot, hota, identity
from cmt_seg_ros.structures import U8, U16, TrackState

I64 = npt.NDArray[np.int64]

MIN_OBJECT_FRACTION = 0.0005
"""Smaller true objects do not count in tracking; share of the image's area. KITTI draws the line in the
same place: 25 pixels of height, which for a pedestrian is 0.05 % of its image."""


@dataclass(frozen=True, eq=False)
class MaskScore:
    """Masks against ground truth: all frames in one confusion matrix, boundaries frame by frame.

    Attributes:
        frames: number of frames compared.
        names: of the classes.
        class_iou: IoU of each class, 0-1; nan for a class that is nowhere.
        class_boundary_f: boundary F-score of each class, 0-1; nan for a class without boundaries.
        mean_iou, mean_boundary_f: 0-1, over the classes that are not nan.
        pixel_accuracy: 0-1, over pixels with a true class.
        objectness_iou: IoU of "is an object", 0-1, over the same pixels.
        pixels: number of true pixels of each class.
    """

    frames: int
    names: tuple[str, ...]
    class_iou: npt.NDArray[np.float64]
    class_boundary_f: npt.NDArray[np.float64]
    mean_iou: float
    mean_boundary_f: float
    pixel_accuracy: float
    objectness_iou: float
    pixels: I64


@dataclass(frozen=True)
class TrackScore:
    """Tracks against true objects by the IoU of their masks, whatever their classes.

    Attributes:
        frames: number of frames compared.
        hota, det_a, ass_a, idf1: 0-1.
        mota: 1 at best, may be negative.
        id_switches: times that an object got another track.
        true_objects: number of different true objects that counted.
        tracks: number of different tracks that counted.
        ignored: pairs of true object and frame that did not count because the object was too small.
        min_object_px: least area that counts, pixels, of the last frame.
    """

    frames: int
    hota: float
    det_a: float
    ass_a: float
    idf1: float
    mota: float
    id_switches: int
    true_objects: int
    tracks: int
    ignored: int
    min_object_px: int


@dataclass(frozen=True)
class TrackSpan:
    """When one track was seen: frames' stamps in ns, and its most frequent class."""

    track_id: int
    class_name: str
    stamps_ns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Scores:
    """All that one pass finds.

    Attributes:
        masks, tracks: None where the bag has no fitting ground truth; ``notes`` says why.
        spans: confirmed tracks in order of their ids.
        frames_with_mask, frames_with_truth, frames: number of frames that have a mask, a truth, anything.
        image_size: (height, width) of the masks, pixels.
        notes: one sentence on each thing that could not be computed.
    """

    masks: MaskScore | None
    tracks: TrackScore | None
    spans: tuple[TrackSpan, ...]
    frames_with_mask: int
    frames_with_truth: int
    frames: int
    image_size: tuple[int, int]
    notes: tuple[str, ...]


def score(
    recording: Recording, truth_labels: LabelSet = CAMVID, min_object_fraction: float = MIN_OBJECT_FRACTION
) -> Scores:
    """Compare everything that can be compared.

    A frame counts if it has both the result and the truth: frames that were dropped have no result and
    are reported as dropped, not as wrong.

    Args:
        recording: the bag.
        truth_labels: meaning of the true class ids; masks of other classes are not compared.
        min_object_fraction: smaller true objects do not count in tracking; share of the image's area.

    Raises:
        SourceError: the bag is damaged.
    """
    labels, notes = recording.header.labels, []
    comparable = labels is not None and labels.names == truth_labels.names
    masks, tracks, spans = MaskMeter(truth_labels), _Tracks(min_object_fraction), _Spans()
    frames = with_mask = with_truth = 0
    size = (0, 0)
    for frame in recording:
        class_ids, truth = frame.class_ids, frame.truth
        frames += 1
        with_mask += class_ids is not None
        with_truth += truth is not None
        size = (class_ids.shape[0], class_ids.shape[1]) if class_ids is not None else size
        spans.add(frame)
        tracks.add(frame)
        if comparable:
            _add_masks(masks, frame)
    if not with_truth:
        notes.append("There is no ground truth in this recording: speed and latency only.")
    elif not comparable:
        notes.append("The model's classes are not those of the ground truth: masks were not compared.")
    return Scores(_mask_score(masks), tracks.score(), spans.spans(), with_mask, with_truth, frames, size, tuple(notes))


def _add_masks(meter: MaskMeter, frame: RecordedFrame) -> None:
    truth, class_ids, objectness = frame.truth, frame.class_ids, frame.objectness
    if truth is None or class_ids is None or truth.shape != class_ids.shape:
        return
    meter.add(truth, class_ids, objectness if objectness is not None and objectness.shape == truth.shape else None)


def _mask_score(meter: MaskMeter) -> MaskScore | None:
    if not meter.images:
        return None
    matrix = meter.classes
    return MaskScore(
        meter.images,
        meter.labels.names,
        iou_per_class(matrix),
        meter.class_boundary_f,
        mean_iou(matrix),
        mean_known(meter.class_boundary_f),
        pixel_accuracy(matrix),
        meter.objectness_iou,
        matrix.sum(axis=1),
    )


@dataclass
class _Tracks:
    """Collects the similarity of true objects and tracks, frame by frame."""

    min_fraction: float
    ignored: int = 0
    min_px: int = 0
    matches: list[FrameMatch] = field(default_factory=list)

    def add(self, frame: RecordedFrame) -> None:
        truth, tracks = frame.truth_instances, frame.instances
        if truth is None or tracks is None or truth.shape != tracks.shape:
            return
        self.min_px = round(self.min_fraction * truth.size)
        match, ignored = match_instances(truth, tracks, self.min_px, frame.truth)
        self.matches.append(match)
        self.ignored += ignored

    def score(self) -> TrackScore | None:
        if not self.matches:
            return None
        of_hota, of_clear, of_identity = hota(self.matches), clear_mot(self.matches), identity(self.matches)
        seen = [{int(i) for match in self.matches for i in np.asarray(match[side]).tolist()} for side in (0, 1)]
        return TrackScore(
            len(self.matches),
            of_hota.hota,
            of_hota.det_a,
            of_hota.ass_a,
            of_identity.idf1,
            of_clear.mota,
            of_clear.id_switches,
            len(seen[0]),
            len(seen[1]),
            self.ignored,
            self.min_px,
        )


def match_instances(truth: U16, tracks: U16, min_px: int, truth_classes: U8 | None = None) -> tuple[FrameMatch, int]:
    """Similarity of the true objects and the tracks of one frame.

    True objects of fewer than ``min_px`` pixels do not count. A track of which more than half lies on
    such objects, or on pixels without a true class, does not count either: it is neither right nor wrong.

    Args:
        truth: (H, W) uint16, true object per pixel, 0 = none.
        tracks: (H, W) uint16, track per pixel, 0 = none.
        min_px: least area of a true object, pixels.
        truth_classes: (H, W) uint8, true class per pixel, 255 = unlabelled.

    Returns:
        (true ids, track ids, IoU of their masks), and how many true objects did not count.
    """
    truth_ids, track_ids, iou = mask_iou(truth, tracks)
    areas = np.bincount(truth.ravel(), minlength=65536)
    counts = areas[truth_ids] >= min_px
    small = np.zeros(65536, bool)
    small[truth_ids[~counts]] = True
    outside = small[truth]
    if truth_classes is not None and truth_classes.shape == truth.shape:
        outside |= truth_classes == IGNORE_ID
    total = np.bincount(tracks.ravel(), minlength=65536)[track_ids]
    keep = 2 * np.bincount(tracks[outside], minlength=65536)[track_ids] <= total
    return (truth_ids[counts], track_ids[keep], iou[np.ix_(counts, keep)]), int(np.count_nonzero(~counts))


class _Spans:
    """Collects in which frames each confirmed track was seen."""

    def __init__(self) -> None:
        self._stamps: dict[int, list[int]] = {}
        self._classes: dict[int, dict[str, int]] = {}

    def add(self, frame: RecordedFrame) -> None:
        for track in frame.tracks or ():
            if track.state == TrackState.CONFIRMED:
                self._stamps.setdefault(int(track.id), []).append(frame.stamp_ns)
                names = self._classes.setdefault(int(track.id), {})
                names[str(track.class_name)] = names.get(str(track.class_name), 0) + 1

    def spans(self) -> tuple[TrackSpan, ...]:
        usual = {i: max(names, key=names.__getitem__) for i, names in self._classes.items()}
        return tuple(TrackSpan(i, usual[i], tuple(stamps)) for i, stamps in sorted(self._stamps.items()))
