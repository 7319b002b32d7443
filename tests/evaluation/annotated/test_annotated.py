from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from support import ROOT
from support.bag_writing import ROS2, compressed, write_bag
from support.clips import job, scene

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.annotated.bag import AnnotatedBag, merge
from cmt_seg_ros.evaluation.live.recording import Recording
from cmt_seg_ros.evaluation.sequence import evaluate
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.structures import U8, Frame, GroundTruth, Segment, Segmentation, Track, TrackEvent, TrackState

LAYOUT = ROOT / "config" / "foxglove.json"
START_NS, PERIOD_NS = 1_700_000_000_000_000_007, 100_000_000
CAR, PEDESTRIAN, ROAD = 8, 9, 3
SCORES = {
    **{"mean_iou": 0.5, "pixel_accuracy": 0.9, "boundary_f": 0.4, "objectness_iou": 0.7, "temporal_agreement": 0.95},
    **{"infer_ms": 8.5, "track_ms": 1.5, "tracks": 2.0},
}
TYPES = {
    "/camera/image_raw/compressed": "sensor_msgs/msg/CompressedImage",
    "/camera/segmentation/mask": "sensor_msgs/msg/Image",
    "/camera/segmentation/objectness": "sensor_msgs/msg/Image",
    "/camera/segmentation/overlay/compressed": "sensor_msgs/msg/CompressedImage",
    "/camera/segmentation/label_info": "cmt_seg_ros/msg/ClassMap",
    "/camera/tracking/tracks": "cmt_seg_ros/msg/TrackArray",
    "/camera/tracking/annotations": "foxglove_msgs/msg/ImageAnnotations",
    "/camera/truth/class_ids": "sensor_msgs/msg/Image",
    **{f"/evaluation/{name}": "std_msgs/msg/Float64" for name in SCORES},
    "/evaluation/lost": "std_msgs/msg/String",
}


def picture(index: int) -> U8:
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([rows * 4, columns * 3, rows + columns + index], -1).astype(np.uint8)


def masks(index: int) -> Segmentation:
    ids = np.full((48, 64), ROAD, np.uint8)
    ids[10:20, 5 + index : 25 + index] = CAR
    return Segmentation("camera", START_NS, ids, np.where(ids == CAR, 255, 0).astype(np.uint8))


def track(track_id: int, state: TrackState, class_id: int = CAR) -> Track:
    segment = Segment(class_id, (5.0, 10.0, 25.0, 20.0), (15.0, 15.0), 200.0, 0.9, np.ones((10, 20), np.uint8))
    box, covariance = (5.0, 10.0, 25.0, 21.5), np.arange(16.0).reshape(4, 4)
    seen = segment if state == TrackState.CONFIRMED else None
    return Track(track_id, class_id, box, (3.0, -1.0), 0.75, state, 1.5, 0.25, seen, TrackEvent.ENTERED, covariance)


def frame(index: int, **changes: Any) -> Frame:
    truth = GroundTruth(np.full((48, 64), index, np.uint8))
    fields: dict[str, Any] = {"pixels": picture(index), "frame_id": "lens", "truth": truth, **changes}
    return Frame("camera", START_NS + index * PERIOD_NS, **fields)


def add(bag: AnnotatedBag, index: int, **changes: Any) -> None:
    tracks = [track(1, TrackState.CONFIRMED), track(2, TrackState.OCCLUDED, PEDESTRIAN), track(3, TrackState.LOST)]
    bag.add(frame(index, **changes), masks(index), tracks, SCORES)


def messages(path: Path) -> Iterator[tuple[str, int, Any]]:
    with AnyReader([path]) as reader:
        for connection, time_ns, raw in reader.messages():
            yield connection.topic, time_ns, reader.deserialize(raw, connection.msgtype)


def of_topic(path: Path, topic: str) -> list[Any]:
    return [message for name, _, message in messages(path) if name == topic]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("run") / "annotated"
    writer = AnnotatedBag(path, CAMVID, "some-model")
    for index in range(3):
        add(writer, index)
    writer.close()
    return path


def test_every_topic_has_its_type_and_the_frames_stamps(bag: Path) -> None:
    with AnyReader([bag]) as reader:
        assert {c.topic: c.msgtype for c in reader.connections} == TYPES
        assert {c.msgcount for c in reader.connections if c.topic != "/camera/segmentation/label_info"} == {3}
    stamps = [START_NS + i * PERIOD_NS for i in range(3)]
    for topic, time_ns, message in messages(bag):
        assert time_ns in stamps
        if hasattr(message, "header"):
            stamp = message.header.stamp
            assert (stamp.sec * 1_000_000_000 + stamp.nanosec, message.header.frame_id) == (time_ns, "lens"), topic
    assert [p.name for p in bag.glob("*.mcap")] == ["annotated.mcap"]


def test_masks_come_back_as_they_were(bag: Path) -> None:
    recording = Recording(bag)
    assert (recording.header.labels, recording.header.model) == (CAMVID, "some-model")
    for index, found in enumerate(recording):
        expected = masks(index)
        assert found.class_ids is not None and np.array_equal(found.class_ids, expected.class_ids)
        assert found.objectness is not None and np.array_equal(found.objectness, expected.objectness)
    true = of_topic(bag, "/camera/truth/class_ids")
    assert [set(message.data.tolist()) for message in true] == [{0}, {1}, {2}]


def test_pictures_are_jpeg_and_overlays_show_masks_and_tracks(bag: Path) -> None:
    (image, *_), (overlay, *_) = (
        of_topic(bag, f"/camera/{t}/compressed") for t in ("image_raw", "segmentation/overlay")
    )
    plain, drawn = (cv2.imdecode(message.data, cv2.IMREAD_COLOR).astype(int) for message in (image, overlay))
    assert "jpeg" in image.format and "jpeg" in overlay.format
    assert np.abs(plain - picture(0)).mean() < 6
    assert plain.shape == drawn.shape and np.abs(drawn - picture(0)).mean() > 20


def test_tracks_have_the_fields_of_the_live_topic(bag: Path) -> None:
    array = of_topic(bag, "/camera/tracking/tracks")[0]
    assert (array.image_width, array.image_height) == (64, 48)
    assert [(t.id, t.class_name, t.state, t.event) for t in array.tracks] == [
        *[(1, "Car", 1, 1), (2, "Pedestrian", 2, 1), (3, "Car", 3, 1)]
    ]
    first, hidden = array.tracks[:2]
    assert (first.left_px, first.top_px, first.width_px, first.height_px) == (5.0, 10.0, 20.0, 11.5)
    assert (first.area_px, hidden.area_px, first.score) == (200.0, 0.0, 0.75)
    assert (first.velocity_x_px_s, first.velocity_y_px_s, first.age_s, first.unseen_s) == (3.0, -1.0, 1.5, 0.25)
    assert list(first.covariance) == list(range(16))


def test_annotations_are_boxes_with_names_in_the_colours_of_the_classes(bag: Path) -> None:
    found = of_topic(bag, "/camera/tracking/annotations")[0]
    assert [text.text for text in found.texts] == ["Car 1", "Pedestrian 2"]
    box = found.points[0]
    assert box.type == box.LINE_LOOP
    assert [(p.x, p.y) for p in box.points] == [(5.0, 10.0), (25.0, 10.0), (25.0, 21.5), (5.0, 21.5)]
    color = box.outline_color
    assert (color.r, color.g, color.b) == pytest.approx([v / 255 for v in CAMVID.classes[CAR].color])
    assert found.points[1].outline_color.a < color.a == 1.0
    assert (found.texts[0].position.x, found.texts[0].timestamp.nanosec) == (5.0, START_NS % 1_000_000_000)


def test_scores_that_are_not_known_are_left_out_and_lost_frames_say_why(tmp_path: Path) -> None:
    path = tmp_path / "annotated"
    writer = AnnotatedBag(path, CAMVID, "some-model", "front")
    writer.add(frame(0), masks(0), None, {"mean_iou": None, "infer_ms": 3.0})
    writer.add(frame(1), None, None, {}, lost="out_of_order")
    writer.add(frame(2, pixels=np.zeros((4, 4), np.uint8)), None, None, {}, lost="bad_encoding")
    writer.add(frame(3, pixels=np.zeros((0, 0, 3), np.uint8)), None, None, {}, lost="malformed")
    writer.close()
    assert [m.data for m in of_topic(path, "/evaluation/lost")] == ["", "out_of_order", "bad_encoding", "malformed"]
    assert [m.data for m in of_topic(path, "/evaluation/infer_ms")] == [3.0]
    assert len(of_topic(path, "/front/image_raw/compressed")) == 2
    assert [len(m.points) for m in of_topic(path, "/front/tracking/annotations")] == [0, 0]
    topics = {topic for topic, _, _ in messages(path)}
    assert "/evaluation/mean_iou" not in topics and "/front/tracking/tracks" not in topics


@pytest.mark.parametrize(
    ("encoding", "format"), [("jpeg", "jpeg"), ("png", "png"), ("png_rgb8", "rgb8; png compressed rgb8")]
)
def test_files_are_written_as_they_are(tmp_path: Path, encoding: str, format: str) -> None:
    data = cv2.imencode(f".{encoding.partition('_')[0]}", picture(0))[1].ravel()
    writer = AnnotatedBag(tmp_path / "annotated", CAMVID, "some-model")
    add(writer, 0, pixels=data, encoding=encoding)
    writer.close()
    (message,) = of_topic(tmp_path / "annotated", "/camera/image_raw/compressed")
    assert message.format == format and np.array_equal(message.data, data)
    assert len(of_topic(tmp_path / "annotated", "/camera/segmentation/overlay/compressed")) == 1


@pytest.mark.usefixtures("no_plots")
def test_an_evaluated_bag_of_jpegs_keeps_their_bytes(tmp_path: Path, tiny: str) -> None:
    formats = ("jpeg", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed rgb8")
    pictures = [scene(1)[0].pixels] * 3
    sent = [compressed(ROS2, i, p, ".jpg", f) for i, (p, f) in enumerate(zip(pictures, formats, strict=True))]
    damaged = compressed(ROS2, 3, pictures[0], ".jpg", "jpeg")
    damaged.data = damaged.data[:40]
    path = write_bag(tmp_path / "bag", {"/front/image_raw/compressed": [*sent, damaged]})
    summary = evaluate(job(tmp_path / "out", tiny, source=SourceConfig(bag=str(path))))
    assert summary["frames"]["evaluated"] == 3 and summary["frames"]["lost_by_reason"] == {"malformed": 1}
    found = of_topic(tmp_path / "out" / "annotated", "/camera/image_raw/compressed")
    assert [m.data.tobytes() for m in found] == [m.data.tobytes() for m in sent]
    assert [m.format for m in found] == ["jpeg", "jpeg", "rgb8; jpeg compressed rgb8"]


@pytest.mark.parametrize("stamps", [(0, 0, 0), (-1, 5, 5), (9, 4, 4)])
def test_odd_stamps_are_written_like_others(tmp_path: Path, stamps: tuple[int, ...]) -> None:
    path = tmp_path / "annotated"
    writer = AnnotatedBag(path, CAMVID, "some-model")
    for index, stamp_ns in enumerate(stamps):
        writer.add(Frame("camera", stamp_ns, picture(index)), masks(index), [], {"tracks": float(index)})
    writer.close()
    found = [(time_ns, int(m.data)) for topic, time_ns, m in messages(path) if topic == "/evaluation/tracks"]
    assert found == sorted((max(stamp_ns, 0), index) for index, stamp_ns in enumerate(stamps))
    headers = [m.header.stamp for m in of_topic(path, "/camera/segmentation/mask")]
    assert sorted(h.sec * 1_000_000_000 + h.nanosec for h in headers) == sorted(stamps)


def raw_messages(path: Path) -> tuple[list[tuple[str, int, bytes]], dict[str, tuple[Any, ...]]]:
    with AnyReader([path]) as reader:
        topics = {c.topic: (c.msgtype, c.msgdef, c.digest, c.msgcount, c.ext) for c in reader.connections}
        return [(c.topic, time_ns, bytes(raw)) for c, time_ns, raw in reader.messages()], topics


@pytest.mark.parametrize("period_ns", [PERIOD_NS, 0])
def test_merged_parts_equal_one_bag(tmp_path: Path, period_ns: int) -> None:
    """Also where a topic comes only later, and where all stamps are the same; each part has a label_info, one stays."""
    names = ["whole", "part1", "part2", "part3"]
    writers = {name: AnnotatedBag(tmp_path / name, CAMVID, "some-model") for name in names}
    for index in range(9):
        for name in ("whole", names[1 + index // 3]):
            shown = Frame("camera", START_NS + index * period_ns, picture(index))
            scores = {"infer_ms": float(index), "mean_iou": 0.5 if index > 4 else None}
            writers[name].add(shown, masks(index), [track(index + 1, TrackState.CONFIRMED)], scores)
    for writer in writers.values():
        writer.close()
    merge([tmp_path / name for name in names[1:]], tmp_path / "merged")
    whole, merged = (raw_messages(tmp_path / name) for name in ("whole", "merged"))
    assert merged == whole
    assert (tmp_path / "part1").is_dir()


def test_parts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    writer = AnnotatedBag(tmp_path / "killed", CAMVID, "some-model")
    add(writer, 0)
    with pytest.raises(SourceError, match=r"killed cannot be read.*delete it"):
        merge([tmp_path / "killed"], tmp_path / "merged")
    writer.close()
    with pytest.raises(SourceError, match="exists already"):
        merge([tmp_path / "killed"], tmp_path / "merged")


def layout_paths(node: Any) -> Iterator[tuple[str, str]]:
    """(key, topic or message path) of everything that the panels' settings name."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            yield from layout_paths(value)
        if str(key).startswith("/") or (isinstance(value, str) and value.startswith("/")):
            yield ("annotations", key) if str(key).startswith("/") else (key, value)


def leaves(node: Any) -> list[str]:
    return [node] if isinstance(node, str) else leaves(node["first"]) + leaves(node["second"])


def test_the_layout_shows_topics_of_the_bag() -> None:
    layout = json.loads(LAYOUT.read_text(encoding="utf-8"))
    assert sorted(leaves(layout["layout"])) == sorted(layout["configById"])
    found = list(layout_paths(layout["configById"]))
    wanted = {
        "imageTopic": ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
        "annotations": ("foxglove_msgs/msg/ImageAnnotations",),
        "value": ("std_msgs/msg/Float64", "std_msgs/msg/String"),
        "topicPath": ("cmt_seg_ros/msg/TrackArray",),
    }
    assert {key for key, _ in found} == set(wanted)
    for key, path in found:
        topic, _, field = path.partition(".")
        assert TYPES[topic] in wanted[key] and field == ("data" if key == "value" else "")


def test_ros_reads_the_messages(bag: Path) -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    from cmt_seg_ros.msg import ClassMap, TrackArray
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import Float64, String

    kinds = {f"{k.__module__.split('.')[0]}/msg/{k.__name__}": k for k in (CompressedImage, Image, Float64, String)}
    kinds |= {"cmt_seg_ros/msg/ClassMap": ClassMap, "cmt_seg_ros/msg/TrackArray": TrackArray}
    read = {}
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            if connection.msgtype in kinds:
                read[connection.topic] = serialization.deserialize_message(bytes(raw), kinds[connection.msgtype])
    assert set(TYPES) - set(read) == {"/camera/tracking/annotations"}
    mask = read["/camera/segmentation/mask"]
    assert np.array_equal(np.frombuffer(mask.data, np.uint8).reshape(48, 64), masks(2).class_ids)
    assert [t.class_name for t in read["/camera/tracking/tracks"].tracks] == ["Car", "Pedestrian", "Car"]
    assert [c.name for c in read["/camera/segmentation/label_info"].classes] == list(CAMVID.names)
    assert read["/evaluation/mean_iou"].data == 0.5
