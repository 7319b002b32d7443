"""Tracker: tracks the objects in the masks of one camera; read this file first.

It works as SORT (Bewley et al. 2016) and ByteTrack (Zhang et al. 2022) do, on segments instead of detections: predict,
associate confident segments, divide merged blobs, associate the remaining segments, update, spawn, prune.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import F64, U8, Segment, Segmentation, Track
from cmt_seg_ros.tracking import kalman
from cmt_seg_ros.tracking.aspect_ratios import AspectRatios
from cmt_seg_ros.tracking.association import Appearances, Uncertainty, assign, mask_overlaps, similarity
from cmt_seg_ros.tracking.blobs.constrictions import split_at_constrictions
from cmt_seg_ros.tracking.blobs.sharing import Matches, find_merged, separate, share_blob
from cmt_seg_ros.tracking.camera_motion import FlowEstimator, common_shift
from cmt_seg_ros.tracking.fragments import join_fragments
from cmt_seg_ros.tracking.live_track import LiveTrack
from cmt_seg_ros.tracking.observation import Observation
from cmt_seg_ros.tracking.segments import check_segments, find_segments, occupied_by, segments_of_instances

SAME_SHAPE = 0.02
"""Largest relative change of the image's aspect ratio at a change of resolution; beyond that it is another view."""
STILL = 0.001
"""A camera that moves by less stands still; share of the image's longer side."""


class Tracker:
    """Tracks the objects of one camera.

    The clock is the stamp of the masks, so a replay gives the same tracks at any speed. Ids keep counting and are
    never used again, not even after :meth:`reset`.

    Args:
        labels: the classes, and which of them are objects.
        config: see TrackerConfig.
        first_id: id of the first track, above 0.
    """

    def __init__(self, labels: LabelSet, config: TrackerConfig, first_id: int = 1) -> None:
        self._labels = labels
        self._config = config
        self._flow = FlowEstimator()
        self.next_id = first_id
        self.refused = 0
        self.reset()

    def reset(self) -> None:
        """Forget all tracks and the time, as when a bag starts over; ids keep counting."""
        self._tracks: list[LiveTrack] = []
        self._stamp_ns: int | None = None
        self._size: tuple[int, int] = (0, 0)
        self._flow.reset()

    def update(self, segmentation: Segmentation, image: U8 | None = None) -> list[Track]:
        """Track the objects in the masks of the next frame.

        Args:
            segmentation: masks; only ``stamp_ns``, ``class_ids``, ``objectness`` and, where there are some,
                ``instance_ids`` are used: objects that the network told apart are not divided or joined here.
            image: (H, W, 3) uint8, blue, green, red, of the same frame in any size; gives the motion of the camera
                and of the objects, and their colours. Optional.

        Returns:
            The tracks alive at ``stamp_ns``, of every state, and those removed in this frame, by id.

        Raises:
            TrackingError: the masks or the image are malformed, or the frame is not newer than the one before
                (these are counted in ``refused``); the tracker is left as it was and can continue with the next frame.
        """
        if segmentation.objectness is None:
            raise TrackingError("the segmentation has no objectness mask; the tracker needs both masks")
        masks, least = (segmentation.class_ids, segmentation.objectness), self._config.min_area_fraction
        if segmentation.instance_ids is None:
            segments = find_segments(*masks, self._labels, min_area_fraction=least)
        else:
            segments = segments_of_instances(*masks, segmentation.instance_ids, self._labels, min_area_fraction=least)
        height, width = segmentation.class_ids.shape
        return self._update(segments, segmentation.stamp_ns, (height, width), image)

    def update_segments(
        self, segments: Sequence[Segment], stamp_ns: int, size: tuple[int, int], image: U8 | None = None
    ) -> list[Track]:
        """Track given segments, in any order, as :meth:`update` does; all of them have masks, or none.

        Args:
            segments: of one frame.
            stamp_ns: time of capture, ns.
            size: (height, width) of the image, pixels.
            image: as of :meth:`update`.

        Raises:
            TrackingError: as of :meth:`update`, and see segments.check_segments.
        """
        check_segments(segments, size, self._labels)
        return self._update(segments, stamp_ns, size, image)

    def _update(
        self, segments: Sequence[Segment], stamp_ns: int, size: tuple[int, int], image: U8 | None
    ) -> list[Track]:
        image = _resized(image, size)
        self._check_stamp(stamp_ns)
        occupied = occupied_by(segments, size)
        # 1. Predict every track at the time of this frame, in its image size, where the camera looks now.
        dt_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / 1e9
        removed = self._predict(stamp_ns, dt_s, size, image, occupied)
        confirmed = [t for t in self._tracks if t.confirmed]
        # 2. Sort the segments, as their order must not matter; join the fragments of one object.
        segments = sorted(segments, key=lambda s: (s.box_px, s.class_id, s.area_px, s.centroid_px))
        ratios = AspectRatios(self._tracks, segments)
        segments = join_fragments(segments, _appearances(confirmed, size), ratios.of)
        frame = Observation(segments, stamp_ns, size, image)
        # 3. Associate the confirmed tracks with the confident segments.
        confident = [s for s in segments if self._is_confident(s)]
        matches = self._associate(confirmed, confident, frame, self._config.min_similarity)
        shift_px = np.zeros(2) if image is not None else self._compensate_camera(matches, size)
        if shift_px.any():
            matches = self._associate(confirmed, confident, frame, self._config.min_similarity)
        frame.match(matches)
        # 4. Divide merged blobs: a track left unmatched is in the blob at its predicted position, and gets its part.
        self._divide_merged(confirmed, frame, occupied, ratios)
        # 5. Associate the remaining tracks with the remaining segments, which are cut at their constrictions first.
        self._split_unexplained(frame, ratios)
        remaining = [t for t in self._tracks if not frame.explains(t)]
        frame.match(self._associate(remaining, frame.unexplained, frame, self._config.min_similarity_weak))
        # 6. Update each matched track with its segment.
        for segment, track in frame.matched.items():
            track.update(segment, frame.hidden_sides(segment), frame.color(segment), stamp_ns, self._config)
        # 7. Spawn a track for each confident segment that no track explains.
        self._spawn(frame)
        # 8. Prune the tracks that were lost for too long or left the image.
        removed += [t for t in self._tracks if t.is_expired(stamp_ns, size, self._config)]
        self._tracks = [t for t in self._tracks if t not in removed]
        drift_px_s = shift_px / (dt_s or 1.0)
        tracks = [t.to_track(stamp_ns, drift_px_s) for t in self._tracks]
        tracks += [t.to_track(stamp_ns, drift_px_s, removed=True) for t in removed if t.confirmed]
        return sorted(tracks, key=lambda t: t.track_id)

    def _is_confident(self, segment: Segment) -> bool:
        """Return whether a segment is confident enough to start a track."""
        least = self._config.start_score if segment.mask is None else self._config.start_share
        return float(segment.score) >= least

    def _check_stamp(self, stamp_ns: int) -> None:
        if self._stamp_ns is not None and stamp_ns <= self._stamp_ns:
            self.refused += 1
            raise TrackingError(
                f"frame at {stamp_ns} ns is not newer than the last one at {self._stamp_ns} ns; frames must come "
                "in order of their stamps, each once. Call reset() if the clock was set back (a bag that loops)"
            )

    def _predict(
        self, stamp_ns: int, dt_s: float, size: tuple[int, int], image: U8 | None, occupied: U8
    ) -> list[LiveTrack]:
        """Predict the tracks to ``stamp_ns``; adapt to a pause, a new image size, a moving camera.

        Returns:
            Tracks that are removed, as they cannot be predicted: after a long pause, or in an image of another shape.
        """
        removed: list[LiveTrack] = []
        factor_y, factor_x = (new / (old or new) for new, old in zip(size, self._size, strict=True))
        if dt_s > self._config.max_gap_s or abs(factor_x / factor_y - 1) > SAME_SHAPE:
            self._tracks, removed = [], self._tracks
        flow = self._flow.update(image, occupied)
        for track in self._tracks:
            if size != self._size:
                track.rescale(factor_x, factor_y)
            before, seen = track.state, track.seen_ns == self._stamp_ns
            track.predict(dt_s, self._config, lost=not seen)
            if flow is not None:
                track.camera_px_s = np.array(flow.of_background(before.box_px)) / dt_s
            if track.camera_px_s.any():  # also without an image: the last known motion continues
                track.state = kalman.shift(track.state, track.camera_px_s * dt_s)
            if flow is not None and seen:
                track.state = kalman.correct_by_flow(track.state, before, flow.of_segment(track.segment), self._config)
        self._stamp_ns, self._size = stamp_ns, size
        return removed

    def _compensate_camera(self, matches: Matches, size: tuple[int, int]) -> F64:
        """Without images: shift all tracks by what most of them moved beyond their prediction.

        Returns:
            (2,) float64, that shift, x and y, pixels; zero where the camera stood still.
        """
        predicted = np.array([track.state.box_px for track in matches.values()]).reshape(-1, 4)
        moved = np.array([segment.box_px for segment in matches], np.float64).reshape(-1, 4) - predicted
        shift_px = common_shift((moved[:, :2] + moved[:, 2:]) / 2)
        if np.hypot(*shift_px) < STILL * max(size):
            return np.zeros(2)
        for track in self._tracks:
            track.state = kalman.shift(track.state, shift_px)
        return shift_px

    def _associate(
        self, tracks: Sequence[LiveTrack], segments: Sequence[Segment], frame: Observation, least: float
    ) -> Matches:
        """Match some tracks with some segments of the frame, one to one, each pair with at least that similarity."""
        if not tracks or not segments:
            return {}
        noise = self._config.position_noise
        sigma = [math.sqrt(max(t.state.var[0], 0.0) + (noise * t.state.scale_px) ** 2) for t in tracks]
        unseen = np.array([(frame.stamp_ns - t.seen_ns) / 1e9 for t in tracks])
        uncertainty = Uncertainty(self._config.reach_sigmas * np.array(sigma), unseen)
        predicted, observed = _appearances(tracks, frame.size), frame.appearances(segments)
        of_boxes = box_iou(predicted.boxes, observed.boxes)
        overlap = mask_overlaps(lambda row: tracks[row].silhouette, segments, of_boxes)
        score = similarity(predicted, uncertainty, observed, overlap, self._config)
        pairs, _, _ = assign(score, least)
        return {segments[column]: tracks[row] for row, column in pairs}

    def _divide_merged(
        self, confirmed: Sequence[LiveTrack], frame: Observation, occupied: U8, ratios: AspectRatios
    ) -> None:
        """Divide each blob among the tracks in it; cut matched segments from which another object emerges."""
        unmatched = [t for t in confirmed if not frame.explains(t)]
        divisible = [s for s in frame.segments if not s.is_instance]
        merged = find_merged(unmatched, frame.matched, divisible, self._config)
        for blob, tracks in merged.items():
            frame.divide(blob, *share_blob(blob, tracks, occupied, self._config))
        for track, part in frame.parts.items():
            track.update_part(part, frame.stamp_ns, self._config)
        for segment, track in tuple(frame.matched.items()):
            if segment in merged or segment.mask is None or segment.is_instance:
                continue
            own, *others = separate(track, segment, ratios.of(track.class_id), self._config)
            if others:
                frame.separate(segment, own, others)

    def _split_unexplained(self, frame: Observation, ratios: AspectRatios) -> None:
        """Cut blobs that no track explains at their constrictions."""
        for segment in tuple(frame.unexplained):
            if segment.mask is not None and not segment.is_instance and segment.score >= self._config.start_share:
                parts = split_at_constrictions(segment, ratios.of(segment.class_id), self._config)
                if len(parts) > 1:
                    frame.split(segment, parts)

    def _spawn(self, frame: Observation) -> None:
        """Start tracks, but not where a box overlaps that of a matched segment."""
        new = [s for s in frame.unexplained if self._is_confident(s)]
        boxes, matched = ([s.box_px for s in some] for some in (new, frame.matched))
        overlap = box_iou(boxes, matched).max(axis=1, initial=0.0)
        for segment in (s for s, iou in zip(new, overlap, strict=True) if iou < self._config.duplicate_iou):
            hidden, color = frame.hidden_sides(segment), frame.color(segment)
            self._tracks.append(LiveTrack.start(self.next_id, segment, hidden, color, frame.stamp_ns, self._config))
            self.next_id += 1


def _appearances(tracks: Sequence[LiveTrack], size: tuple[int, int]) -> Appearances:
    """Return tracks as one side of the association; their boxes are clipped to the image, (height, width)."""
    boxes: F64 = np.array([t.state.box_px for t in tracks], np.float64).reshape(-1, 4)
    boxes = np.clip(boxes, 0, np.tile(size[::-1], 2))
    known = next((t.colors for t in tracks if t.colors is not None), None)
    colors = (
        None if known is None else np.array([np.zeros_like(known) if t.colors is None else t.colors for t in tracks])
    )
    return Appearances(boxes, np.array([t.class_id for t in tracks], np.int64), colors)


def _resized(image: U8 | None, size: tuple[int, int]) -> U8 | None:
    """Return the image at the size of the masks."""
    if image is None:
        return None
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise TrackingError(f"the image is {image.dtype} of shape {image.shape}; it must be uint8 (height, width, 3)")
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
