"""tracking/overlay of one camera: tracks drawn over the camera's images, while somebody looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.ros import qos
from cmt_seg_ros.ros.images import frame_from_image
from cmt_seg_ros.ros.track_publishers import TrackPublishers
from cmt_seg_ros.runtime.overlay import draw_masks
from cmt_seg_ros.runtime.pixels import to_bgr
from cmt_seg_ros.structures import Frame, Segmentation, Track
from cmt_seg_ros.tracking.render import Trail, Trails, draw_tracks

IMAGES_KEPT = 16  # images that wait for their masks


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn over one image; the fields are the arguments of :meth:`TrackOverlay.draw`."""

    segmentation: Segmentation
    tracks: Sequence[Track]
    trails: Mapping[int, Trail]
    labels: LabelSet
    header: Header


class TrackOverlay:
    """Brings images and tracks of the same stamp together, whichever comes first, and draws.

    Args:
        node: owns the subscription.
        image_topic: the camera's images.
        publishers: of the results.
        alpha: weight of the class colours, 0-1.
    """

    def __init__(self, node: LifecycleNode, image_topic: str, publishers: TrackPublishers, alpha: float) -> None:
        self._node, self._image_topic, self._publishers, self._alpha = node, image_topic, publishers, alpha
        self._subscription: Subscription | None = None
        self.reset()

    def reset(self) -> None:
        """Forget trails and whatever waits."""
        self._trails = Trails()
        self._images: dict[int, Frame] = {}
        self._undrawn: Drawing | None = None

    def follow(self, wanted: bool) -> None:
        """Receive images, or stop receiving them."""
        if wanted and self._subscription is None:
            self._subscription = self._node.create_subscription(Image, self._image_topic, self._on_image, qos.CAMERA)
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._images.clear()
            self._undrawn = None

    def draw(self, segmentation: Segmentation, tracks: Sequence[Track], labels: LabelSet, header: Header) -> None:
        """Draw one frame, now or when its image comes."""
        trails = self._trails.update(tracks)
        if self._subscription is None:
            return
        drawing = Drawing(segmentation, tracks, trails, labels, header)
        image = self._images.pop(segmentation.stamp_ns, None)
        if image is None:
            self._undrawn = drawing  # of several only the newest waits
        else:
            self._publish(image, drawing)

    def _on_image(self, message: Image) -> None:
        try:
            image = frame_from_image(message, "")
        except FrameError:
            return  # the segmentation node has refused it, too, and said so
        if self._undrawn is not None and self._undrawn.segmentation.stamp_ns == image.stamp_ns:
            self._publish(image, self._undrawn)
            self._undrawn = None
            return
        self._images[image.stamp_ns] = image
        while len(self._images) > IMAGES_KEPT:
            del self._images[next(iter(self._images))]

    def _publish(self, image: Frame, drawing: Drawing) -> None:
        found = drawing.segmentation
        if image.size != found.class_ids.shape:
            return
        picture = draw_masks(to_bgr(image), found.class_ids, found.objectness, drawing.labels, self._alpha)
        picture = draw_tracks(picture, drawing.tracks, drawing.labels, drawing.trails)
        self._publishers.publish_overlay(picture, drawing.header)
