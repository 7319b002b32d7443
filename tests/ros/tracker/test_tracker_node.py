"""tracker_node in this process: masks of the test in, tracks out."""

from __future__ import annotations

import re
from dataclasses import asdict

import numpy as np
import pytest
import yaml
from cmt_seg_ros.msg import Track
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support import ROOT
from support.ros_harness import Bench, array, image, stamps
from support.tracker_camera import CAR, MS, NODE, SIDE, SIZE, STATUS, STEP_MS, STEP_PX, TOP, Camera, empty, masks

from cmt_seg_ros.config import TrackerConfig, TrackingSettings
from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.ros.tracker_node import TrackerNode
from cmt_seg_ros.stamps import RESTART_AFTER
from cmt_seg_ros.tracking.tracker import Tracker


def test_moving_square_is_one_track_with_the_masks_stamp_and_the_right_velocity(camera: Camera) -> None:
    for number in range(15):
        camera.track(number, mask_first=number % 2 == 0)
    assert stamps(camera.tracks) == [1_000_000_000 + n * STEP_MS * MS for n in range(15)]
    assert {len(message.tracks) for message in camera.tracks} == {1}
    assert {message.tracks[0].id for message in camera.tracks} == {1}
    states = [message.tracks[0].state for message in camera.tracks]
    tentative = TrackerConfig().min_hits - 1
    assert states == [Track.TENTATIVE] * tentative + [Track.CONFIRMED] * (15 - tentative)
    last = camera.tracks[-1]
    assert (last.image_height, last.image_width) == SIZE and last.header.frame_id == "front_optical_frame"
    track = last.tracks[0]
    assert (track.class_id, track.class_name, track.area_px) == (CAR, "Car", SIDE * SIDE)
    assert (track.left_px, track.top_px, track.width_px, track.height_px) == (20 + 14 * STEP_PX, TOP, SIDE, SIDE)
    assert track.velocity_x_px_s == pytest.approx(STEP_PX / STEP_MS * 1000, rel=0.05)
    assert track.velocity_y_px_s == pytest.approx(0, abs=5)
    assert track.age_s == pytest.approx(14 * STEP_MS / 1000) and track.unseen_s == 0


def test_every_camera_has_its_own_tracks(ros: Bench) -> None:
    ros.add(TrackerNode, cameras=["left", "right"])
    left, right = Camera(ros, "/left").ready(), Camera(ros, "/right").ready()
    left.track(0)
    right.track(5)
    assert left.track(1).tracks[0].id == right.track(6).tracks[0].id == 1
    assert (len(left.tracks), len(right.tracks)) == (2, 2)


def test_pixels_of_the_instance_image_are_the_ids(ros: Bench, camera: Camera) -> None:
    instances = ros.listen(Image, "/tracking/instances")
    camera.track(0)
    ros.until(lambda: instances)
    mask = array(masks(0)[0])
    assert (instances[0].encoding, instances[0].header) == ("mono16", masks(0)[0].header)
    np.testing.assert_array_equal(array(instances[0]), np.where(mask == CAR, camera.tracks[0].tracks[0].id, 0))


def test_a_car_enters_is_waited_for_and_leaves(ros: Bench) -> None:
    ros.add(TrackerNode, max_lost_s=0.1)
    instances, overlays = (ros.listen(Image, f"/tracking/{name}") for name in ("instances", "overlay"))
    camera = Camera(ros).ready()
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


def test_reset_forgets_tracks_but_uses_no_id_again(ros: Bench, camera: Camera) -> None:
    for number in range(4):
        camera.track(number)
    answer = ros.call(Trigger, f"{NODE}/reset", Trigger.Request())
    assert answer.success and answer.message == "tracks of 1 camera(s) forgotten; ids go on"
    (track,) = camera.track(4).tracks
    assert (track.id, track.state, track.age_s) == (2, Track.TENTATIVE, 0)


def test_a_frame_back_in_time_is_refused_and_a_clock_set_back_is_followed(ros: Bench, camera: Camera) -> None:
    for number in range(50, 54):
        camera.track(number)
    for number in (0, 53, 53, 53, 53):  # late once, and the newest again and again
        camera.send(*masks(number))
    ros.until(lambda: ros.counts(STATUS).get("dropped.duplicate_stamp") == 4)
    assert ros.counts(STATUS)["dropped.out_of_order"] == 1
    late, repeated = ros.errors()
    assert f"stamp {stamps([masks(0)[0]])[0]} ns is not after {stamps([masks(53)[0]])[0]} ns" in late
    assert f"stamp {stamps([masks(53)[0]])[0]} ns is that of the frame before" in repeated
    assert camera.track(54).tracks[0].id == 1
    for number in range(RESTART_AFTER):
        camera.send(*masks(number))
    ros.until(lambda: len(camera.tracks) == 6)
    assert stamps(camera.tracks)[-1] == stamps([masks(RESTART_AFTER - 1)[0]])[0]
    assert camera.track(5).tracks[0].id == 2


def test_masks_without_stamps_are_tracked_under_the_time_of_receipt(ros: Bench, camera: Camera) -> None:
    instances, before = ros.listen(Image, "/tracking/instances"), ros.node.get_clock().now().nanoseconds
    for number in range(5):
        pair = masks(number)
        for message in pair:
            message.header.stamp.sec = message.header.stamp.nanosec = 0
        camera.send(*pair)
        ros.until(lambda: len(camera.tracks) == len(instances) == number + 1)  # noqa: B023
    found = stamps(camera.tracks)
    assert found == sorted(set(found)) == stamps(instances) and before <= found[0]
    assert [len(message.tracks) for message in camera.tracks] == [1] * 5
    said = [log.msg for log in ros.logs if "a mask has no stamp (header.stamp is 0)" in log.msg]
    assert len(said) == 1 and said[0].startswith("camera (only one): ")


def test_a_bad_mask_says_nothing_about_the_clock_of_masks_without_stamps(ros: Bench, camera: Camera) -> None:
    for number in range(4):
        bad = masks(number)
        bad[0].header.stamp.sec = bad[1].header.stamp.sec = number + 1  # as of a clock that began at 0
        bad[0].data = bad[0].data[:7]
        camera.send(*bad)
        good = masks(number)
        for message in good:
            message.header.stamp.sec = message.header.stamp.nanosec = 0
        camera.send(*good)
        ros.until(lambda: len(camera.tracks) == number + 1)  # noqa: B023
    assert min(stamps(camera.tracks)) > 10**18


def test_wrong_and_fixed_parameters_are_refused_with_a_sentence(ros: Bench) -> None:
    ros.add(TrackerNode, autostart=False)
    assert ros.state(NODE) == "unconfigured"
    assert "min_hits is 0; it must be a number from 1 to 1000" in ros.set(NODE, "min_hits", 0)
    assert "max_lost_s is 'long' (str); expected float" in ros.set(NODE, "max_lost_s", "long")
    assert "overlay_alpha is 2.0; it must be a number from 0 to 1" in ros.set(NODE, "overlay_alpha", 2)
    assert ros.set(NODE, "min_hits", 1) == ros.set(NODE, "overlay_alpha", 1) == ""
    assert ros.transit(NODE, "configure") and ros.transit(NODE, "activate")
    assert "min_hits: read when the node configures" in ros.set(NODE, "min_hits", 2)
    camera = Camera(ros).ready()
    assert camera.track(0).tracks[0].state == Track.CONFIRMED
    assert ros.transit(NODE, "deactivate") and ros.transit(NODE, "cleanup")
    assert ros.transit(NODE, "configure") and ros.transit(NODE, "activate")
    assert camera.ready().track(1).tracks[0].id == 2, "a node uses no id twice"


def test_tracks_that_the_middleware_does_not_take_are_counted_and_survived(
    ros: Bench, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera.track(0)

    def refuse(message: object) -> None:
        raise RuntimeError("cannot publish data")

    with monkeypatch.context() as patch:
        patch.setattr(camera.tracking._publishers.tracks, "publish", refuse)
        camera.send(*masks(1))
        ros.until(lambda: ros.counts(STATUS).get("dropped.publish") == 1)
    assert camera.track(2).tracks[0].id == 1
    assert "/tracking/tracks could not be published: cannot publish data" in ros.errors()[0]


def test_an_error_of_the_tracker_is_counted_said_and_survived(
    ros: Bench, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("of a test")

    last = camera.track(0).tracks[0].id
    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "update", fail)
        camera.send(*masks(1))
        ros.until(lambda: ros.counts(STATUS).get("dropped.tracking") == 1)
    assert camera.track(2).tracks[0].id > last
    assert "ZeroDivisionError: of a test" in ros.errors()[0]


def test_the_shipped_parameters_are_those_of_the_node_and_change_nothing(ros: Bench) -> None:
    text = (ROOT / "config" / "tracker.yaml").read_text(encoding="utf-8")
    listed = yaml.safe_load(text)["/**"]["ros__parameters"]
    ros.add(TrackerNode)
    assert ros.get(NODE, *listed) == list(listed.values())
    assert set(asdict(TrackingSettings())) <= set(listed)
    named = re.findall(r"^ +# (\w+):  ", text, re.MULTILINE)
    assert "min_hits" in named and set(named) <= set(asdict(TrackerConfig()))
