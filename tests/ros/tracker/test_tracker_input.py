"""Masks and class maps of other publishers, valid and invalid ones."""

from __future__ import annotations

import numpy as np
import pytest
from cmt_seg_ros.msg import ClassInfo, ClassMap, Track, TrackArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from support.ros_harness import LATCHED, Bench, array, header
from support.tracker_camera import CAR, ROAD, SIDE, SIZE, STATUS, Camera, masks, warned

from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet
from cmt_seg_ros.ros.common.images import image_from_array
from cmt_seg_ros.ros.tracker_node import TrackerNode


def test_masks_without_a_partner_are_counted(ros: Bench, camera: Camera) -> None:
    camera.track(0)
    for number in range(1, 13):
        camera.send(masks(number)[0], None)  # 10 may wait, 2 are given up
        wanted = number + 1
        ros.until(lambda: ros.do(lambda: camera.tracking.statistics.received) == wanted)  # noqa: B023
    ros.until(lambda: ros.counts(STATUS).get("unpaired") == 2)
    counts = ros.counts(STATUS)
    assert (counts["received"], counts["inferred"], counts["dropped.unpaired"]) == (13, 1, 2)
    camera.track(20)  # those that still wait are older: what they wait for will not come
    ros.until(lambda: ros.counts(STATUS).get("unpaired") == 12)


def test_masks_and_objectness_of_different_stamps_are_said(ros: Bench, camera: Camera) -> None:
    for number in range(12):
        camera.send(masks(number)[0], masks(number + 50)[1])
    ros.until(lambda: warned(ros, "masks and objectness never have the same stamp"))


def bad_pair(kind: str, number: int) -> tuple[Image, Image]:
    mask, objectness = masks(number)
    if kind == "encoding":
        mask.encoding = "32SC1"
    elif kind == "sizes":
        objectness = image_from_array(np.zeros((60, 200), np.uint8), "mono8", mask.header)
    elif kind == "short":
        mask.data = mask.data[:100]
    return mask, objectness


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("encoding", "mask has encoding '32SC1'; masks are mono8"),
        ("sizes", "(60, 200)"),
        ("short", "data has 100 bytes but step 400 x height 120 is 48000"),
    ],
)
def test_wrong_masks_are_said_once_counted_and_survived(ros: Bench, camera: Camera, kind: str, words: str) -> None:
    camera.track(0)
    for number in (1, 2):
        camera.send(*bad_pair(kind, number))
    ros.until(lambda: ros.counts(STATUS).get("dropped") == 2)
    assert camera.track(3).tracks[0].id == 1
    ros.until(ros.errors)
    (said,) = ros.errors()
    assert "masks refused: " in said and words in said


@pytest.mark.parametrize("use_objectness", [True, False])
def test_masks_with_padded_rows_are_tracked(ros: Bench, use_objectness: bool) -> None:
    ros.add(TrackerNode, use_objectness=use_objectness)
    camera, instances = Camera(ros).ready(), ros.listen(Image, "/tracking/instances")
    mask, objectness = map(padded, masks(0, "8UC1"))
    camera.send(mask, objectness if use_objectness else None)
    ros.until(lambda: camera.tracks and instances)
    assert [(t.area_px, t.score) for t in camera.tracks[0].tracks] == [(SIDE * SIDE, 1)]
    np.testing.assert_array_equal(array(instances[0]) > 0, array(masks(0)[0]) == CAR)


def padded(message: Image) -> Image:
    """The same mask with 13 bytes of rubbish, of a class of objects, after each row."""
    wide = np.full((SIZE[0], SIZE[1] + 13), CAR, np.uint8)
    wide[:, : SIZE[1]] = np.frombuffer(message.data, np.uint8).reshape(SIZE)
    message.step, message.data = wide.shape[1], wide.tobytes()
    return message


def test_masks_without_a_class_map_wait_for_it_and_the_topic_to_look_at_is_said(ros: Bench) -> None:
    ros.add(TrackerNode)
    for what, message in zip(("mask", "objectness"), masks(0), strict=True):
        ros.send(f"/segmentation/{what}", message)
    ros.until(lambda: warned(ros, "no valid ones were received on /segmentation/label_info, which has 0 publishers"))
    ros.until(lambda: ros.counts(STATUS).get("dropped.no_labels") == 1)
    camera = Camera(ros).ready()
    assert camera.track(1).tracks[0].class_name == "Car"
    assert ros.errors() == []


def test_masks_of_4k_from_a_best_effort_publisher_with_a_class_map_that_is_not_latched(ros: Bench) -> None:
    node = ros.add(TrackerNode)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    for what in ("mask", "objectness"):
        ros.publisher(Image, f"/segmentation/{what}", best_effort)  # returns once the tracker hears it
    classes = ros.publisher(ClassMap, "/segmentation/label_info", QoSProfile(depth=1))
    tracks, instances = ros.listen(TrackArray, "/tracking/tracks"), ros.listen(Image, "/tracking/instances")
    classes.publish(CAMVID.to_class_map("foreign", header(0), ClassMap, ClassInfo))
    ros.until(lambda: node._cameras[""]._session is not None, "the tracker knows the classes")
    ids = np.full((2160, 3840), ROAD, np.uint8)
    ids[1000:1400, 2000:2800] = CAR
    for what, pixels in (("mask", ids), ("objectness", (ids == CAR).astype(np.uint8))):
        ros.send(f"/segmentation/{what}", image_from_array(pixels, "8UC1", header(1)))
    ros.until(lambda: tracks and instances)
    (track,) = tracks[0].tracks
    assert (track.left_px, track.top_px, track.width_px, track.height_px) == (2000, 1000, 800, 400)
    assert track.area_px == 800 * 400 and track.score == 1
    np.testing.assert_array_equal(array(instances[0]), np.where(ids == CAR, track.id, 0))


def test_without_objectness_the_parameter_to_set_is_said(ros: Bench) -> None:
    ros.add(TrackerNode)
    Camera(ros).send(masks(0)[0], None)
    ros.until(lambda: warned(ros, "nobody publishes /segmentation/objectness; publish it, or set use_objectness to"))


def test_a_class_map_without_objects_is_said(ros: Bench) -> None:
    ros.add(TrackerNode)
    Camera(ros, labels=LabelSet((LabelClass(0, "Ground", (1, 2, 3)),)))
    ros.until(lambda: warned(ros, "none of the classes in segmentation/label_info is an object"))


def test_another_class_map_under_way_gives_other_names_new_tracks_and_new_ids(ros: Bench, camera: Camera) -> None:
    for number in range(4):
        camera.track(number)
    camera.send(masks(99)[0], None)  # whoever knows what its numbers mean
    names = [LabelClass(i, f"class {i}", (i, i, i), is_object=i == CAR) for i in range(11)]
    camera.publish_classes(LabelSet(tuple(names)))
    ros.until(lambda: ros.counts(STATUS).get("dropped.unpaired") == 1)
    (track,) = camera.track(4).tracks
    assert (track.class_name, track.id, track.state, track.age_s) == ("class 8", 2, Track.TENTATIVE, 0)
    camera.send(None, masks(99)[1])
    assert camera.track(5).tracks[0].id == 2, "the mask of the old classes was not tracked"


def test_the_same_class_map_again_changes_nothing(ros: Bench, camera: Camera) -> None:
    names = ros.listen(ClassMap, "/segmentation/label_info")
    camera.track(0)
    camera.publish_classes(CAMVID)  # as a publisher that starts anew sends it
    ros.until(lambda: names)
    (track,) = camera.track(1).tracks
    assert track.id == 1 and track.age_s > 0


def test_class_map_that_makes_no_sense_is_refused(ros: Bench, camera: Camera) -> None:
    message = CAMVID.to_class_map("test", header(0), ClassMap, ClassInfo)
    message.classes = message.classes[1:]
    ros.publisher(ClassMap, "/segmentation/label_info", LATCHED).publish(message)
    ros.until(ros.errors)
    assert "class ids are [1, 2" in ros.errors()[0]
    assert camera.track(0).tracks[0].class_name == "Car"
