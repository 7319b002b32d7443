"""The life of one track: seen, lost, found again, gone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.structures import F64, Segment, Track, TrackState
from cmt_seg_ros.tracking import motion
from cmt_seg_ros.tracking.visibility import Flags, complete


@dataclass(eq=False)
class LiveTrack:
    """One track between frames; changes in place.

    Attributes:
        track_id: as of Track.
        state: motion of its box, at the time of the last frame.
        segment: the last one matched.
        first_ns, seen_ns: stamps of the frames that showed it first and last.
        confirmed: seen in enough frames.
        hits: number of frames that showed it.
        class_votes: pixels seen of each class; the class is the one with the most.
        whole_px: (width, height) when last seen whole, pixels; 0 if never.
    """

    track_id: int
    state: motion.MotionState
    segment: Segment
    first_ns: int
    seen_ns: int
    confirmed: bool = False
    hits: int = 0
    class_votes: Counter[int] = field(default_factory=Counter)
    whole_px: F64 = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def begin(cls, track_id: int, segment: Segment, hidden: Flags, stamp_ns: int, config: TrackerConfig) -> LiveTrack:
        """A new track from the segment that shows it first; ``hidden`` as of :meth:`see`."""
        track = cls(track_id, motion.start(segment.box_px, config), segment, stamp_ns, stamp_ns)
        track._count(segment, hidden, config)
        return track

    def predict(self, dt_s: float, config: TrackerConfig, *, lost: bool) -> None:
        """Move on by ``dt_s`` seconds; ``lost`` when the last frame did not show it."""
        state = motion.hold_size(self.state) if lost else self.state
        self.state = motion.predict(state, dt_s, config)

    def see(self, segment: Segment, hidden: Flags, stamp_ns: int, config: TrackerConfig) -> None:
        """Take the segment that shows the track at ``stamp_ns``; ``hidden`` (4,) are its hidden sides."""
        whole = complete(segment.box_px, hidden, self.state.box_px, self.whole_px)
        self.state = motion.update(self.state, whole, config)
        self.segment, self.seen_ns = segment, stamp_ns
        self._count(segment, hidden, config)

    def is_gone(self, stamp_ns: int, size: tuple[int, int], config: TrackerConfig) -> bool:
        """Whether to give it up at ``stamp_ns``, in an image of ``size`` (height, width)."""
        if self.seen_ns == stamp_ns:
            return False
        x, y = self.state.value[:2]
        outside = not (0 <= x < size[1] and 0 <= y < size[0])
        return outside or not self.confirmed or (stamp_ns - self.seen_ns) / 1e9 > config.max_lost_s

    @property
    def class_id(self) -> int:
        """The class most of its pixels had so far; the lower id of equals."""
        return min(self.class_votes, key=lambda c: (-self.class_votes[c], c))

    def report(self, stamp_ns: int) -> Track:
        """What is published of it at ``stamp_ns``: what was seen, or what is predicted while occluded."""
        seen = self.seen_ns == stamp_ns
        state = TrackState.TENTATIVE if not self.confirmed else TrackState.CONFIRMED if seen else TrackState.OCCLUDED
        left, top, right, bottom = self.segment.box_px if seen else self.state.box_px
        return Track(
            track_id=self.track_id,
            class_id=self.class_id,
            box_px=(float(left), float(top), float(right), float(bottom)),
            velocity_px_s=self.state.velocity_px_s,
            score=self.segment.score,
            state=state,
            age_s=(stamp_ns - self.first_ns) / 1e9,
            unseen_s=(stamp_ns - self.seen_ns) / 1e9,
            mask=self.segment.mask if seen else None,
        )

    def rescale(self, factor_x: float, factor_y: float) -> None:
        """Follow a change of the image's size."""
        self.state = motion.rescale(self.state, factor_x, factor_y)
        self.whole_px = self.whole_px * (factor_x, factor_y)

    def _count(self, segment: Segment, hidden: Flags, config: TrackerConfig) -> None:
        self.hits += 1
        self.confirmed = self.confirmed or self.hits >= config.min_hits
        self.class_votes[segment.class_id] += segment.area_px
        self.whole_px = np.where(hidden[:2] | hidden[2:], self.whole_px, self.state.value[2:])
