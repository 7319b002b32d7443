"""Quality of service of every topic, and a subscription that adapts to that of its publishers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

# A camera, live: the newest image only. Best effort receives from best-effort and from reliable cameras.
CAMERA = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
CAMERA_RELIABLE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Lossless replay: no image may be overwritten; the source waits for the masks, so the history stays short.
LOSSLESS = QoSProfile(history=HistoryPolicy.KEEP_ALL, depth=0, reliability=ReliabilityPolicy.RELIABLE)
# What this package publishes.
RESULT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def camera(reliability: str, lossless: bool) -> QoSProfile:
    """Return the profile of a camera subscription; ``reliability``: best_effort or reliable."""
    if lossless:
        return LOSSLESS
    return CAMERA_RELIABLE if reliability == "reliable" else CAMERA


class LenientSubscription:
    """Subscription that requests no more than every publisher of its topic offers.

    ROS connects no subscription to a publisher that offers less than requested: one that requests reliable, latched
    messages receives nothing from a publisher that is best effort or not latched.

    Args:
        node: owns the subscription.
        kind: class of the messages.
        topic: name.
        callback: called with each message.
        wanted: requested where all publishers offer it.
    """

    def __init__(self, node: Node, kind: type, topic: str, callback: Callable[[Any], None], wanted: QoSProfile) -> None:
        self._node, self._kind, self._callback, self._wanted = node, kind, callback, wanted
        self._asked = wanted.reliability, wanted.durability
        self.subscription = self._subscribe(topic, wanted)

    def adapt(self) -> None:
        """Subscribe again if the publishers that are there now call for another profile; call it regularly."""
        offers = [end.qos_profile for end in self._node.get_publishers_info_by_topic(self.subscription.topic_name)]
        if not offers:
            return
        best_effort = any(offer.reliability == ReliabilityPolicy.BEST_EFFORT for offer in offers)
        volatile = any(offer.durability == DurabilityPolicy.VOLATILE for offer in offers)
        asked = (
            ReliabilityPolicy.BEST_EFFORT if best_effort else self._wanted.reliability,
            DurabilityPolicy.VOLATILE if volatile else self._wanted.durability,
        )
        if asked == self._asked:
            return
        self._asked, topic = asked, self.subscription.topic_name
        self.destroy()
        profile = QoSProfile(
            history=self._wanted.history, depth=self._wanted.depth, reliability=asked[0], durability=asked[1]
        )
        self.subscription = self._subscribe(topic, profile)

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self.subscription)

    def _subscribe(self, topic: str, profile: QoSProfile) -> Subscription:
        # rclpy's own callback would warn that nothing is received, which adapt() is about to change.
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        return self._node.create_subscription(self._kind, topic, self._callback, profile, event_callbacks=quiet)
