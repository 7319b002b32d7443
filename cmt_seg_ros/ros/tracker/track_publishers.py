"""TrackPublishers: the result topics of the tracker of one camera."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.msg import Track as TrackMessage
from cmt_seg_ros.msg import TrackArray
from cmt_seg_ros.ros.common import qos, vision
from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.structures import U8, Track
from cmt_seg_ros.tracking.render import instance_image
from cmt_seg_ros.tracking.track_message import track_fields


class TrackPublishers:
    """Publishes the tracks of one camera, and pictures of them."""

    def __init__(self, node: LifecycleNode, topic: Callable[[str], str]) -> None:
        self._node = node
        self.tracks = node.create_lifecycle_publisher(TrackArray, topic("tracking/tracks"), qos.RESULT)
        self.instances = node.create_lifecycle_publisher(Image, topic("tracking/instances"), qos.RESULT)
        self.overlay = node.create_lifecycle_publisher(Image, topic("tracking/overlay"), qos.RESULT)
        self._publishers = [self.tracks, self.instances, self.overlay]
        if vision.AVAILABLE:
            kind = vision.Detection2DArray
            self._publishers.append(node.create_lifecycle_publisher(kind, topic("tracking/detections"), qos.RESULT))

    def publish(self, tracks: Sequence[Track], labels: LabelSet, size: tuple[int, int], header: Header) -> None:
        """Publish the tracks of one frame and, if it has subscribers, the image of their ids.

        Raises:
            FrameError: the middleware refuses them (``publish``).
        """
        _send(self.tracks, track_array(tracks, labels, size, header))
        if vision.AVAILABLE:
            _send(self._publishers[-1], vision.detections(tracks, labels, header))
        if self.instances.get_subscription_count():
            _send(self.instances, image_from_array(instance_image(tracks, size), "mono16", header))

    def publish_overlay(self, picture: U8, header: Header) -> None:
        """Publish a (H, W, 3) uint8 blue-green-red picture.

        Raises:
            FrameError: the middleware refuses it (``publish``).
        """
        _send(self.overlay, image_from_array(picture, "bgr8", header))

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)


def track_array(tracks: Sequence[Track], labels: LabelSet, size: tuple[int, int], header: Header) -> TrackArray:
    """Return the message for the tracks of one frame of (height, width) pixels."""
    message = TrackArray(header=header, image_height=size[0], image_width=size[1])
    message.tracks = [TrackMessage(**track_fields(track, labels)) for track in tracks]
    return message


def _send(publisher: Any, message: Any) -> None:
    try:
        publisher.publish(message)
    except RuntimeError as error:  # RCLError, which rclpy does not export: when flooded it refuses now and then
        raise FrameError(f"{publisher.topic_name} could not be published: {error}", "publish") from error
