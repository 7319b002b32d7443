"""MaskInput: subscriptions of tracker_node for one camera: masks, paired by stamp, and the classes of their pixels."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image

from cmt_seg_ros.config import TrackingSettings
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.msg import ClassMap
from cmt_seg_ros.ros.common import qos, qos_check
from cmt_seg_ros.ros.common.diagnostics import STALE_AFTER_S
from cmt_seg_ros.ros.common.faults import Faults
from cmt_seg_ros.ros.common.images import stamp_ns
from cmt_seg_ros.ros.common.statistics import CameraStatistics


class MaskInput:
    """Subscribes to ``segmentation/mask``, ``objectness``, ``instances`` and ``label_info``, with any QoS.

    Args:
        node: owns the subscriptions.
        topic: turns a name into the camera's topic.
        settings: ``use_objectness`` and ``use_instances`` say what is expected beside masks.
        statistics: counts the masks that were received and those that were lost.
        on_masks: called as ``on_masks(stamp_ns, {"mask": Image, "objectness": Image, "instances": Image})``; without
            objectness and instances where they are not used.
        on_class_map: called with each ClassMap.
        faults: of the node.
    """

    def __init__(
        self,
        node: Node,
        topic: Callable[[str], str],
        settings: TrackingSettings,
        statistics: CameraStatistics,
        on_masks: Callable[[int, dict[str, Any]], None],
        on_class_map: Callable[[ClassMap], None],
        faults: Faults,
    ) -> None:
        self._node, self._statistics = node, statistics
        needed = ["mask", *["objectness"] * settings.use_objectness]
        needed += ["instances"] * (settings.use_instances == "always")
        optional = ("instances",) if settings.use_instances == "auto" else ()
        names = (*needed, *optional)
        self._pairing = StampPairing(tuple(needed), on_masks, self._on_unpaired, optional=optional)
        self._inputs = {
            name: qos.LenientSubscription(
                node, Image, topic(f"segmentation/{name}"), faults.guard(name, partial(self._on_mask, name)), qos.RESULT
            )
            for name in names
        }
        self._class_map = qos.LenientSubscription(
            node, ClassMap, topic("segmentation/label_info"), faults.guard("label_info", on_class_map), qos.LATCHED
        )

    @property
    def unpaired(self) -> int:
        """Number of messages, masks and objectness, that were dropped because their counterpart did not arrive."""
        return self._pairing.unpaired

    def adapt(self) -> None:
        """Adapt to publishers with another quality of service; call it regularly."""
        for subscription in (*self._inputs.values(), self._class_map):
            subscription.adapt()
        for name in self._pairing.expected:
            if not self._node.count_publishers(self._inputs[name].subscription.topic_name):
                self._pairing.give_up(name)

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
            found += qos_check.unreachable_publishers(self._node, subscription.subscription)
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
        without = {
            "objectness": "use_objectness to false: then every pixel of an object class is one of an object",
            "instances": "use_instances to auto: then the connected components of the masks are tracked",
        }
        missing = [name for name in self._pairing.needed if name in without and not self._publishers(name)]
        for name in missing:
            topic = self._topic(name)
            found.append(f"masks wait for {name}: nobody publishes {topic}; publish it, or set {without[name]}")
        if not missing and self.unpaired and not self._pairing.paired:
            together = " and ".join(["masks", *sorted(self._pairing.needed - {"mask"})])
            found.append(
                f"{together} never have the same stamp: none is tracked, all are given up (unpaired); publish all of a "
                "frame under the stamp of its image"
            )
        return found

    def _topic(self, name: str) -> str:
        return str(self._inputs[name].subscription.topic_name)

    def _publishers(self, name: str) -> int:
        return int(self._node.count_publishers(self._topic(name)))

    def _on_mask(self, name: str, message: Image) -> None:
        if name == "mask":
            self._statistics.receive(time.monotonic())
        self._pairing.add(name, stamp_ns(message.header), message)

    def _on_unpaired(self, name: str) -> None:
        if name == "mask":
            self._statistics.drop("unpaired")


class StampPairing:
    """Collects one message of each topic for a stamp.

    Messages of a topic arrive in order: when a stamp completes, older incomplete stamps are dropped.

    Args:
        topics: names of the topics that every stamp needs.
        on_complete: called as ``on_complete(stamp_ns, {topic: message})``.
        on_lost: called as ``on_lost(topic)`` for each message that is dropped.
        depth: most incomplete stamps; beyond that the oldest is dropped.
        optional: further topics; a stamp needs one of these from its first message on, until :meth:`give_up`.

    Attributes:
        needed: topics that a stamp needs now.
        paired: number of stamps that were completed.
        unpaired: number of messages that were dropped.
    """

    def __init__(
        self,
        topics: tuple[str, ...],
        on_complete: Callable[[int, dict[str, Any]], None],
        on_lost: Callable[[str], None] = lambda topic: None,
        depth: int = 10,
        optional: tuple[str, ...] = (),
    ) -> None:
        self._optional, self.needed = optional, set(topics)
        self._on_complete, self._on_lost, self._depth = on_complete, on_lost, depth
        self._waiting: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self.paired = self.unpaired = 0

    def add(self, topic: str, stamp_ns: int, message: object) -> None:
        """Add a message; calls ``on_complete`` if it was the last one missing of its stamp."""
        self.needed.add(topic)
        parts = self._waiting.setdefault(stamp_ns, {})
        if topic in parts:
            self._drop({topic: message})  # the same stamp twice: an older message waits still
        parts[topic] = message
        if self.needed <= set(parts):
            self._complete(stamp_ns, parts)
        elif len(self._waiting) > self._depth:
            self._drop(self._waiting.popitem(last=False)[1])

    def _complete(self, stamp_ns: int, parts: dict[str, Any]) -> None:
        while next(iter(self._waiting)) != stamp_ns:
            self._drop(self._waiting.popitem(last=False)[1])
        del self._waiting[stamp_ns]
        self.paired += 1
        self._on_complete(stamp_ns, parts)

    @property
    def expected(self) -> list[str]:
        """The optional topics that a stamp needs now."""
        return [topic for topic in self._optional if topic in self.needed]

    def give_up(self, topic: str) -> None:
        """Need an optional topic no more, until its next message; stamps that waited for it alone are complete."""
        self.needed.discard(topic)
        for stamp, parts in list(self._waiting.items()):
            if self.needed <= set(parts) and stamp in self._waiting:
                self._complete(stamp, parts)

    def clear(self) -> None:
        """Drop all messages that wait."""
        while self._waiting:
            self._drop(self._waiting.popitem()[1])

    def _drop(self, parts: dict[str, Any]) -> None:
        self.unpaired += len(parts)
        for topic in parts:
            self._on_lost(topic)
