"""LiveTrack: the state of one track between frames, from its first segment to its removal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import F64, U8, Box, Segment, Track, TrackEvent, TrackState
from cmt_seg_ros.tracking import kalman
from cmt_seg_ros.tracking.blobs.canvas import Silhouette
from cmt_seg_ros.tracking.blobs.splitting import Part
from cmt_seg_ros.tracking.visibility import Flags, complete_box

SILHOUETTE_NOISE = 0.1
"""Standard deviation of a silhouette's position beside that of the filter, sizes."""
BOX: U8 = np.ones((1, 1), np.uint8)
"""Shape of an object of which only boxes are known; shapes are stretched to the box."""
COLOR_RATE = 0.1
"""Weight of the current colours in the running mean."""


@dataclass(eq=False)
class LiveTrack:
    """One track; it is changed in place.

    Attributes:
        track_id: as of Track.
        state: motion of its box, at the time of the last frame.
        segment: the last one that was matched.
        box_px: of the segment that was matched last, or of the object as it was fitted in a blob.
        first_ns, seen_ns: stamps of the frames in which it was seen first and last.
        hidden_ns: stamp of the last frame in which it was hidden in a blob.
        confirmed_ns: stamp of the frame in which it was confirmed; None before.
        hits: number of frames in which it was seen.
        class_votes: number of pixels of each class so far.
        whole_px: (width, height) when last fully visible, pixels; 0 if never.
        shape: (h, w) uint8 0/1, mask when it was last matched alone; None if only boxes are known.
        colors: as of observation.color_histogram; None without images.
        camera_px_s: (2,) float64, velocity of the background around it, by camera motion, x and y, pixels per second;
            the rates of ``state`` are relative to that.
    """

    track_id: int
    state: kalman.MotionState
    segment: Segment
    box_px: Box
    first_ns: int
    seen_ns: int
    hidden_ns: int = 0
    confirmed_ns: int | None = None
    hits: int = 0
    class_votes: Counter[int] = field(default_factory=Counter)
    whole_px: F64 = field(default_factory=lambda: np.zeros(2))
    shape: U8 | None = None
    colors: F64 | None = None
    camera_px_s: F64 = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def start(
        cls, track_id: int, segment: Segment, hidden: Flags, colors: F64 | None, stamp_ns: int, config: TrackerConfig
    ) -> LiveTrack:
        """Start a track with its first segment; ``hidden`` and ``colors`` as of :meth:`update`."""
        state = kalman.start(segment.box_px, config)
        track = cls(track_id, state, segment, segment.box_px, stamp_ns, stamp_ns)
        track._remember(segment, hidden, colors, config)
        return track

    def predict(self, dt_s: float, config: TrackerConfig, *, lost: bool) -> None:
        """Predict the state ``dt_s`` seconds later; ``lost``: it was not seen in the last frame."""
        state = kalman.hold_size(self.state) if lost else self.state
        self.state = kalman.predict(state, dt_s, config)

    def update(self, segment: Segment, hidden: Flags, colors: F64 | None, stamp_ns: int, config: TrackerConfig) -> None:
        """Correct the state by a segment that shows this track only.

        Args:
            segment: its pixels.
            hidden: (4,) bool, its hidden sides, as of visibility.hidden_sides.
            colors: as of observation.color_histogram; None without images.
            stamp_ns: of the frame.
            config: of the tracker.
        """
        whole = complete_box(segment.box_px, hidden, self.state.box_px, self.whole_px)
        self.state = kalman.update(self.state, whole, config)
        self.segment, self.box_px, self.seen_ns = segment, segment.box_px, stamp_ns
        self._remember(segment, hidden, colors, config)

    def update_part(self, part: Part, stamp_ns: int, config: TrackerConfig) -> None:
        """Correct the state by its part of a blob; if it is hidden there, it does not count as seen."""
        self.state = kalman.update(kalman.hold_size(self.state), part.box_px, config)
        self.hidden_ns = stamp_ns
        if part.segment is not None and part.visible >= config.min_visible:
            self.segment, self.box_px, self.seen_ns = part.segment, part.box_px, stamp_ns
            self._count_hit(config)

    def is_expired(self, stamp_ns: int, size: tuple[int, int], config: TrackerConfig) -> bool:
        """Return whether to remove it at ``stamp_ns``, in an image of ``size`` (height, width)."""
        if self.seen_ns == stamp_ns:
            return False
        if self.confirmed_ns is None:
            return True
        left, top, right, bottom = self.state.box_px
        outside = right <= 0 or bottom <= 0 or left >= size[1] or top >= size[0]
        # While it is hidden in a blob, its position is known: the time starts later, by at most max_hidden_s.
        since = max(self.seen_ns, min(self.hidden_ns, self.seen_ns + round(config.max_hidden_s * 1e9)))
        return outside or (stamp_ns - since) / 1e9 > config.max_lost_s

    @property
    def confirmed(self) -> bool:
        """Whether it has been seen in enough frames."""
        return self.confirmed_ns is not None

    @property
    def class_id(self) -> int:
        """Class of most of its pixels so far; of equals the one with the lowest id."""
        return min(self.class_votes, key=lambda c: (-self.class_votes[c], c))

    @property
    def silhouette(self) -> Silhouette:
        """Predicted silhouette; a full box if only boxes are known."""
        scale = self.state.scale_px
        sigma = np.minimum(np.sqrt(self.state.var[:2] + (SILHOUETTE_NOISE * scale) ** 2), 0.5 * scale)
        return Silhouette(self.state.box_px, BOX if self.shape is None else self.shape, sigma)

    def to_track(self, stamp_ns: int, drift_px_s: F64, *, removed: bool = False) -> Track:
        """Return the track as it is published: as it was seen, or as predicted while it is not seen.

        Args:
            stamp_ns: of the frame.
            drift_px_s: (2,) float64, velocity of the picture that is not in ``camera_px_s``, x and y, px/s.
            removed: it is reported for the last time.
        """
        seen = self.seen_ns == stamp_ns
        left, top, right, bottom = self.box_px if seen else self.state.box_px
        vx, vy = self.state.rate[:2] + self.camera_px_s + drift_px_s
        entered = self.confirmed_ns == stamp_ns
        return Track(
            track_id=self.track_id,
            class_id=self.class_id,
            box_px=(float(left), float(top), float(right), float(bottom)),
            velocity_px_s=(float(vx), float(vy)),
            score=self.segment.score,
            state=TrackState.LOST if removed else self._state(seen),
            age_s=(stamp_ns - self.first_ns) / 1e9,
            unseen_s=(stamp_ns - self.seen_ns) / 1e9,
            segment=self.segment if seen else None,
            event=TrackEvent.LEFT if removed else TrackEvent.ENTERED if entered else TrackEvent.NONE,
            covariance=kalman.covariance(self.state),
        )

    def rescale(self, factor_x: float, factor_y: float) -> None:
        """Convert it to an image of another size."""
        self.state = kalman.rescale(self.state, factor_x, factor_y)
        self.whole_px = self.whole_px * (factor_x, factor_y)
        self.camera_px_s = self.camera_px_s * (factor_x, factor_y)

    def _state(self, seen: bool) -> TrackState:
        if not self.confirmed:
            return TrackState.TENTATIVE
        return TrackState.CONFIRMED if seen else TrackState.OCCLUDED

    def _remember(self, segment: Segment, hidden: Flags, colors: F64 | None, config: TrackerConfig) -> None:
        """Remember its shape, colours, class and size."""
        self.shape = segment.mask if segment.mask is not None else self.shape
        if colors is not None and colors.any():
            old = colors if self.colors is None else self.colors
            mixed = (1 - COLOR_RATE) * old + COLOR_RATE * colors
            self.colors = mixed / np.linalg.norm(mixed)
        self.class_votes[segment.class_id] += round(segment.area_px)
        self.whole_px = np.where(hidden[:2] | hidden[2:], self.whole_px, self.state.value[2:])
        self._count_hit(config)

    def _count_hit(self, config: TrackerConfig) -> None:
        self.hits += 1
        if not self.confirmed and self.hits >= config.min_hits:
            self.confirmed_ns = self.seen_ns
