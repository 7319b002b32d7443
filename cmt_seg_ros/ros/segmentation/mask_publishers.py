"""MaskPublishers: the result topics of one camera; masks without a subscriber are not computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.images.pixels import to_bgr
from cmt_seg_ros.msg import ClassInfo, ClassMap
from cmt_seg_ros.ros.common import qos, vision
from cmt_seg_ros.ros.common.images import NS, attach, image_from_array
from cmt_seg_ros.ros.segmentation.object_publishers import ObjectPublishers, somebody
from cmt_seg_ros.runtime.masks import MASKS
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import U8, Frame, Segmentation


class MaskPublishers:
    """Publishers of the results of one camera.

    Args:
        node: owns the publishers.
        topic: turns the name of a result into the camera's topic.
        package: the model; its classes are published latched at once.
        threshold: probability below which pixels are unlabelled, 0-1.
    """

    def __init__(
        self, node: LifecycleNode, topic: Callable[[str], str], package: ModelPackage, threshold: float
    ) -> None:
        self._node, self._labels, self._has_instances = node, package.labels, package.has_instances

        def make(kind: type, name: str) -> Any:
            return node.create_lifecycle_publisher(kind, topic(f"segmentation/{name}"), qos.RESULT)

        self.objects = ObjectPublishers(node, topic, package)
        self.mask = make(Image, "mask")
        self.objectness = make(Image, "objectness")
        self.confidence = make(Image, "confidence") if "class_ids" not in package.outputs else None
        self.overlay = make(Image, "overlay")
        self.overlay_compressed = make(CompressedImage, "overlay/compressed")
        self.camera_info = make(CameraInfo, "camera_info")
        # Latched, so that it need not wait for the node to become active: a plain publisher.
        self.label_info = node.create_publisher(ClassMap, topic("segmentation/label_info"), qos.LATCHED)
        header = Header(stamp=node.get_clock().now().to_msg())
        self.label_info.publish(package.labels.to_class_map(package.name, header, ClassMap, ClassInfo))
        self.vision_info: Any = None
        if vision.AVAILABLE:
            self.vision_info = node.create_publisher(vision.LabelInfo, topic("segmentation/vision_info"), qos.LATCHED)
            self.vision_info.publish(vision.label_info(package.labels, threshold, node.get_clock().now().to_msg()))

    @property
    def image_publishers(self) -> tuple[Any, ...]:
        """The publishers whose messages need inference."""
        return *self._images, *self.objects.all

    @property
    def _images(self) -> tuple[Any, ...]:
        masks = self.mask, self.objectness, self.overlay, self.overlay_compressed
        return masks if self.confidence is None else (*masks, self.confidence)

    def requested_masks(self) -> tuple[str, ...]:
        """Return which of ``masks.MASKS`` the current subscribers need; none without subscribers."""
        if not any(map(somebody, self.image_publishers)):
            return ()
        overlay = somebody(self.overlay) or somebody(self.overlay_compressed)
        objectness = overlay or somebody(self.objectness)
        confidence = self.confidence is not None and somebody(self.confidence)
        wanted = {
            "class_ids",
            *["objectness"] * objectness,
            *["confidence"] * confidence,
            *["instance_ids"] * (overlay and self._has_instances),
            *self.objects.requested_masks(),
        }
        return tuple(name for name in MASKS if name in wanted)

    def publish(self, frame: Frame, result: Segmentation, alpha: float, info: CameraInfo | None) -> None:
        """Publish the results of one frame that have subscribers, under the frame's own stamp and frame_id."""
        header = Header(frame_id=result.frame_id)
        header.stamp.sec, header.stamp.nanosec = divmod(result.stamp_ns, NS)
        # The mask last: a node that pairs it with the objectness has both when it arrives.
        masks = ((self.objectness, result.objectness), (self.confidence, result.confidence))
        self.objects.publish(result, header)
        for publisher, mask in (*masks, (self.mask, result.class_ids)):
            if publisher is not None and mask is not None and somebody(publisher):
                publisher.publish(image_from_array(mask, "mono8", header))
        if info is not None and somebody(self.camera_info):
            info.header = header
            self.camera_info.publish(info)
        self._publish_overlay(frame, result, alpha, header)

    def destroy(self) -> None:
        """Destroy the publishers."""
        self.objects.destroy()
        for publisher in (*self._images, self.camera_info):
            self._node.destroy_lifecycle_publisher(publisher)
        for latched in filter(None, (self.label_info, self.vision_info)):
            self._node.destroy_publisher(latched)

    def _publish_overlay(self, frame: Frame, result: Segmentation, alpha: float, header: Header) -> None:
        raw, jpeg = somebody(self.overlay), somebody(self.overlay_compressed)
        if result.objectness is None or not (raw or jpeg):
            return
        image, objectness = to_bgr(frame), result.objectness
        picture: U8 = draw_masks(image, result.class_ids, objectness, self._labels, alpha, result.instance_ids)
        if raw:
            self.overlay.publish(image_from_array(picture, "bgr8", header))
        if jpeg:
            message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
            attach(message, cv2.imencode(".jpg", picture)[1])
            self.overlay_compressed.publish(message)
