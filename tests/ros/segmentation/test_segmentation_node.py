"""segmentation_node in this process: what comes out, what is refused, and that it goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partialmethod

import cv2
import numpy as np
import pytest
from cmt_seg_ros.msg import ClassMap, TrackArray
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support.ros_harness import LATCHED, MODEL, Bench, array, image, stamps
from support.waiting import DEADLINE_S

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.ros.common import diagnostics
from cmt_seg_ros.ros.segmentation import mask_publishers, report
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.ros.tracker_node import TrackerNode
from cmt_seg_ros.runtime.runner import Runner
from cmt_seg_ros.structures import Frame

MS = 1_000_000
NODE = "/segmentation_node"
TOPICS = ("mask", "objectness", "confidence", "overlay")


def start(ros: Bench, **values: object) -> SegmentationNode:
    return ros.add(SegmentationNode, device="CPU", **values)


def segment(ros: Bench, message: Image, camera: str = "") -> None:
    """Send a frame and wait for its mask."""
    masks = ros.listen(Image, f"{camera}/segmentation/mask")
    ros.send(f"{camera}/image_raw", message)
    ros.until(lambda: masks, f"mask of {camera}")
    ros.stop_listening(f"{camera}/segmentation/mask")


def test_good_frame_gives_masks_under_its_own_stamp_frame_and_size(ros: Bench) -> None:
    start(ros)
    results = {name: ros.listen(Image, f"/segmentation/{name}") for name in TOPICS}
    sent = image(1_700_000_000_123_456_789, 97, 65, "rgb8")
    ros.send("/image_raw", sent)
    ros.until(lambda: all(results.values()))
    for name, (message,) in results.items():
        assert message.header == sent.header, name
        assert (message.width, message.height) == (97, 65), name
        assert message.encoding == ("bgr8" if name == "overlay" else "mono8"), name
        assert len(message.data) == message.step * 65, name
    assert array(results["mask"][0]).max() < len(CAMVID)
    assert set(np.unique(array(results["objectness"][0]))) <= {0, 255}


def test_every_camera_has_its_own_results_whatever_its_size_and_encoding(ros: Bench) -> None:
    start(ros, cameras=["left", "right", "jpeg"], jpeg__transport="compressed", right__image_topic="elsewhere")
    names = ("left", "right", "jpeg")
    masks = {name: ros.listen(Image, f"/{name}/segmentation/mask") for name in names}
    jpeg = CompressedImage(header=image(3).header, format="jpeg")
    jpeg.data = cv2.imencode(".jpg", np.full((48, 80, 3), 90, np.uint8))[1].tobytes()
    ros.send("/left/image_raw", image(1, 96, 64, "bgr8"))
    ros.send("/elsewhere", image(2, 64, 96, "mono8"))
    ros.send("/jpeg/image_raw/compressed", jpeg)
    ros.until(lambda: all(masks.values()))
    found = {name: (messages[0].width, messages[0].height) for name, messages in masks.items()}
    assert found == {"left": (96, 64), "right": (64, 96), "jpeg": (80, 48)}
    assert [stamps(masks[name]) for name in names] == [[1], [2], [3]]


def test_late_subscriber_learns_what_the_ids_mean(ros: Bench) -> None:
    start(ros)
    legends = ros.listen(ClassMap, "/segmentation/label_info", LATCHED)
    ros.until(lambda: legends)
    (legend,) = legends
    assert (legend.model, legend.ignore_id) == (MODEL, 255)
    assert [(c.id, c.name, c.is_object) for c in legend.classes] == [
        (c.id, c.name, c.is_object) for c in CAMVID.classes
    ]
    assert (legend.classes[8].red, legend.classes[8].green, legend.classes[8].blue) == CAMVID.classes[8].color


def test_overlay_is_drawn_only_while_somebody_looks(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = mask_publishers.draw_masks

    def counted(*arguments: object) -> np.ndarray:
        drawn.append(1)
        return draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(mask_publishers, "draw_masks", counted)
    start(ros)
    segment(ros, image(1))
    assert not drawn
    jpegs = ros.listen(CompressedImage, "/segmentation/overlay/compressed")
    overlays = ros.listen(Image, "/segmentation/overlay")
    segment(ros, image(2))
    ros.until(lambda: jpegs and overlays)
    assert len(drawn) == 1
    assert cv2.imdecode(np.frombuffer(jpegs[0].data, np.uint8), cv2.IMREAD_COLOR).shape == (64, 96, 3)
    ros.stop_listening("/segmentation/overlay")
    ros.stop_listening("/segmentation/overlay/compressed")
    segment(ros, image(3))
    assert len(drawn) == 1


def test_camera_info_is_given_with_every_mask(ros: Bench) -> None:
    start(ros, image_topic="front/image_raw")
    infos, masks = ros.listen(CameraInfo, "/segmentation/camera_info"), ros.listen(Image, "/segmentation/mask")
    info = CameraInfo(header=image(5).header, width=96, height=64, distortion_model="plumb_bob")
    info.k[0] = 123.0
    ros.send("/front/camera_info", info)  # beside the images
    for stamp in range(10, 1000):  # images and camera info come on topics of their own, in any order
        ros.send("/front/image_raw", image(stamp))
        ros.until(lambda: len(masks) == stamp - 9)  # noqa: B023
        if infos:
            break
    assert infos[0].header.frame_id == masks[0].header.frame_id and stamps(infos[:1])[0] in stamps(masks)
    assert (infos[0].width, infos[0].k[0], infos[0].distortion_model) == (96, 123.0, "plumb_bob")


def damaged(stamp: int, **fields: object) -> Image:
    message = image(stamp)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


# Camera: what it sends wrong, the reason in diagnostics, what the error must say.
BAD: dict[str, tuple[Callable[[int], Image], str, str]] = {
    "zero": (lambda t: damaged(t, width=0), "bad_size", "image is 0x64; both sides must be more than 0"),
    "step": (lambda t: damaged(t, step=95), "bad_step", "step is 95 bytes but a row of 96 bgr8 pixels has 288"),
    "short": (lambda t: damaged(t, data=b"123"), "short_data", "data has 3 bytes but step 288 x height 64 is 18432"),
    "encoding": (lambda t: damaged(t, encoding="yuv444"), "bad_encoding", "encoding is 'yuv444'; supported: bgr8"),
    "depth": (
        lambda t: damaged(t, encoding="32FC1", step=384, data=np.full((64, 96), np.nan, np.float32).tobytes()),
        "bad_encoding", "encoding is '32FC1'; supported: bgr8"),
    "wide": (lambda t: damaged(t, encoding="bgra16"), "bad_encoding", "encoding is 'bgra16'; supported: bgr8"),
    "large": (
        lambda t: image(t, 12_000, 12_000, "mono8"),
        "too_large", "image is 12000x12000 = 144000000 pixels; max_image_px allows 40000000"),
    "late": (lambda t: image(5), "out_of_order", "stamps of a camera must increase"),
    "again": (lambda t: image(100 * MS), "duplicate_stamp", "its driver gives several images one stamp"),
}  # fmt: skip


def handled(node: SegmentationNode, camera: str) -> int:
    """Frames that the node is done with; /diagnostics would say so only once a second."""
    statistics = node._cameras[camera].statistics
    return statistics.inferred + sum(statistics.dropped.values())


def test_every_bad_frame_is_said_once_counted_and_survived(ros: Bench) -> None:
    node = start(ros, cameras=list(BAD), max_batch_size=1)
    for camera, (make, _, _) in BAD.items():
        masks = ros.listen(Image, f"/{camera}/segmentation/mask")
        bad = [make(200 * MS)] * (1 if camera == "large" else 2)  # it has 144 MB
        for done, message in enumerate([image(100 * MS), *bad, image(300 * MS)], start=1):
            ros.send(f"/{camera}/image_raw", message)
            ros.until(lambda: handled(node, camera) == done)  # noqa: B023
        ros.until(lambda: len(masks) == 2)  # noqa: B023
        assert stamps(masks) == [100 * MS, 300 * MS], camera
    reported = len(ros.diagnostics) + 1
    ros.until(lambda: len(ros.diagnostics) > reported)
    refused = [error for error in ros.errors() if "frame refused" in error]
    for camera, (_, reason, words) in BAD.items():
        counts = ros.counts(f"{NODE}: {camera}")
        assert counts[f"dropped.{reason}"] == counts["dropped"] == (1 if camera == "large" else 2), camera
        assert counts["received"] == counts["inferred"] + counts["dropped"], camera
        (said,) = [error for error in refused if error.startswith(f"camera {camera}: ")]
        assert words in said
    assert len(refused) == len(BAD)


def test_refusals_of_both_severities_are_logged(ros: Bench) -> None:
    node = start(ros)
    frame = Frame("", 1, np.zeros((64, 96, 3), np.uint8))
    for reason in ("compiling", "malformed", "compiling", "bad_size"):
        ros.do(lambda: node._refuse(frame, FrameError(f"it is {reason}", reason)))  # noqa: B023
    ros.until(lambda: len(ros.errors()) == 2)
    assert [error.split(": ")[-1] for error in ros.errors()] == ["it is malformed", "it is bad_size"]
    assert [log.msg.split(": ")[-1] for log in ros.logs if "refused: it is comp" in log.msg] == ["it is compiling"]
    segment(ros, image(1))


def test_clock_that_was_set_back_is_followed_from_the_third_frame(ros: Bench) -> None:
    node = start(ros)
    masks = ros.listen(Image, "/segmentation/mask")
    for done, stamp in enumerate((100 * MS, 1 * MS, 2 * MS, 3 * MS, 4 * MS), start=1):
        ros.send("/image_raw", image(stamp))
        ros.until(lambda: handled(node, "") == done)  # noqa: B023
    ros.until(lambda: len(masks) == 3)
    assert stamps(masks) == [100 * MS, 3 * MS, 4 * MS]


def test_images_without_stamps_are_inferred_under_the_time_of_receipt(ros: Bench) -> None:
    start(ros)
    tracks = ros.listen(TrackArray, "/tracking/tracks")
    ros.add(TrackerNode, use_objectness=False)
    topics = ("segmentation/mask", "segmentation/overlay", "segmentation/camera_info")
    results = [ros.listen(kind, f"/{topic}") for kind, topic in zip((Image, Image, CameraInfo), topics, strict=True)]
    ros.send("/camera_info", CameraInfo(width=96, height=64))
    before = ros.node.get_clock().now().nanoseconds
    for number in range(1, 6):
        ros.send("/image_raw", image(0))
        ros.until(lambda: len(results[0]) == len(tracks) == number)  # noqa: B023
    ros.until(lambda: len(results[1]) == 5 and results[2])
    found = stamps(results[0])
    assert found == sorted(set(found)) == stamps(results[1]) == stamps(tracks)
    assert before <= found[0] and found[-1] <= ros.node.get_clock().now().nanoseconds
    assert set(stamps(results[2])) <= set(found)
    said = [log.msg for log in ros.logs if "has no stamp (header.stamp is 0): the camera's driver" in log.msg]
    assert len(said) == 1 and said[0].startswith("camera image_raw: an image has no stamp")


def test_a_bad_image_says_nothing_about_the_clock_of_images_without_stamps(ros: Bench) -> None:
    node = start(ros)
    masks = ros.listen(Image, "/segmentation/mask")
    for done in range(1, 9):
        message = image(0) if done % 2 else image(1)  # a stamp as of a clock that began at 0 ...
        if not done % 2:
            message.data = message.data[:7]  # ... of an image that is none
        ros.send("/image_raw", message)
        ros.until(lambda: handled(node, "") == done)  # noqa: B023
    assert node._cameras[""].statistics.dropped == {"short_data": 4}
    ros.until(lambda: len(masks) == 4)
    assert min(stamps(masks)) > 10**18


def test_images_of_one_stamp_are_repetitions(ros: Bench) -> None:
    node = start(ros)
    masks = ros.listen(Image, "/segmentation/mask")
    for done in range(1, 8):
        ros.send("/image_raw", image(7 * MS))
        ros.until(lambda: handled(node, "") == done)  # noqa: B023
    assert node._cameras[""].statistics.dropped == {"duplicate_stamp": 6}
    ros.until(lambda: masks)
    assert stamps(masks) == [7 * MS]


def test_without_a_stamp_and_without_a_time_an_image_is_refused(ros: Bench) -> None:
    node = start(ros, use_sim_time=True)
    ros.listen(Image, "/segmentation/mask")
    ros.send("/image_raw", image(0))
    ros.until(lambda: handled(node, "") == 1)
    assert node._cameras[""].statistics.dropped == {"no_time": 1}
    ros.until(ros.errors)
    assert "use_sim_time is set, and /clock has told no time yet" in ros.errors()[0]


def test_silent_camera_is_said_once_and_welcomed_back(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    start(ros, cameras=["front"])
    segment(ros, image(1), "front")
    for module in (report, diagnostics):  # not before: until the first frame comes a busy machine may take longer
        monkeypatch.setattr(module, "STALE_AFTER_S", 1.2)
    ros.until(lambda: level(ros) == DiagnosticStatus.STALE)
    ros.until(ros.errors)
    after = len(ros.diagnostics) + 2
    ros.until(lambda: len(ros.diagnostics) >= after)
    (said,) = ros.errors()
    assert re.match(r"camera front: no frame for \d+\.\d s on front/image_raw; check the camera", said)
    for stamp in range(2, 1000):  # as a camera sends; a report comes every second
        segment(ros, image(stamp), "front")
        if level(ros) == DiagnosticStatus.OK:
            break
    assert "camera front sends again" in [log.msg for log in ros.logs]


def level(ros: Bench) -> bytes | None:
    status = ros.status(f"{NODE}: front")
    return status.level if status else None


def test_disabled_node_counts_and_does_not_infer(ros: Bench) -> None:
    start(ros)
    assert ros.set(NODE, "enable", False) == ""
    masks = ros.listen(Image, "/segmentation/mask")
    ros.send("/image_raw", image(1))
    ros.until(lambda: ros.counts(f"{NODE}: camera").get("dropped.disabled") == 1)
    assert ros.set(NODE, "enable", True) == ""
    ros.send("/image_raw", image(2))
    ros.until(lambda: masks)
    assert stamps(masks) == [2]


def test_max_fps_thins_the_frames_by_their_stamps(ros: Bench) -> None:
    node = start(ros)
    assert ros.set(NODE, "max_fps", 10.0) == ""
    masks = ros.listen(Image, "/segmentation/mask")
    for done, stamp_ms in enumerate((100, 133, 167, 200, 233, 267, 300), start=1):
        ros.send("/image_raw", image(stamp_ms * MS))
        ros.until(lambda: handled(node, "") == done)  # noqa: B023
    ros.until(lambda: ros.counts(f"{NODE}: camera").get("dropped.max_fps") == 4)
    ros.until(lambda: len(masks) == 3)
    assert stamps(masks) == [100 * MS, 200 * MS, 300 * MS]


def test_wrong_and_fixed_parameters_are_refused_with_a_sentence(ros: Bench) -> None:
    start(ros)
    for name, value, words in (
        ("overlay_alpha", 1.5, "overlay_alpha is 1.5; it must be a number from 0 to 1"),
        ("max_fps", -1.0, "max_fps is -1.0; it must be a number from 0 to 10000"),
        ("max_fps", "fast", "parameter max_fps is 'fast' (str); expected float"),
        ("enable", 1, "parameter enable is 1 (int); expected bool"),
        ("model", "other", "model: read when the node configures; deactivate, clean up and configure to change it"),
        ("image_topic", "other", "image_topic: read when the node configures"),
        ("cameras", ["other"], "cameras: read when the node configures"),
    ):
        assert words in ros.set(NODE, name, value), name
    assert ros.get(NODE, "overlay_alpha", "max_fps", "enable", "model") == [0.5, 0.0, True, MODEL]
    assert ros.set(NODE, "max_fps", 30) == "", "an integer is a number, too"
    segment(ros, image(1))


def test_lifecycle_is_obeyed(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # A node that waits for its own worker would hang.
    monkeypatch.setattr(Runner, "stop", partialmethod(Runner.stop, timeout_s=2 * DEADLINE_S))
    start(ros, autostart=False)
    assert ros.state(NODE) == "unconfigured"
    for name, state in (("configure", "inactive"), ("activate", "active")):
        assert ros.transit(NODE, name) and ros.state(NODE) == state
    segment(ros, image(1))
    assert ros.transit(NODE, "deactivate") and ros.state(NODE) == "inactive"
    ros.until(lambda: ros.publisher(Image, "/image_raw", matched=0).get_subscription_count() == 0)
    assert ros.transit(NODE, "cleanup") and ros.state(NODE) == "unconfigured"
    assert not [name for name, _ in ros.node.get_topic_names_and_types() if name.startswith("/segmentation/mask")]
    assert ros.transit(NODE, "configure") and ros.transit(NODE, "activate")
    segment(ros, image(2))
    assert ros.errors() == []


def test_inactive_node_blames_no_camera(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "STALE_AFTER_S", 0.2)
    node = start(ros)
    segment(ros, image(1))
    ros.transit(NODE, "deactivate")
    said = len(ros.errors())  # before it was deactivated the camera may have been silent for 0.2 s
    for _ in range(2):
        ros.do(node._report.report)
    assert len(ros.errors()) == said


def test_other_parameters_take_effect_when_it_configures_again(ros: Bench) -> None:
    start(ros)
    segment(ros, image(1))
    assert ros.transit(NODE, "deactivate") and ros.transit(NODE, "cleanup")
    assert ros.set(NODE, "score_threshold", 1.0) == ""
    assert ros.set(NODE, "cameras", ["front"]) == ""
    assert ros.transit(NODE, "configure") and ros.transit(NODE, "activate")
    masks = ros.listen(Image, "/front/segmentation/mask")
    ros.send("/front/image_raw", image(2))
    ros.until(lambda: masks)
    assert np.mean(array(masks[0]) == 255) > 0.9, "hardly any pixel is that sure"


def test_inactive_node_refuses_what_it_reads_when_it_configures(ros: Bench) -> None:
    start(ros)
    assert ros.transit(NODE, "deactivate")
    for name, value in (("drop_policy", "none"), ("max_batch_size", 2), ("image_topic", "other")):
        assert f"{name}: read when the node configures" in ros.set(NODE, name, value)


def test_configuring_wrongly_fails_with_a_sentence_and_can_be_repaired(ros: Bench) -> None:
    start(ros, autostart=False)
    for name, wrong, right, words in (
        ("model", "no-such-model", MODEL, "model 'no-such-model' not found; installed: "),
        ("device", "NOSUCH", "CPU", "no device of 'NOSUCH' works"),
        ("transport", "smoke", "raw", "transport is 'smoke'; allowed: 'raw', 'compressed'"),
        ("image_reliability", "some", "reliable", "image_reliability is 'some'; allowed: 'best_effort', 'reliable'"),
    ):
        assert ros.set(NODE, name, wrong) == ""
        assert not ros.transit(NODE, "configure") and ros.state(NODE) == "unconfigured"
        ros.until(lambda: any(words in error for error in ros.errors()), words)  # noqa: B023
        assert ros.set(NODE, name, right) == ""
    assert ros.state(NODE) == "unconfigured" and ros.set(NODE, "image_topic", "//") == ""
    assert ros.transit(NODE, "configure") and not ros.transit(NODE, "activate")
    ros.until(lambda: any("InvalidTopicName" in error for error in ros.errors()))
    assert ros.state(NODE) == "inactive"
    assert ros.transit(NODE, "cleanup") and ros.set(NODE, "image_topic", "image_raw") == ""
    assert ros.transit(NODE, "configure") and ros.transit(NODE, "activate")
    segment(ros, image(1))


def test_inference_that_fails_is_counted_and_the_next_one_works(ros: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start(ros)
    pipeline = node._pipeline

    def fail(*_: object) -> None:
        raise RuntimeError("device lost")

    assert pipeline is not None
    process = pipeline.segment
    ros.listen(Image, "/segmentation/mask")
    ros.until(lambda: node._outputs[""].requested_masks())
    monkeypatch.setattr(pipeline, "segment", fail)
    ros.send("/image_raw", image(1))
    ros.until(lambda: ros.counts(f"{NODE}: camera").get("dropped.inference") == 1)
    ros.until(ros.errors)
    assert "inference failed: device lost" in ros.errors()[0]
    monkeypatch.setattr(pipeline, "segment", process)
    segment(ros, image(2))
