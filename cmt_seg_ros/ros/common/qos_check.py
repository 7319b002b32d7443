"""QoS check: endpoints that are not connected to ours because QoS or type is incompatible; ROS hardly reports them."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo


def unreachable_publishers(node: Node, subscription: Subscription) -> list[str]:
    """Return a sentence for each publisher of a subscription's topic from which it receives nothing."""
    topic = subscription.topic_name
    ours, said = _ours(node, node.get_subscriptions_info_by_topic(topic)), []
    for other in node.get_publishers_info_by_topic(topic) if ours else ():
        if other.topic_type != ours.topic_type:
            said.append(f"{_name(other)} publishes {other.topic_type} on {topic}: nothing is received from it")
        elif why := _incompatible(other, ours):
            said.append(f"nothing is received from {_name(other)} on {topic}: incompatible QoS ({why})")
    return said


def unreachable_subscribers(node: Node, publisher: Publisher) -> list[str]:
    """Return a sentence for each subscriber of a publisher's topic that receives nothing from it."""
    topic = publisher.topic_name
    ours, said = _ours(node, node.get_publishers_info_by_topic(topic)), []
    for other in node.get_subscriptions_info_by_topic(topic) if ours else ():
        if other.topic_type != ours.topic_type:
            said.append(f"{_name(other)} expects {other.topic_type} on {topic}: it receives nothing")
        elif why := _incompatible(ours, other):
            said.append(f"{_name(other)} receives nothing on {topic}: incompatible QoS ({why})")
    return said


def type_name(kind: type) -> str:
    """Return the name of a message class as the graph has it, e.g. ``sensor_msgs/msg/Image``."""
    return "/".join([*kind.__module__.split(".")[:2], kind.__name__])


def _ours(node: Node, found: list[TopicEndpointInfo]) -> Any:
    """Return our own endpoint as the middleware sees it, with the settings it chose; None if it is not there yet."""
    name = node.get_fully_qualified_name()
    return next((end for end in found if _name(end) == name), None)


def _incompatible(publisher: TopicEndpointInfo, subscription: TopicEndpointInfo) -> str:
    level, why = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
    return why.replace("ERROR:", "").strip(" ;.") if level == QoSCompatibility.ERROR else ""


def _name(end: TopicEndpointInfo) -> str:
    return f"{end.node_namespace.rstrip('/')}/{end.node_name}"
