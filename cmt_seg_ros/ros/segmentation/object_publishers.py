"""ObjectPublishers: the objects of one camera's frames without tracking, and what the scene consists of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.msg import Instance as InstanceMessage
from cmt_seg_ros.msg import InstanceArray, Scene
from cmt_seg_ros.ros.common import qos, vision
from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.runtime.fusion import panoptic_image
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import U8, Instance, Segmentation
from cmt_seg_ros.tracking.segments import find_segments


class ObjectPublishers:
    """Publishers of the objects of one camera; what has no subscriber is not computed.

    Args:
        node: owns the publishers.
        topic: turns the name of a result into the camera's topic.
        package: the model.

    Attributes:
        instances_without_number: objects that were more than segmentation/panoptic has numbers for.
    """

    def __init__(self, node: LifecycleNode, topic: Callable[[str], str], package: ModelPackage) -> None:
        self._node, self._labels, self._has_instances = node, package.labels, package.has_instances
        self.instances_without_number = 0

        def make(kind: type, name: str) -> Any:
            return node.create_lifecycle_publisher(kind, topic(f"segmentation/{name}"), qos.RESULT)

        self.instances: Any = make(Image, "instances") if self._has_instances else None
        self.panoptic: Any = make(Image, "panoptic") if self._has_instances else None
        self.instance_info = make(InstanceArray, "instance_info")
        self.scene = make(Scene, "scene")
        self.detections: Any = make(vision.Detection2DArray, "detections") if vision.AVAILABLE else None

    @property
    def all(self) -> list[Any]:
        """The publishers; the messages of each need inference."""
        made = (self.instances, self.panoptic, self.instance_info, self.scene, self.detections)
        return [publisher for publisher in made if publisher is not None]

    def requested_masks(self) -> tuple[str, ...]:
        """Return which of ``masks.MASKS`` the current subscribers need."""
        if not any(map(somebody, self.all)):
            return ()
        return ("class_ids", "instance_ids") if self._has_instances else ("class_ids", "objectness")

    def publish(self, result: Segmentation, header: Header) -> None:
        """Publish what has subscribers of the results of one frame."""
        wanted = [publisher for publisher in self.all if somebody(publisher)]
        ids, needed = result.instance_ids, result.instances if self._has_instances else result.objectness
        if not wanted or needed is None:  # or somebody subscribed after the masks had been chosen
            return
        found = objects_of(result, self._labels)
        if self.instances in wanted and ids is not None:
            self.instances.publish(image_from_array(ids, "mono16", header))
        if self.panoptic in wanted and ids is not None:
            image, left_out = panoptic_image(result.class_ids, ids, found)
            self.instances_without_number += left_out
            self.panoptic.publish(image_from_array(image, "mono16", header))
        if self.instance_info in wanted:
            self.instance_info.publish(instance_array(found, self._labels, result.class_ids.shape, header))
        if self.scene in wanted:
            self.scene.publish(scene_of(result.class_ids, found, self._labels, header))
        if self.detections in wanted:
            self.detections.publish(vision.instance_detections(found, self._labels, header))

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self.all:
            self._node.destroy_lifecycle_publisher(publisher)


def objects_of(result: Segmentation, labels: LabelSet) -> Sequence[Instance]:
    """Return the instances of a frame by falling score; of a model without, the components of its object classes."""
    if result.instances is not None or result.objectness is None:
        return result.instances or ()
    least = TrackerConfig.min_area_fraction
    segments = find_segments(result.class_ids, result.objectness, labels, min_area_fraction=least)
    segments.sort(key=lambda segment: -segment.score)
    return [Instance(k, s.class_id, s.score, s.box_px, int(s.area_px)) for k, s in enumerate(segments, 1)]


def instance_array(
    instances: Sequence[Instance], labels: LabelSet, size: tuple[int, ...], header: Header
) -> InstanceArray:
    """Return the message for the objects of one frame of (height, width) pixels."""
    message = InstanceArray(header=header, image_height=size[0], image_width=size[1])
    for one in instances:
        left, top, right, bottom = map(float, one.box_px)
        message.instances.append(
            InstanceMessage(
                id=one.instance_id,
                class_id=one.class_id,
                class_name=labels.name_of(one.class_id),
                score=float(one.score),
                left_px=left,
                top_px=top,
                width_px=right - left,
                height_px=bottom - top,
                area_px=one.area_px,
            )
        )
    return message


def scene_of(class_ids: U8, instances: Sequence[Instance], labels: LabelSet, header: Header) -> Scene:
    """Return the message for the class ids and the objects of one frame."""
    counts = np.bincount(class_ids.ravel(), minlength=256)
    shares = (counts / max(class_ids.size, 1)).tolist()
    drivable = [c.id for c in labels.classes if c.drivable]
    message = Scene(header=header, unlabelled=float(sum(shares[len(labels) :])))
    message.shares = shares[: len(labels)]
    message.drivable = float(sum(shares[k] for k in drivable)) if drivable else math.nan
    message.objects = np.bincount([one.class_id for one in instances], minlength=len(labels)).tolist()
    return message


def somebody(publisher: Any) -> bool:
    """Tell whether a publisher has a subscriber."""
    return bool(publisher.get_subscription_count() > 0)
