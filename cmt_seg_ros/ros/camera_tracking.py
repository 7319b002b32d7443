"""What the tracker node does for one camera: pair, track, publish, draw."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import CmtSegError, ConfigError, FrameError, TrackingError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.msg import ClassMap
from cmt_seg_ros.ros import qos
from cmt_seg_ros.ros.classes import label_set
from cmt_seg_ros.ros.images import mask_from_image, stamp_ns
from cmt_seg_ros.ros.pairing import StampPairing
from cmt_seg_ros.ros.track_overlay import TrackOverlay
from cmt_seg_ros.ros.track_publishers import TrackPublishers
from cmt_seg_ros.runtime.batching import RESTART_AFTER
from cmt_seg_ros.runtime.statistics import CameraStatistics
from cmt_seg_ros.structures import Segmentation, Track
from cmt_seg_ros.tracking.tracker import Tracker


class CameraTracking:
    """One camera's masks become tracks.

    Args:
        node: owns subscriptions and publishers.
        camera: its name; "" for the only camera of a node without a list.
        image_topic: images for the overlay.
        config: of the tracker.
        overlay_alpha: weight of the class colours in the overlay, 0-1.
        on_error: called as ``on_error(camera, error)`` for every frame that is refused.
    """

    def __init__(
        self,
        node: LifecycleNode,
        camera: str,
        image_topic: str,
        config: TrackerConfig,
        overlay_alpha: float,
        on_error: Callable[[str, CmtSegError], None],
    ) -> None:
        self._node, self._camera, self._config, self._on_error = node, camera, config, on_error
        self._publishers = TrackPublishers(node, self._topic)
        self.statistics = CameraStatistics()
        self._subscriptions: list[Subscription] = []
        self._labels: LabelSet | None = None
        self._tracker: Tracker | None = None
        self._overlay = TrackOverlay(node, image_topic, self._publishers, overlay_alpha)
        self._out_of_order = 0

    def start(self) -> None:
        """Subscribe to masks, objectness and the legend."""
        self._pairing = StampPairing(("mask", "objectness"), self._on_pair, self._on_unpaired)
        subscribe = self._node.create_subscription
        for name in ("mask", "objectness"):
            callback = partial(self._on_mask, name)
            self._subscriptions.append(subscribe(Image, self._topic(f"segmentation/{name}"), callback, qos.RESULT))
        legend = self._topic("segmentation/label_info")
        self._subscriptions.append(subscribe(ClassMap, legend, self._on_labels, qos.LATCHED))

    def stop(self) -> None:
        """Unsubscribe and forget."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self._overlay.follow(False)
        self._overlay.reset()
        self._tracker = self._labels = None

    def destroy(self) -> None:
        """Take the result topics down."""
        self._publishers.destroy()

    def reset(self) -> None:
        """Forget all tracks; ids go on."""
        self._overlay.reset()
        if self._tracker is not None:
            self._tracker.reset()

    def counts(self) -> dict[str, str]:
        """More numbers for diagnostics."""
        return {"unpaired": str(self._pairing.unpaired)}

    def look_after_overlay(self) -> None:
        """Called now and then: images are received only while somebody looks at the overlay."""
        self._overlay.follow(self._publishers.overlay.get_subscription_count() > 0)

    def _topic(self, name: str) -> str:
        return f"{self._camera}/{name}" if self._camera else name

    def _on_labels(self, message: ClassMap) -> None:
        try:
            labels = label_set(message)
        except ConfigError as error:
            self._on_error(self._camera, error)
            return
        if labels != self._labels:
            # Another legend: class ids mean something else from here on.
            self._labels, self._tracker = labels, Tracker(labels, self._config)
            self._overlay.reset()

    def _on_mask(self, name: str, message: Image) -> None:
        if name == "mask":
            self.statistics.receive(time.monotonic())
        self._pairing.add(name, stamp_ns(message.header), message)

    def _on_unpaired(self, name: str) -> None:
        if name == "mask":
            self.statistics.drop("unpaired")

    def _on_pair(self, stamp: int, parts: dict[str, Any]) -> None:
        try:
            self._track(stamp, parts["mask"], parts["objectness"])
        except (FrameError, TrackingError) as error:
            self.statistics.drop(getattr(error, "reason", "refused"))
            self._on_error(self._camera, error)

    def _track(self, stamp: int, mask: Image, objectness: Image) -> None:
        if self._labels is None or self._tracker is None:
            topic = self._topic("segmentation/label_info")
            raise FrameError(f"no classes yet: nothing was received on {topic}; it says what ids mean", "no_labels")
        ids = mask_from_image(mask)
        segmentation = Segmentation(self._camera, stamp, ids, mask_from_image(objectness), np.zeros_like(ids))
        tracks = self._update(self._tracker, segmentation)
        self._publishers.publish(tracks, self._labels, (mask.height, mask.width), mask.header)
        self._overlay.draw(segmentation, tracks, self._labels, mask.header)
        self.statistics.publish((self._node.get_clock().now().nanoseconds - stamp) / 1e6)

    def _update(self, tracker: Tracker, segmentation: Segmentation) -> list[Track]:
        """Track one frame; a source that began again (a bag in a loop) resets the tracker."""
        try:
            tracks = tracker.update(segmentation)
        except TrackingError:
            self._out_of_order += 1
            if self._out_of_order < RESTART_AFTER:
                raise
            self.reset()
            tracks = tracker.update(segmentation)
        self._out_of_order = 0
        return tracks
