"""TrackingSession: the tracker of one camera, with its rules for restarts and failures; used live and in evaluation."""

from __future__ import annotations

import time
from dataclasses import dataclass

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import FrameError, TrackingError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.stamps import StampOrder
from cmt_seg_ros.structures import U8, Segmentation, Track
from cmt_seg_ros.tracking.tracker import Tracker


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """The tracks of one frame.

    Attributes:
        tracks: as of :meth:`Tracker.update`.
        track_ms: time that the tracker took, ms.
    """

    tracks: list[Track]
    track_ms: float


class TrackingSession:
    """Tracks the objects of one camera, frame by frame; can be saved between two frames.

    Args:
        labels: the classes, and which of them are objects.
        config: of the tracker.
        first_id: id of the first track, above 0.
    """

    def __init__(self, labels: LabelSet, config: TrackerConfig, first_id: int = 1) -> None:
        self.labels = labels
        self._tracker, self._order = Tracker(labels, config, first_id), StampOrder()

    @property
    def next_id(self) -> int:
        """Id of the next new track."""
        return self._tracker.next_id

    def reset(self) -> None:
        """Forget all tracks and the time; ids keep counting."""
        self._tracker.reset()
        self._order.restart()

    def track(self, segmentation: Segmentation, image: U8 | None = None) -> TrackedFrame:
        """Track the objects of the next frame.

        The tracker is reset where the source starts again (see StampOrder), and where the tracker itself fails: such
        an error costs one frame and does not end the stream.

        Args:
            segmentation: as of :meth:`Tracker.update`.
            image: likewise.

        Raises:
            FrameError: the frame is late (reason ``out_of_order``) or a repetition (``duplicate_stamp``), or the
                tracker failed (``tracking``).
            TrackingError: the masks or the image are malformed.
        """
        begun = time.perf_counter()
        if self._order.accept(segmentation.stamp_ns):
            self._tracker.reset()
        try:
            tracks = self._tracker.update(segmentation, image)
        except TrackingError:
            raise
        except Exception as error:
            self._tracker.reset()
            what = f"the tracker failed and begins anew ({type(error).__name__}: {error}); please report that"
            raise FrameError(what, "tracking") from error
        return TrackedFrame(tracks, 1e3 * (time.perf_counter() - begun))
