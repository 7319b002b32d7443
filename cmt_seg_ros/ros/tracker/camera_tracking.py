"""What the tracker node does for one camera: pair, track, publish, draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image

from cmt_seg_ros.config import TrackerConfig, TrackingSettings
from cmt_seg_ros.errors import CmtSegError, ConfigError, FrameError, TrackingError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.msg import ClassMap
from cmt_seg_ros.ros.common.cameras import CameraSettings
from cmt_seg_ros.ros.common.images import mask_from_image
from cmt_seg_ros.ros.common.statistics import CameraStatistics
from cmt_seg_ros.ros.tracker.image_store import ImageStore
from cmt_seg_ros.ros.tracker.mask_input import MaskInput
from cmt_seg_ros.ros.tracker.overlay import TrackOverlay
from cmt_seg_ros.ros.tracker.track_publishers import TrackPublishers
from cmt_seg_ros.stamps import StampOrder
from cmt_seg_ros.structures import U8, Segmentation, Track
from cmt_seg_ros.tracking.tracker import Tracker


class CameraTracking:
    """One camera's masks become tracks.

    Args:
        node: owns subscriptions and publishers.
        camera: its name and where its images come from.
        config: of the tracker.
        settings: see TrackingSettings.
        first_id: of the first track.
        on_error: called as ``on_error(camera, what, error)`` for everything that is refused.
    """

    def __init__(
        self,
        node: LifecycleNode,
        camera: CameraSettings,
        config: TrackerConfig,
        settings: TrackingSettings,
        first_id: int,
        on_error: Callable[[str, str, CmtSegError], None],
    ) -> None:
        self._node, self._camera, self._config, self._settings = node, camera, config, settings
        self._first_id, self._on_error = first_id, on_error
        self._publishers = TrackPublishers(node, camera.topic)
        self._overlay = TrackOverlay(self._publishers, settings.overlay_alpha)
        self._images = ImageStore(node, camera, self._on_image, self._on_bad_image)
        self._input: MaskInput | None = None
        self._labels: LabelSet | None = None
        self._tracker: Tracker | None = None
        self._without_image = self._bad_images = 0
        self._order = StampOrder()
        self.statistics = CameraStatistics()

    def start(self) -> None:
        """Subscribe to the masks, their legend and, where they are used, the images."""
        self.look_after()
        self._input = MaskInput(
            self._node,
            self._camera.topic,
            self._settings.use_objectness,
            self.statistics,
            self._on_masks,
            self._on_legend,
        )

    def stop(self) -> None:
        """Unsubscribe and forget."""
        if self._input is not None:
            self._input.close()
        self._first_id = self.next_id
        self._images.follow(False)
        self.reset()
        self._input = self._tracker = self._labels = None

    def destroy(self) -> None:
        """Take the result topics down."""
        self._publishers.destroy()

    def reset(self) -> None:
        """Forget all tracks and the time; ids go on."""
        self._overlay.reset()
        self._order = StampOrder()
        if self._tracker is not None:
            self._tracker.reset()

    @property
    def next_id(self) -> int:
        """Id of the next new track."""
        return self._first_id if self._tracker is None else self._tracker.next_id

    def counts(self) -> dict[str, str]:
        """More numbers for diagnostics."""
        counts = {"unpaired": self._input.unpaired if self._input else 0, "bad_images": self._bad_images}
        if self._settings.use_images:
            counts["tracked_without_image"] = self._without_image
        return {name: str(count) for name, count in counts.items()}

    def troubles(self) -> list[str]:
        """A sentence for each thing that keeps masks from being tracked."""
        return self._input.troubles(self._labels) if self._input else []

    def look_after(self) -> None:
        """Called now and then: hear every publisher, and receive images only while they are used."""
        if self._input is not None:
            self._input.adapt()
        self._images.follow(self._settings.use_images or self._overlay.wanted)

    def _on_legend(self, message: ClassMap) -> None:
        try:
            labels = LabelSet.from_class_map(message)
        except ConfigError as error:
            self._on_error(self._camera.name, "classes", error)
            return
        if labels == self._labels:
            return
        # Class ids mean something else from here on; nobody knows what they mean in masks that wait.
        self.reset()
        if self._input is not None:
            self._input.forget()
        self._tracker, self._labels = Tracker(labels, self._config, first_id=self.next_id), labels

    def _on_image(self, stamp_ns: int) -> None:
        if stamp_ns != self._overlay.waiting_ns:
            return
        try:
            self._overlay.finish(self._images.take(stamp_ns))
        except FrameError as error:
            self._on_error(self._camera.name, "overlay", error)

    def _on_bad_image(self, error: FrameError) -> None:
        self._bad_images += 1
        self._on_error(self._camera.name, "image", error)

    def _on_masks(self, stamp_ns: int, parts: dict[str, Any]) -> None:
        if self._labels is None or self._tracker is None:
            self.statistics.drop("no_labels")  # troubles() says what to do
            return
        try:
            if self._order.has_restarted(stamp_ns):
                self.reset()
            self._track(self._tracker, self._labels, stamp_ns, parts["mask"], parts.get("objectness"))
        except (FrameError, TrackingError) as error:
            self.statistics.drop(getattr(error, "reason", "refused"))
            self._on_error(self._camera.name, "masks", error)

    def _track(self, tracker: Tracker, labels: LabelSet, stamp_ns: int, mask: Image, objectness: Image | None) -> None:
        ids = mask_from_image(mask)
        objects = cv2.LUT(ids, labels.is_object_lut) if objectness is None else mask_from_image(objectness)
        segmentation = Segmentation(self._camera.name, stamp_ns, ids, objects)
        image = self._images.take(stamp_ns)
        tracks = self._update(tracker, segmentation, image)
        self._order.newest_ns = stamp_ns
        self._publishers.publish(tracks, labels, (mask.height, mask.width), mask.header)
        self._overlay.draw(segmentation, tracks, labels, mask.header, image)
        self.statistics.publish((self._node.get_clock().now().nanoseconds - stamp_ns) / 1e6)

    def _update(self, tracker: Tracker, segmentation: Segmentation, image: U8 | None) -> list[Track]:
        """Track one frame; tracks must not depend on whether somebody looks at the overlay and so has images."""
        with_images = self._settings.use_images
        try:
            tracks = tracker.update(segmentation, image if with_images else None)
        except TrackingError:
            raise
        except Exception as error:  # an error of ours must not end the node
            tracker.reset()
            what = f"the tracker failed and begins anew ({type(error).__name__}: {error}); please report that"
            raise FrameError(what, "tracking") from error
        self._without_image += with_images and image is None
        return tracks
