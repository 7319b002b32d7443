"""CameraTracking: one camera of tracker_node, from its paired masks to tracks that are published and drawn."""

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
from cmt_seg_ros.ros.common.faults import Faults
from cmt_seg_ros.ros.common.images import HeaderStamps, instances_from_image, mask_from_image
from cmt_seg_ros.ros.common.statistics import CameraStatistics
from cmt_seg_ros.ros.tracker.image_store import ImageStore
from cmt_seg_ros.ros.tracker.mask_input import MaskInput
from cmt_seg_ros.ros.tracker.overlay import TrackOverlay
from cmt_seg_ros.ros.tracker.track_publishers import TrackPublishers
from cmt_seg_ros.structures import Segmentation
from cmt_seg_ros.tracking.session import TrackingSession


class CameraTracking:
    """Turns the masks of one camera into tracks.

    Args:
        node: owns subscriptions and publishers.
        camera: its name and where its images come from.
        config: of the tracker.
        settings: see TrackingSettings.
        first_id: of the first track.
        on_error: called as ``on_error(camera, what, error)`` for everything that is refused.
        faults: of the node.
    """

    def __init__(
        self,
        node: LifecycleNode,
        camera: CameraSettings,
        config: TrackerConfig,
        settings: TrackingSettings,
        first_id: int,
        on_error: Callable[[str, str, CmtSegError], None],
        faults: Faults,
    ) -> None:
        self._node, self._camera, self._config, self._settings = node, camera, config, settings
        self._first_id, self._on_error, self._faults = first_id, on_error, faults
        self._publishers = TrackPublishers(node, camera.topic)
        self._overlay = TrackOverlay(self._publishers, settings.overlay_alpha)
        self._images = ImageStore(node, camera, settings.mono16_range, self._on_image, self._on_bad_image, faults)
        self._input: MaskInput | None = None
        self._session: TrackingSession | None = None
        self._without_image = self._bad_images = 0
        self._stamps = HeaderStamps(node, f"camera {camera.name or '(only one)'}: a mask")
        self.statistics = CameraStatistics()

    def start(self) -> None:
        """Subscribe to the masks, their classes and, where they are used, the images."""
        self.poll()
        self._input = MaskInput(
            self._node,
            self._camera.topic,
            self._settings,
            self.statistics,
            self._on_masks,
            self._on_class_map,
            self._faults,
        )

    def stop(self) -> None:
        """Unsubscribe and forget all tracks."""
        if self._input is not None:
            self._input.close()
        self._first_id = self.next_id
        self._images.follow(False)
        self.reset()
        self._input = self._session = None

    def destroy(self) -> None:
        """Destroy the publishers."""
        self._publishers.destroy()

    def reset(self) -> None:
        """Forget all tracks and the time; ids keep counting."""
        self._overlay.reset()
        if self._session is not None:
            self._session.reset()

    @property
    def next_id(self) -> int:
        """Id of the next new track."""
        return self._first_id if self._session is None else self._session.next_id

    def counts(self) -> dict[str, str]:
        """Return more numbers for diagnostics."""
        counts = {"unpaired": self._input.unpaired if self._input else 0, "bad_images": self._bad_images}
        if self._settings.use_images:
            counts["tracked_without_image"] = self._without_image
        return {name: str(count) for name, count in counts.items()}

    def issues(self) -> list[str]:
        """Return a sentence for each thing that keeps masks from being tracked, or images from being received."""
        if self._input is None:
            return []
        return self._input.issues(self._session.labels if self._session else None) + self._images.issues()

    def poll(self) -> None:
        """Adapt to publishers that came or went, and receive images only while they are used; call it regularly."""
        if self._input is not None:
            self._input.adapt()
        self._images.follow(self._settings.use_images or self._overlay.wanted)

    def _on_class_map(self, message: ClassMap) -> None:
        try:
            labels = LabelSet.from_class_map(message)
        except ConfigError as error:
            self._on_error(self._camera.name, "classes", error)
            return
        if self._session is not None and self._session.labels == labels:
            return
        # From here on class ids mean something else; which classes pending masks mean is unknown.
        self.reset()
        if self._input is not None:
            self._input.clear()
        self._session = TrackingSession(labels, self._config, first_id=self.next_id)

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
        if self._session is None:
            self.statistics.drop("no_labels")  # issues() says what to do
            return
        try:
            self._track(self._session, parts["mask"], parts.get("objectness"), parts.get("instances"))
        except (FrameError, TrackingError) as error:
            self.statistics.drop(getattr(error, "reason", "refused"))
            self._on_error(self._camera.name, "masks", error)
        except Exception as error:  # of any kind: it must be counted
            self.statistics.drop("fault")
            self._on_error(self._camera.name, "masks", FrameError(f"{type(error).__name__}: {error}", "fault"))

    def _track(self, session: TrackingSession, mask: Image, objectness: Image | None, instances: Image | None) -> None:
        ids = mask_from_image(mask)
        objects = cv2.LUT(ids, session.labels.is_object_lut) if objectness is None else mask_from_image(objectness)
        numbers = None if instances is None else instances_from_image(instances)
        # Masks without a stamp came as a pair. After they were read: that of a bad mask says nothing about the clock.
        stamp_ns = self._stamps.fill(mask.header)
        segmentation = Segmentation(self._camera.name, stamp_ns, ids, objects, instance_ids=numbers)
        image = self._images.take(stamp_ns)
        # Tracks must not depend on whether somebody looks at the overlay, for which images are received, too.
        tracks = session.track(segmentation, image if self._settings.use_images else None).tracks
        self._without_image += self._settings.use_images and image is None
        self._publishers.publish(tracks, session.labels, (mask.height, mask.width), mask.header)
        self._overlay.draw(segmentation, tracks, session.labels, mask.header, image)
        self.statistics.publish((self._node.get_clock().now().nanoseconds - stamp_ns) / 1e6)
