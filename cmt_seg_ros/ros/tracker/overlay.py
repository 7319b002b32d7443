"""TrackOverlay: tracks drawn over the images of one camera, while ``tracking/overlay`` has subscribers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
from std_msgs.msg import Header

from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.ros.tracker.track_publishers import TrackPublishers
from cmt_seg_ros.structures import U8, Segmentation, Track, TrackState
from cmt_seg_ros.tracking.render import Trail, Trails, draw_tracks


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn over one image; the fields are the arguments of :meth:`TrackOverlay.draw`."""

    segmentation: Segmentation
    tracks: Sequence[Track]
    trails: Mapping[int, Trail]
    labels: LabelSet
    header: Header


class TrackOverlay:
    """Draws tracks over the image of the same stamp, whichever arrives first.

    Args:
        publishers: of the results.
        alpha: weight of the class colours, 0-1.
    """

    def __init__(self, publishers: TrackPublishers, alpha: float) -> None:
        self._publishers, self._alpha = publishers, alpha
        self.reset()

    @property
    def wanted(self) -> bool:
        """Whether the topic has subscribers."""
        return bool(self._publishers.overlay.get_subscription_count() > 0)

    @property
    def waiting_ns(self) -> int | None:
        """Stamp of the frame that waits for its image, ns."""
        return None if self._undrawn is None else self._undrawn.segmentation.stamp_ns

    def reset(self) -> None:
        """Forget the trails and the frame that waits for its image."""
        self._trails = Trails()
        self._undrawn: Drawing | None = None

    def draw(
        self,
        segmentation: Segmentation,
        tracks: Sequence[Track],
        labels: LabelSet,
        header: Header,
        image: U8 | None,
    ) -> None:
        """Draw one frame over its (H, W, 3) uint8 blue-green-red image; if None, once that arrives."""
        alive = [track for track in tracks if track.state != TrackState.LOST]
        trails = self._trails.update(alive)
        # Of several frames that wait, only the newest is worth drawing.
        self._undrawn = Drawing(segmentation, alive, trails, labels, header) if self.wanted else None
        self.finish(image)

    def finish(self, image: U8 | None) -> None:
        """Draw the frame that waits over its image, as of :meth:`draw`."""
        if image is None or self._undrawn is None:
            return
        drawing, self._undrawn = self._undrawn, None
        found = drawing.segmentation
        height, width = found.class_ids.shape
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        picture = draw_masks(image, found.class_ids, found.objectness, drawing.labels, self._alpha)
        picture = draw_tracks(picture, drawing.tracks, drawing.labels, drawing.trails)
        self._publishers.publish_overlay(picture, drawing.header)
