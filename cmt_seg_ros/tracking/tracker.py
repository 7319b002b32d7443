"""Tracker: masks in, objects with stable ids out. Read this file first.

In the tradition of SORT (Bewley et al. 2016) and ByteTrack (Zhang et al. 2022), on segments instead
of detections: predict every track, match the sure segments, then the rest, age what was not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import F64, Segment, Segmentation, Track
from cmt_seg_ros.tracking.association import I64, Boxes, assign, similarity
from cmt_seg_ros.tracking.life import LiveTrack
from cmt_seg_ros.tracking.pieces import join_pieces
from cmt_seg_ros.tracking.segments import find_segments
from cmt_seg_ros.tracking.visibility import hidden_sides


class Tracker:
    """Follows the objects of one camera; each camera has its own.

    The clock is the stamp of the masks, so a replay gives the same tracks at any speed. Ids run
    1, 2, ... and are never used again, not even after :meth:`reset`.
    """

    def __init__(self, labels: LabelSet, config: TrackerConfig) -> None:
        self._labels = labels
        self._config = config
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """Forget all tracks and the time, as when a bag starts over; the ids go on."""
        self._tracks: list[LiveTrack] = []
        self._stamp_ns: int | None = None
        self._size: tuple[int, int] = (0, 0)

    def update(self, segmentation: Segmentation) -> list[Track]:
        """Take the masks of the next frame.

        Args:
            segmentation: masks; only ``stamp_ns``, ``class_ids`` and ``objectness`` are used.

        Returns:
            The tracks alive at ``stamp_ns``, of every state, by id.

        Raises:
            TrackingError: the masks are malformed or not newer than those before; the tracker is
                left as it was and can go on with the next frame.
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
        return self.update_segments(segments, segmentation.stamp_ns, (height, width))

    def update_segments(self, segments: Sequence[Segment], stamp_ns: int, size: tuple[int, int]) -> list[Track]:
        """As :meth:`update`, for segments from elsewhere, in any order.

        Args:
            segments: of one frame.
            stamp_ns: time of capture, ns.
            size: (height, width) of the image, pixels.
        """
        # 1. Bring the tracks to the time and the image size of this frame.
        self._advance(stamp_ns, size)
        # 2. One order for the same segments, whatever order they came in; join the pieces of one object.
        segments = sorted(segments, key=lambda s: (s.box_px, s.class_id, s.area_px, s.centroid_px))
        segments = join_pieces(segments, _predicted([t for t in self._tracks if t.confirmed]))
        frame = _Observed(segments, stamp_ns, size)
        sure = np.array([s.score >= self._config.start_score for s in segments], bool)
        old = np.array([t.confirmed for t in self._tracks], bool)
        # 3. Confirmed tracks have first choice among the sure segments.
        rest, left = self._match(np.flatnonzero(old), np.flatnonzero(sure), frame)
        # 4. Then whatever is left: tracks that are new, segments that are doubtful.
        _, left = self._match(np.append(rest, np.flatnonzero(~old)), np.append(left, np.flatnonzero(~sure)), frame)
        # 5. Give up tracks that are gone; begin one for each sure segment that nothing explains.
        self._tracks = [t for t in self._tracks if not t.is_gone(stamp_ns, size, self._config)]
        for column in left[sure[left]]:
            track = LiveTrack.begin(self._next_id, segments[column], frame.hidden[column], stamp_ns, self._config)
            self._tracks.append(track)
            self._next_id += 1
        return [track.report(stamp_ns) for track in self._tracks]

    def _advance(self, stamp_ns: int, size: tuple[int, int]) -> None:
        """Predict the tracks to ``stamp_ns``; adapt to a pause or a new image size."""
        if self._stamp_ns is not None:
            if stamp_ns <= self._stamp_ns:
                raise TrackingError(
                    f"frame at {stamp_ns} ns is not newer than the last one at {self._stamp_ns} ns; frames must come "
                    "in order of their stamps, each once. Call reset() if the clock was set back (a bag that loops)"
                )
            dt_s = (stamp_ns - self._stamp_ns) / 1e9
            if dt_s > self._config.max_gap_s:
                self._tracks = []  # after a long pause a prediction is a guess
            if size != self._size:
                self._rescale(size)
            for track in self._tracks:
                track.predict(dt_s, self._config, lost=track.seen_ns < self._stamp_ns)
        self._stamp_ns, self._size = stamp_ns, size

    def _rescale(self, size: tuple[int, int]) -> None:
        """Follow a camera that changed its resolution; another shape means another view: drop the tracks."""
        factor_y, factor_x = size[0] / self._size[0], size[1] / self._size[1]
        if abs(factor_x / factor_y - 1) > 0.02:
            self._tracks = []
        for track in self._tracks:
            track.rescale(factor_x, factor_y)

    def _match(self, rows: I64, columns: I64, frame: _Observed) -> tuple[I64, I64]:
        """Match some tracks with some segments; return the indices of those left over."""
        tracks = [self._tracks[row] for row in rows]
        score = similarity(_predicted(tracks), self._reach_px(tracks), frame.take(columns), self._config)
        pairs, rest, left = assign(score, self._config.min_similarity)
        for i, j in pairs:
            tracks[i].see(frame.segments[columns[j]], frame.hidden[columns[j]], frame.stamp_ns, self._config)
        return rows[rest], columns[left]

    def _reach_px(self, tracks: Sequence[LiveTrack]) -> F64:
        """(N,) how far each track looks: as far as its prediction and a segment's centre are uncertain."""
        noise = self._config.position_noise
        sigma = [math.sqrt(t.state.var[0] + (noise * t.state.scale_px) ** 2) for t in tracks]
        return self._config.reach_sigmas * np.array(sigma, np.float64)


class _Observed:
    """The segments of one frame, and their numbers as arrays."""

    def __init__(self, segments: Sequence[Segment], stamp_ns: int, size: tuple[int, int]) -> None:
        self.segments = segments
        self.stamp_ns = stamp_ns
        self.boxes = np.array([s.box_px for s in segments], np.float64).reshape(-1, 4)
        self.class_ids = np.array([s.class_id for s in segments], np.int64)
        self.hidden = hidden_sides(self.boxes, size)

    def take(self, columns: I64) -> Boxes:
        """Only the given segments."""
        return Boxes(self.boxes[columns], self.class_ids[columns])


def _predicted(tracks: Sequence[LiveTrack]) -> Boxes:
    boxes = np.array([t.state.box_px for t in tracks], np.float64).reshape(-1, 4)
    return Boxes(boxes, np.array([t.class_id for t in tracks], np.int64))
