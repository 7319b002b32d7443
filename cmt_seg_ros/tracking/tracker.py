"""Tracker: masks in, objects with stable ids out. Read this file first.

In the tradition of SORT (Bewley et al. 2016) and ByteTrack (Zhang et al. 2022), on segments instead
of detections: predict every track, match the sure segments, divide the blobs of objects that touch, match
the rest, age what was not seen.
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
from cmt_seg_ros.tracking.aspect_ratios import UsualRatios
from cmt_seg_ros.tracking.association import I64, Doubts, Looks, assign, similarity
from cmt_seg_ros.tracking.blobs.constrictions import split
from cmt_seg_ros.tracking.blobs.sharing import Owners, part_company, share
from cmt_seg_ros.tracking.camera_motion import FlowEstimator, common_shift
from cmt_seg_ros.tracking.fragments import join_pieces
from cmt_seg_ros.tracking.live_track import LiveTrack
from cmt_seg_ros.tracking.observation import Observation
from cmt_seg_ros.tracking.overlap import overlaps
from cmt_seg_ros.tracking.segments import check_segments, find_segments, occupied_by

SAME_SHAPE = 0.02
"""A camera that changes its resolution keeps its width over height so far; if not, it shows another view."""
STILL = 0.001
"""The camera stands still if it moved by less, share of the image's longer side."""


class Tracker:
    """Follows the objects of one camera; each camera has its own.

    The clock is the stamp of the masks, so a replay gives the same tracks at any speed. Ids run
    up and are never used again, not even after :meth:`reset`.

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
        """Forget all tracks and the time, as when a bag starts over; the ids go on."""
        self._tracks: list[LiveTrack] = []
        self._stamp_ns: int | None = None
        self._size: tuple[int, int] = (0, 0)
        self._drift_px_s: F64 = np.zeros(2)
        self._ratios = UsualRatios([], [])
        self._flow.reset()

    def update(self, segmentation: Segmentation, image: U8 | None = None) -> list[Track]:
        """Take the masks of the next frame.

        Args:
            segmentation: masks; only ``stamp_ns``, ``class_ids`` and ``objectness`` are used.
            image: (H, W, 3) uint8, blue, green, red, of the same frame in any size: the camera's motion, that of
                the objects, and their colours are then taken from it. None to do without.

        Returns:
            The tracks alive at ``stamp_ns``, of every state, and those given up in this frame, by id.

        Raises:
            TrackingError: the masks or the image are malformed, or the frame is not newer than the one before
                (these are counted in ``refused``); the tracker is left as it was and can go on with the next frame.
        """
        if segmentation.objectness is None:
            raise TrackingError("the segmentation has no objectness mask; the tracker needs both masks")
        segments = find_segments(
            segmentation.class_ids,
            segmentation.objectness,
            self._labels,
            min_area_fraction=self._config.min_area_fraction,
        )
        height, width = segmentation.class_ids.shape
        return self._update(segments, segmentation.stamp_ns, (height, width), image)

    def update_segments(
        self, segments: Sequence[Segment], stamp_ns: int, size: tuple[int, int], image: U8 | None = None
    ) -> list[Track]:
        """As :meth:`update`, for segments from elsewhere (with masks or, all of them, without), in any order.

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
        image = _fitting(image, size)
        self._check_stamp(stamp_ns)
        occupied = occupied_by(segments, size)
        # 1. Bring the tracks to the time, the image size and the view of this frame.
        dt_s = 0.0 if self._stamp_ns is None else (stamp_ns - self._stamp_ns) / 1e9
        gone = self._advance(stamp_ns, dt_s, size, image, occupied)
        # 2. One order for the same segments, whatever order they came in; join the pieces of one object.
        segments = sorted(segments, key=lambda s: (s.box_px, s.class_id, s.area_px, s.centroid_px))
        self._ratios = UsualRatios(self._tracks, segments)
        segments = join_pieces(segments, _predicted([t for t in self._tracks if t.confirmed], size), self._ratios.of)
        seen = Observation(segments, stamp_ns, size, image)
        # 3. Confirmed tracks have first choice among the sure segments.
        old = [t for t in self._tracks if t.confirmed]
        sure = np.flatnonzero(seen.scores >= [self._surely(s) for s in segments])
        owners = self._match(old, seen, sure, self._config.min_similarity)
        self._drift_px_s = np.zeros(2)
        if image is None and self._follow_camera(owners, seen, dt_s):
            owners = self._match(old, seen, sure, self._config.min_similarity)
        # 4. Objects that touch share a blob.
        owners, used, placed = self._divide(old, owners, seen, occupied)
        # 5. Then whatever is left: tracks that are new, segments that are doubtful.
        waiting = [t for t in self._tracks if t.track_id not in placed]
        left = self._cut([c for c in range(len(seen.segments)) if c not in used], seen)
        owners |= self._match(waiting, seen, left, self._config.min_similarity_weak)
        for column, track in owners.items():
            track.see(seen.segments[column], seen.hidden[column], seen.color_of(column), stamp_ns, self._config)
        # 6. Begin a track for each sure segment that nothing explains; give up those that are gone.
        self._begin([c for c in left.tolist() if c not in owners], seen, sorted(owners))
        gone += [t for t in self._tracks if t.is_gone(stamp_ns, size, self._config)]
        self._tracks = [t for t in self._tracks if t not in gone]
        tracks = [t.report(stamp_ns, self._drift_px_s) for t in self._tracks]
        tracks += [t.report(stamp_ns, self._drift_px_s, gone=True) for t in gone if t.confirmed]
        return sorted(tracks, key=lambda t: t.track_id)

    def _surely(self, segment: Segment) -> float:
        """Least score of a segment that surely shows an object."""
        return self._config.start_score if segment.mask is None else self._config.start_share

    def _check_stamp(self, stamp_ns: int) -> None:
        if self._stamp_ns is not None and stamp_ns <= self._stamp_ns:
            self.refused += 1
            raise TrackingError(
                f"frame at {stamp_ns} ns is not newer than the last one at {self._stamp_ns} ns; frames must come "
                "in order of their stamps, each once. Call reset() if the clock was set back (a bag that loops)"
            )

    def _advance(
        self, stamp_ns: int, dt_s: float, size: tuple[int, int], image: U8 | None, occupied: U8
    ) -> list[LiveTrack]:
        """Predict the tracks to ``stamp_ns``; adapt to a pause, a new image size, a moving camera.

        Returns:
            Tracks given up, where a prediction would be a guess: after a long pause, and in a picture of another shape.
        """
        gone: list[LiveTrack] = []
        factor_y, factor_x = (new / (old or new) for new, old in zip(size, self._size, strict=True))
        if dt_s > self._config.max_gap_s or abs(factor_x / factor_y - 1) > SAME_SHAPE:
            self._tracks, gone = [], self._tracks
        flow = self._flow.update(image, occupied)
        for track in self._tracks:
            if size != self._size:
                track.rescale(factor_x, factor_y)
            before, seen = track.state, track.seen_ns == self._stamp_ns
            track.predict(dt_s, self._config, lost=not seen)
            if flow is not None:
                track.camera_px_s = np.array(flow.behind(before.box_px)) / dt_s
            if track.camera_px_s.any():  # also without an image: it goes on as it did
                track.state = kalman.shift(track.state, track.camera_px_s * dt_s)
            if flow is not None and seen:
                track.state = kalman.displace(track.state, before, flow.of(track.segment), self._config)
        self._stamp_ns, self._size = stamp_ns, size
        return gone

    def _follow_camera(self, owners: Owners, seen: Observation, dt_s: float) -> bool:
        """Without images: what most objects moved beyond their prediction is the camera's motion, if it moved."""
        predicted = np.array([track.state.box_px for track in owners.values()]).reshape(-1, 4)
        moved = seen.boxes[list(owners)] - predicted
        shift_px = common_shift((moved[:, :2] + moved[:, 2:]) / 2)
        if np.hypot(*shift_px) < STILL * max(seen.size):
            return False
        for track in self._tracks:
            track.state = kalman.shift(track.state, shift_px)
        self._drift_px_s = shift_px / dt_s
        return True

    def _match(self, tracks: Sequence[LiveTrack], seen: Observation, columns: I64, least: float) -> Owners:
        """Match some tracks with some segments."""
        if not tracks or not len(columns):
            return {}
        noise = self._config.position_noise
        sigma = [math.sqrt(max(t.state.var[0], 0.0) + (noise * t.state.scale_px) ** 2) for t in tracks]
        unseen = np.array([(seen.stamp_ns - t.seen_ns) / 1e9 for t in tracks])
        doubts = Doubts(self._config.reach_sigmas * np.array(sigma), unseen)
        predicted, looks = _predicted(tracks, seen.size), seen.looks(columns)
        of_boxes = box_iou(predicted.boxes, looks.boxes)
        overlap = overlaps(lambda row: tracks[row].silhouette, [seen.segments[c] for c in columns], of_boxes)
        score = similarity(predicted, doubts, looks, overlap, self._config)
        pairs, _, _ = assign(score, least)
        return {int(columns[j]): tracks[i] for i, j in pairs}

    def _divide(
        self, tracks: Sequence[LiveTrack], owners: Owners, seen: Observation, occupied: U8
    ) -> tuple[Owners, set[int], set[int]]:
        """Give each track its share of the blobs; return who owns what, columns used up, and ids of tracks placed."""
        matched = {t.track_id for t in owners.values()}
        waiting = [t for t in tracks if t.track_id not in matched]
        shares = share(waiting, owners, seen.segments, occupied, self._config)
        for track, part in shares.parts:
            track.see_part(part, seen.stamp_ns, self._config)
        for column, parts in part_company(shares, seen.segments, self._ratios.of, self._config).items():
            columns = seen.add(parts)
            shares.divided.add(column)
            shares.owners[int(columns[0])] = shares.owners.pop(column)
        placed = shares.placed | {t.track_id for t in shares.owners.values()}
        return shares.owners, shares.divided | set(shares.owners), placed

    def _cut(self, columns: Sequence[int], seen: Observation) -> I64:
        """Cut what no track explains at its waists; returns the columns of what there is then."""
        new: list[int] = []
        for column in columns:
            segment = seen.segments[column]
            one = segment.mask is None or segment.score < self._config.start_share
            parts = [segment] if one else split(segment, self._ratios.of(segment.class_id), self._config)
            new += [column] if len(parts) == 1 else seen.add(parts).tolist()
        return np.array(new, np.int64)

    def _begin(self, columns: Sequence[int], seen: Observation, taken: Sequence[int]) -> None:
        """Start tracks of what surely shows something."""
        new = [c for c in columns if seen.scores[c] >= self._surely(seen.segments[c])]
        overlap = box_iou(seen.boxes[new], seen.boxes[list(taken)]).max(axis=1, initial=0.0)
        for column in (c for c, iou in zip(new, overlap, strict=True) if iou < self._config.duplicate_iou):
            hidden, colors = seen.hidden[column], seen.color_of(column)
            segment = seen.segments[column]
            track = LiveTrack.begin(self.next_id, segment, hidden, colors, seen.stamp_ns, self._config)
            self._tracks.append(track)
            self.next_id += 1


def _predicted(tracks: Sequence[LiveTrack], size: tuple[int, int]) -> Looks:
    """Tracks as one side of the association: as much of them as the image, (height, width), can show."""
    boxes: F64 = np.array([t.state.box_px for t in tracks], np.float64).reshape(-1, 4)
    boxes = np.clip(boxes, 0, np.tile(size[::-1], 2))
    known = next((t.colors for t in tracks if t.colors is not None), None)
    colors = (
        None if known is None else np.array([np.zeros_like(known) if t.colors is None else t.colors for t in tracks])
    )
    return Looks(boxes, np.array([t.class_id for t in tracks], np.int64), colors)


def _fitting(image: U8 | None, size: tuple[int, int]) -> U8 | None:
    """The image at the size of the masks."""
    if image is None:
        return None
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise TrackingError(f"the image is {image.dtype} of shape {image.shape}; it must be uint8 (height, width, 3)")
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
