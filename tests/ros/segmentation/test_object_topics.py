"""Objects of single frames and numbers of the scene, from segmentation_node in this process."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from cmt_seg_ros.msg import InstanceArray, Scene
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from support.foreign_models import CLASSES, instance_package
from support.ros_harness import Bench, array

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet
from cmt_seg_ros.ros.common import vision
from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.segmentation.object_publishers import scene_of, somebody
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.runtime import masks
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Instance


def street(stamp: int, width: int, height: int) -> Image:
    header = Header(frame_id="lens")
    header.stamp.nanosec = stamp
    pixels = StreetScene(width, height, frames=1, seed=5).frame(0).pixels
    return image_from_array(np.ascontiguousarray(pixels), "bgr8", header)


def heard(ros: Bench, node: SegmentationNode, count: int) -> None:
    """Wait until so many results have a subscriber: what none hears is not made of the one frame that is sent."""
    (outputs,) = node._outputs.values()
    ros.until(lambda: sum(map(somebody, outputs.image_publishers)) == count, "the results are subscribed to")


def test_instances_of_the_model_and_what_is_said_of_them(
    ros: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    find = masks.find_instances

    def counted(*arguments: object) -> object:
        made.append(1)
        return find(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(masks, "find_instances", counted)
    node = ros.add(SegmentationNode, device="CPU", model=str(instance_package(tmp_path).folder))
    made.clear()
    listened = {"instances": Image, "instance_info": InstanceArray, "scene": Scene, "mask": Image, "overlay": Image}
    listened["panoptic"] = Image
    found = {name: ros.listen(kind, f"/segmentation/{name}") for name, kind in listened.items()}
    heard(ros, node, len(listened))
    sent = street(7, 96, 64)
    ros.send("/image_raw", sent)
    ros.until(lambda: all(found.values()))
    assert len(made) == 1 and all(messages[0].header == sent.header for messages in found.values())
    ids, info, mask = (found[name][0] for name in ("instances", "instance_info", "mask"))
    assert ids.encoding == "mono16" and (info.image_width, info.image_height) == (96, 64) == (ids.width, ids.height)
    image, classes = array(ids), array(mask)
    assert [one.id for one in info.instances] == list(range(1, int(image.max()) + 1)) and image.max() >= 3
    scores = [one.score for one in info.instances]
    assert scores == sorted(scores, reverse=True)
    for one in info.instances:
        inside = image == one.id
        assert inside.sum() == one.area_px and set(classes[inside]) == {one.class_id}
        assert one.class_name == f"class {one.class_id}"
        y, x = np.nonzero(inside)
        assert one.left_px <= x.min() + 0.5 and x.max() + 0.5 <= one.left_px + one.width_px
        assert one.top_px <= y.min() + 0.5 and y.max() + 0.5 <= one.top_px + one.height_px
    panoptic = array(found["panoptic"][0])
    assert found["panoptic"][0].encoding == "mono16"
    np.testing.assert_array_equal(panoptic >> 8, classes)
    for one in info.instances:
        k = sum(other.class_id == one.class_id for other in info.instances[: one.id])
        assert set(panoptic[image == one.id]) == {one.class_id << 8 | k}
    assert set(panoptic[image == 0]) <= {255 << 8}
    scene = found["scene"][0]
    assert sum(scene.shares) + scene.unlabelled == pytest.approx(1)
    assert sum(scene.objects) == len(info.instances) and len(scene.shares) == len(scene.objects) == CLASSES
    assert math.isnan(scene.drivable)


def test_components_where_the_model_finds_no_instances(ros: Bench) -> None:
    node = ros.add(SegmentationNode, device="CPU")
    infos, masks_ = ros.listen(InstanceArray, "/segmentation/instance_info"), ros.listen(Image, "/segmentation/mask")
    scenes = ros.listen(Scene, "/segmentation/scene")
    detections = ros.listen(vision.Detection2DArray, "/segmentation/detections") if vision.AVAILABLE else []
    heard(ros, node, 3 + vision.AVAILABLE)
    sent = street(7, 480, 360)
    ros.send("/image_raw", sent)
    ros.until(lambda: infos and masks_ and scenes and (detections or not vision.AVAILABLE))
    (info,), (scene,), mask = infos, scenes, array(masks_[0])
    assert info.header == scene.header == sent.header and info.instances
    cars = [one for one in info.instances if one.class_name == "Car"]
    parts = cv2.connectedComponentsWithStats((mask == 8).astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    least = TrackerConfig.min_area_fraction * mask.size
    assert cars and sorted(one.area_px for one in cars) == sorted(parts[parts >= least].tolist())
    assert all(CAMVID.classes[one.class_id].is_object and 0 <= one.score <= 1 for one in info.instances)
    assert scene.objects[8] == len(cars) and scene.shares[8] == pytest.approx((mask == 8).mean())
    if detections:
        assert [d.id for d in detections[0].detections] == [str(one.id) for one in info.instances]
    assert "/segmentation/instances" not in dict(ros.node.get_topic_names_and_types())


def test_drivable_share_is_that_of_the_drivable_classes() -> None:
    labels = LabelSet(
        (
            LabelClass(0, "road", (1, 1, 1), drivable=True),
            LabelClass(1, "car", (2, 2, 2), True),
            LabelClass(2, "lot", (3, 3, 3), drivable=True),
        )
    )
    assert LabelSet.from_list(labels.to_list()) == labels
    ids = np.array([[0, 0, 1, 255], [2, 1, 1, 255]], np.uint8)
    scene = scene_of(ids, [Instance(1, 1, 0.9, (1, 0, 3, 2), 3)], labels, Header())
    assert scene.shares.tolist() == pytest.approx([0.25, 0.375, 0.125]) and scene.unlabelled == 0.25
    assert scene.drivable == pytest.approx(0.375) and scene.objects.tolist() == [0, 1, 0]
