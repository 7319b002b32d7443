"""tracker_node in this process: masks of the test in, tracks out."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from cmt_seg_ros.msg import ClassMap, Track, TrackArray
from rclpy.logging import LoggingSeverity
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import LATCHED, Bench, array, bench, header, image, stamps
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet
from cmt_seg_ros.ros import camera_tracking
from cmt_seg_ros.ros.classes import class_map
from cmt_seg_ros.ros.images import image_from_array
from cmt_seg_ros.ros.tracker_node import TrackerNode
from cmt_seg_ros.runtime.overlay import draw_masks

MS = 1_000_000
NODE = "/tracker_node"
STATUS = f"{NODE}: camera"
CAR, ROAD = 8, 3
SIDE, TOP = 40, 30  # of the square that moves, px
STEP_PX, STEP_MS = 4, 40  # 100 px/s to the right
SIZE = (120, 400)  # height, width


def masks(number: int, encoding: str = "mono8") -> tuple[Image, Image]:
    """Mask and objectness of frame 0, 1, ...: a car, a square, drives to the right."""
    ids = np.full(SIZE, ROAD, np.uint8)
    left = 20 + STEP_PX * number
    ids[TOP : TOP + SIDE, left : left + SIDE] = CAR
    head = header(1_000_000_000 + number * STEP_MS * MS)
    objectness = np.where(ids == CAR, 255, 0).astype(np.uint8)
    return image_from_array(ids, encoding, head), image_from_array(objectness, "mono8", head)


class Camera:
    """What the tracker hears and says of one camera."""

    def __init__(self, ros: Bench, name: str = "", labels: LabelSet = CAMVID) -> None:
        self.ros, self.name = ros, name
        self.tracks: list[TrackArray] = ros.listen(TrackArray, f"{name}/tracking/tracks")
        self.legend(labels)

    def legend(self, labels: LabelSet) -> None:
        message = class_map(labels, "test", header(0).stamp)
        self.ros.publisher(ClassMap, f"{self.name}/segmentation/label_info", LATCHED).publish(message)

    def send(self, mask: Image | None, objectness: Image | None, mask_first: bool = False) -> None:
        pair = [("objectness", objectness), ("mask", mask)]
        for what, message in pair[::-1] if mask_first else pair:
            if message is not None:
                self.ros.send(f"{self.name}/segmentation/{what}", message)

    def track(self, number: int, mask_first: bool = False) -> TrackArray:
        """Send one frame and wait for its tracks."""
        before = len(self.tracks)
        self.send(*masks(number), mask_first)
        self.ros.until(lambda: len(self.tracks) > before, f"tracks of frame {number}")
        return self.tracks[-1]


@pytest.fixture
def ros() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture
def camera(ros: Bench) -> Camera:
    """The only camera of a tracker that has its legend."""
    node = ros.add(TrackerNode)
    made = Camera(ros)
    ros.until(lambda: node._cameras[""]._labels is not None)
    return made


def test_moving_square_is_one_track_with_the_masks_stamp_and_the_right_velocity(camera: Camera) -> None:
    for number in range(15):
        camera.track(number, mask_first=number % 2 == 0)
    assert stamps(camera.tracks) == [1_000_000_000 + n * STEP_MS * MS for n in range(15)]
    assert {len(message.tracks) for message in camera.tracks} == {1}
    assert {message.tracks[0].id for message in camera.tracks} == {1}
    states = [message.tracks[0].state for message in camera.tracks]
    assert states == [Track.TENTATIVE] * 2 + [Track.CONFIRMED] * 13
    last = camera.tracks[-1]
    assert (last.image_height, last.image_width) == SIZE and last.header.frame_id == "front_optical_frame"
    track = last.tracks[0]
    assert (track.class_id, track.class_name, track.area_px) == (CAR, "Car", SIDE * SIDE)
    assert (track.left_px, track.top_px, track.width_px, track.height_px) == (20 + 14 * STEP_PX, TOP, SIDE, SIDE)
    assert track.velocity_x_px_s == pytest.approx(STEP_PX / STEP_MS * 1000, rel=0.05)
    assert track.velocity_y_px_s == pytest.approx(0, abs=5)
    assert track.age_s == pytest.approx(14 * STEP_MS / 1000) and track.unseen_s == 0


def test_every_camera_has_its_own_tracks(ros: Bench) -> None:
    node = ros.add(TrackerNode, cameras=["left", "right"])
    left, right = Camera(ros, "/left"), Camera(ros, "/right")
    ros.until(lambda: all(c._labels for c in node._cameras.values()))
    left.track(0)
    right.track(5)
    assert left.track(1).tracks[0].id == right.track(6).tracks[0].id == 1
    assert (len(left.tracks), len(right.tracks)) == (2, 2)


def test_masks_without_a_partner_are_counted(ros: Bench, camera: Camera) -> None:
    camera.track(0)
    for number in range(1, 13):
        camera.send(masks(number)[0], None)  # 10 may wait, 2 are given up
        wanted = number + 1
        ros.until(lambda: ros.do(lambda: received(ros)) == wanted)  # noqa: B023
    ros.until(lambda: ros.counts(STATUS).get("unpaired") == 2)
    counts = ros.counts(STATUS)
    assert (counts["received"], counts["inferred"], counts["dropped.unpaired"]) == (13, 1, 2)
    camera.track(20)


def received(ros: Bench) -> int:
    (node,) = [n for n in ros.nodes if isinstance(n, TrackerNode)]
    return node._cameras[""].statistics.received


def test_pixels_of_the_instance_image_are_the_ids(ros: Bench, camera: Camera) -> None:
    instances = ros.listen(Image, "/tracking/instances")
    camera.track(0)
    ros.until(lambda: instances)
    mask = array(masks(0)[0])
    assert (instances[0].encoding, instances[0].header) == ("mono16", masks(0)[0].header)
    np.testing.assert_array_equal(array(instances[0]), np.where(mask == CAR, camera.tracks[0].tracks[0].id, 0))


@pytest.mark.parametrize("image_first", [True, False])
def test_overlay_and_images_only_while_somebody_looks(ros: Bench, camera: Camera, image_first: bool) -> None:
    camera.track(0)
    images = ros.publisher(Image, "/image_raw", matched=0)
    assert images.get_subscription_count() == 0
    overlays = ros.listen(Image, "/tracking/overlay")
    ros.until(lambda: images.get_subscription_count() == 1, "images are subscribed")
    picture = image(stamps([masks(1)[0]])[0], SIZE[1], SIZE[0])
    if image_first:
        ros.send("/image_raw", picture)
    camera.track(1)
    if not image_first:
        ros.send("/image_raw", picture)
    ros.until(lambda: overlays)
    (overlay,) = overlays
    assert (overlay.encoding, overlay.height, overlay.width) == ("bgr8", *SIZE)
    assert "tracked_without_image" not in ros.counts(STATUS), "overlays change nothing for the tracker"
    assert overlay.header == masks(1)[0].header
    ros.stop_listening("/tracking/overlay")
    ros.until(lambda: images.get_subscription_count() == 0, "images are no longer subscribed")


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


def test_padded_masks_are_tracked(ros: Bench, camera: Camera) -> None:
    mask, objectness = masks(0)
    wide = np.full((SIZE[0], SIZE[1] + 13), 99, np.uint8)
    wide[:, : SIZE[1]] = array(mask)
    mask.step, mask.data = wide.shape[1], wide.tobytes()
    camera.send(mask, objectness)
    ros.until(lambda: camera.tracks)
    assert [t.area_px for t in camera.tracks[0].tracks] == [SIDE * SIDE]


def warned(ros: Bench, words: str) -> bool:
    return any(words in log.msg for log in ros.logs if log.level == LoggingSeverity.WARN)


def test_masks_without_a_legend_wait_for_it_and_the_topic_to_look_at_is_said(ros: Bench) -> None:
    ros.add(TrackerNode)
    for what, message in zip(("mask", "objectness"), masks(0), strict=True):
        ros.send(f"/segmentation/{what}", message)
    ros.until(lambda: warned(ros, "nothing was received on /segmentation/label_info, which has 0 publishers"))
    ros.until(lambda: ros.counts(STATUS).get("dropped.no_labels") == 1)
    camera = Camera(ros)
    ros.until(lambda: camera_is_ready(ros))
    assert camera.track(1).tracks[0].class_name == "Car"
    assert ros.errors() == []


def empty(number: int) -> tuple[Image, Image]:
    """Masks of frame 0, 1, ... without the car."""
    head = header(1_000_000_000 + number * STEP_MS * MS)
    road, nothing = np.full(SIZE, ROAD, np.uint8), np.zeros(SIZE, np.uint8)
    return image_from_array(road, "mono8", head), image_from_array(nothing, "mono8", head)


def test_a_car_enters_is_waited_for_and_leaves(ros: Bench) -> None:
    ros.add(TrackerNode, max_lost_s=0.1)
    camera = Camera(ros)
    instances, overlays = (ros.listen(Image, f"/tracking/{name}") for name in ("instances", "overlay"))
    ros.until(lambda: camera_is_ready(ros))
    ros.publisher(Image, "/image_raw")
    for number in range(12):
        pair = masks(number) if number < 5 else empty(number)
        ros.send("/image_raw", image(stamps(pair)[0], SIZE[1], SIZE[0]))
        camera.send(*pair)
        ros.until(lambda: len(camera.tracks) == len(instances) == len(overlays) == number + 1)  # noqa: B023
    tracks = [message.tracks[0] for message in camera.tracks if message.tracks]
    states, events = [t.state for t in tracks], [t.event for t in tracks]
    assert {t.id for t in tracks} == {1} and len(tracks) < 12, "it is gone in the end"
    assert states == sorted(states) and states[4] == Track.CONFIRMED and Track.OCCLUDED in states
    assert states.count(Track.LOST) == 1 and states[-1] == Track.LOST
    entered = states.index(Track.CONFIRMED)
    assert [(i, e) for i, e in enumerate(events) if e] == [(entered, Track.ENTERED), (len(tracks) - 1, Track.LEFT)]
    hidden = [t for t in tracks if t.state in (Track.OCCLUDED, Track.LOST)]
    assert all(t.area_px == 0 and t.unseen_s > 0 for t in hidden)
    assert not any(array(message).any() for message in instances[5:])
    plain = draw_masks(bgr(image(0, SIZE[1], SIZE[0])), array(empty(0)[0]), None, CAMVID, 0.35)
    drawn = [bool((bgr(message) != plain).any()) for message in overlays]
    assert drawn == [True] * (len(tracks) - 1) + [False] * (13 - len(tracks)), "what is lost is not drawn"


def bgr(message: Image) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def test_covariance_is_of_centre_and_velocity_and_shrinks_with_every_look(camera: Camera) -> None:
    for number in range(10):
        camera.track(number)
    found = [message.tracks[0].covariance.reshape(4, 4) for message in camera.tracks]
    for matrix in found:
        np.testing.assert_allclose(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix).min() > 0
    first, last = np.sqrt(np.diag(found[0])), np.sqrt(np.diag(found[-1]))
    assert np.all(last <= first) and np.all(last[2:] < 0.7 * first[2:])
    assert np.all(last[:2] < SIDE / 2) and np.all(last[:2] > 0.1)


def test_masks_of_4k_from_a_best_effort_publisher_with_a_legend_that_is_not_latched(ros: Bench) -> None:
    ros.add(TrackerNode)
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    for what in ("mask", "objectness"):
        ros.publisher(Image, f"/segmentation/{what}", best_effort)  # returns once the tracker hears it
    legend = ros.publisher(ClassMap, "/segmentation/label_info", QoSProfile(depth=1))
    tracks, instances = ros.listen(TrackArray, "/tracking/tracks"), ros.listen(Image, "/tracking/instances")
    legend.publish(class_map(CAMVID, "foreign", header(0).stamp))
    ros.until(lambda: camera_is_ready(ros))
    ids = np.full((2160, 3840), ROAD, np.uint8)
    ids[1000:1400, 2000:2800] = CAR
    for what, pixels in (("mask", ids), ("objectness", (ids == CAR).astype(np.uint8))):
        ros.send(f"/segmentation/{what}", image_from_array(pixels, "8UC1", header(1)))
    ros.until(lambda: tracks and instances)
    (track,) = tracks[0].tracks
    assert (track.left_px, track.top_px, track.width_px, track.height_px) == (2000, 1000, 800, 400)
    assert track.area_px == 800 * 400 and track.score == 1
    np.testing.assert_array_equal(array(instances[0]), np.where(ids == CAR, track.id, 0))


def test_masks_that_come_alone(ros: Bench) -> None:
    ros.add(TrackerNode, use_objectness=False)
    camera = Camera(ros)
    ros.until(lambda: camera_is_ready(ros))
    camera.send(masks(0)[0], None)
    ros.until(lambda: camera.tracks)
    (track,) = camera.tracks[0].tracks
    assert (track.area_px, track.score) == (SIDE * SIDE, 1)


def test_without_objectness_the_parameter_to_set_is_said(ros: Bench) -> None:
    ros.add(TrackerNode)
    Camera(ros).send(masks(0)[0], None)
    ros.until(lambda: warned(ros, "nobody publishes /segmentation/objectness; publish it, or set use_objectness to"))


def test_a_legend_without_objects_is_said(ros: Bench) -> None:
    ros.add(TrackerNode)
    Camera(ros, labels=LabelSet((LabelClass(0, "Ground", (1, 2, 3)),)))
    ros.until(lambda: warned(ros, "none of the classes in segmentation/label_info is an object"))


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_the_tracker_gets_images_of_any_size_and_encoding_and_does_not_wait_for_them(
    ros: Bench, transport: str
) -> None:
    ros.add(TrackerNode, use_images=True, transport=transport)
    camera, overlays = Camera(ros), ros.listen(Image, "/tracking/overlay")
    ros.until(lambda: camera_is_ready(ros))
    for number in range(3):
        stamp = stamps([masks(number)[0]])[0]
        half = np.full((SIZE[0] // 2, SIZE[1] // 2, 3), 90, np.uint8)
        if number == 1:
            pass  # no image comes
        elif transport == "raw":
            ros.send("/image_raw", image_from_array(half, "rgb8", header(stamp)))
        else:
            ros.send("/image_raw/compressed", jpeg(half, stamp))
        camera.track(number)
    assert {message.tracks[0].id for message in camera.tracks} == {1}
    ros.until(lambda: ros.counts(STATUS).get("tracked_without_image") == 1)
    ros.until(lambda: len(overlays) == 2)
    assert {(message.height, message.width) for message in overlays} == {SIZE}


def jpeg(pixels: np.ndarray, stamp: int) -> CompressedImage:
    return CompressedImage(header=header(stamp), format="jpeg", data=cv2.imencode(".jpg", pixels)[1].tobytes())


def test_an_image_that_cannot_be_used_is_said_and_counted_and_masks_are_tracked_without(ros: Bench) -> None:
    ros.add(TrackerNode, use_images=True, transport="compressed")
    camera = Camera(ros)
    ros.until(lambda: camera_is_ready(ros))
    whole = jpeg(np.zeros((60, 200, 3), np.uint8), stamps([masks(1)[0]])[0])
    for data in (b"no jpeg", whole.data[:64]):  # refused when it comes, and when it is decoded
        ros.send("/image_raw/compressed", CompressedImage(header=whole.header, data=data))
    assert len(camera.track(1).tracks) == 1
    ros.until(lambda: (ros.counts(STATUS).get("bad_images"), ros.counts(STATUS).get("tracked_without_image")) == (2, 1))
    assert "image refused: " in ros.errors()[0]


def test_reset_forgets_tracks_but_uses_no_id_again(ros: Bench, camera: Camera) -> None:
    for number in range(4):
        camera.track(number)
    answer = ros.call(Trigger, f"{NODE}/reset", Trigger.Request())
    assert answer.success and answer.message == "tracks of 1 camera(s) forgotten; ids go on"
    (track,) = camera.track(4).tracks
    assert (track.id, track.state, track.age_s) == (2, Track.TENTATIVE, 0)


def test_another_legend_under_way_gives_other_names_new_tracks_and_new_ids(ros: Bench, camera: Camera) -> None:
    for number in range(4):
        camera.track(number)
    camera.send(masks(99)[0], None)  # whoever knows what its numbers mean
    names = [LabelClass(i, f"class {i}", (i, i, i), is_object=i == CAR) for i in range(11)]
    camera.legend(LabelSet(tuple(names)))
    ros.until(lambda: ros.counts(STATUS).get("dropped.unpaired") == 1)
    (track,) = camera.track(4).tracks
    assert (track.class_name, track.id, track.state, track.age_s) == ("class 8", 2, Track.TENTATIVE, 0)
    camera.send(None, masks(99)[1])
    assert camera.track(5).tracks[0].id == 2, "the mask of the old legend was not tracked"


def test_legend_that_makes_no_sense_is_refused(ros: Bench, camera: Camera) -> None:
    message = class_map(CAMVID, "test", header(0).stamp)
    message.classes = message.classes[1:]
    ros.publisher(ClassMap, "/segmentation/label_info", LATCHED).publish(message)
    ros.until(ros.errors)
    assert "class ids are [1, 2" in ros.errors()[0]
    assert camera.track(0).tracks[0].class_name == "Car"


def test_a_frame_back_in_time_is_refused_and_a_clock_set_back_is_followed(ros: Bench, camera: Camera) -> None:
    for number in range(50, 54):
        camera.track(number)
    for number in (0, 53, 53, 53, 53):  # late once, and the newest again and again
        camera.send(*masks(number))
    ros.until(lambda: ros.counts(STATUS).get("dropped.out_of_order") == 5)
    (said,) = ros.errors()
    assert f"stamp {stamps([masks(0)[0]])[0]} ns is not after {stamps([masks(53)[0]])[0]} ns" in said
    assert camera.track(54).tracks[0].id == 1
    for number in range(camera_tracking.RESTART_AFTER):
        camera.send(*masks(number))
    ros.until(lambda: len(camera.tracks) == 6)
    assert stamps(camera.tracks)[-1] == stamps([masks(camera_tracking.RESTART_AFTER - 1)[0]])[0]
    assert camera.track(5).tracks[0].id == 2


def test_wrong_and_fixed_parameters_are_refused_with_a_sentence(ros: Bench) -> None:
    ros.add(TrackerNode, autostart=False)
    assert ros.state(NODE) == "unconfigured"
    assert "min_hits is 0; it must be a number from 1 to 1000" in ros.set(NODE, "min_hits", 0)
    assert "max_lost_s is 'long' (str); expected float" in ros.set(NODE, "max_lost_s", "long")
    assert "overlay_alpha is 2.0; it must be a number from 0 to 1" in ros.set(NODE, "overlay_alpha", 2)
    assert ros.set(NODE, "min_hits", 1) == ros.set(NODE, "overlay_alpha", 1) == ""
    assert ros.transit(NODE, "configure") and ros.transit(NODE, "activate")
    assert "min_hits: read when the node configures" in ros.set(NODE, "min_hits", 2)
    camera = Camera(ros)
    ros.until(lambda: camera_is_ready(ros))
    assert camera.track(0).tracks[0].state == Track.CONFIRMED
    assert ros.transit(NODE, "deactivate") and ros.transit(NODE, "cleanup")
    assert ros.transit(NODE, "configure") and ros.transit(NODE, "activate")
    ros.until(lambda: camera_is_ready(ros))
    assert camera.track(1).tracks[0].id == 2, "a node uses no id twice"


def camera_is_ready(ros: Bench) -> bool:
    (node,) = [n for n in ros.nodes if isinstance(n, TrackerNode)]
    return all(camera._labels is not None for camera in node._cameras.values())
