"""MaskInput: subscriptions of tracker_node for one camera: masks, paired by stamp, and the classes of their pixels."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.msg import ClassMap
from cmt_seg_ros.ros.common import qos, qos_check
from cmt_seg_ros.ros.common.diagnostics import STALE_AFTER_S
from cmt_seg_ros.ros.common.images import stamp_ns
from cmt_seg_ros.ros.common.lenient_subscription import LenientSubscription
from cmt_seg_ros.ros.common.statistics import CameraStatistics
from cmt_seg_ros.ros.tracker.pairing import StampPairing


class MaskInput:
    """Subscribes to ``segmentation/mask``, ``objectness`` and ``label_info``, with any quality of service.

    Args:
        node: owns the subscriptions.
        topic: turns a name into the camera's topic.
        use_objectness: False: only masks are expected.
        statistics: counts the masks that were received and those that were lost.
        on_masks: called as ``on_masks(stamp_ns, {"mask": Image, "objectness": Image})``; without objectness where
            that is not used.
        on_class_map: called with each ClassMap.
    """

    def __init__(
        self,
        node: Node,
        topic: Callable[[str], str],
        use_objectness: bool,
        statistics: CameraStatistics,
        on_masks: Callable[[int, dict[str, Any]], None],
        on_class_map: Callable[[ClassMap], None],
    ) -> None:
        self._node, self._statistics = node, statistics
        names = ("mask", "objectness") if use_objectness else ("mask",)
        self._pairing = StampPairing(names, on_masks, self._on_unpaired)
        self._inputs = {
            name: LenientSubscription(
                node, Image, topic(f"segmentation/{name}"), partial(self._on_mask, name), qos.RESULT
            )
            for name in names
        }
        self._class_map = LenientSubscription(
            node, ClassMap, topic("segmentation/label_info"), on_class_map, qos.LATCHED
        )

    @property
    def unpaired(self) -> int:
        """Number of messages, masks and objectness, that were dropped because their counterpart did not arrive."""
        return self._pairing.unpaired

    def adapt(self) -> None:
        """Adapt to publishers with another quality of service; call it regularly."""
        for subscription in (*self._inputs.values(), self._class_map):
            subscription.adapt()

    def clear(self) -> None:
        """Drop the messages that wait for their counterpart."""
        self._pairing.clear()

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in (*self._inputs.values(), self._class_map):
            subscription.destroy()

    def issues(self, labels: LabelSet | None) -> list[str]:
        """Return a sentence for each thing that keeps masks from being tracked; ``labels``: the classes, once known."""
        found = []
        for subscription in (*self._inputs.values(), self._class_map):
            found += qos_check.deaf_to(self._node, subscription.subscription)
        if labels is not None and not labels.object_ids:
            found.append("none of the classes in segmentation/label_info is an object (is_object): nothing is tracked")
        if time.monotonic() - self._statistics.last_received_s > STALE_AFTER_S:
            return found
        topic = self._class_map.subscription.topic_name
        if labels is None:
            found.append(
                f"masks wait for their classes: no valid ones were received on {topic}, which has "
                f"{self._node.count_publishers(topic)} publishers; publish a cmt_seg_ros/ClassMap there, latched: it "
                "says what the numbers in the masks mean and which of them are objects"
            )
        objectness = self._inputs.get("objectness")
        if objectness is not None and not self._node.count_publishers(objectness.subscription.topic_name):
            found.append(
                f"masks wait for objectness: nobody publishes {objectness.subscription.topic_name}; publish it, or set "
                "use_objectness to false: then every pixel of an object class is one of an object"
            )
        elif self.unpaired and not self._pairing.paired:
            found.append(
                "masks and objectness never have the same stamp: none is tracked, all are given up (unpaired); publish "
                "both of a frame under the stamp of its image"
            )
        return found

    def _on_mask(self, name: str, message: Image) -> None:
        if name == "mask":
            self._statistics.receive(time.monotonic())
        self._pairing.add(name, stamp_ns(message.header), message)

    def _on_unpaired(self, name: str) -> None:
        if name == "mask":
            self._statistics.drop("unpaired")
