from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from support.bag_writing import PERIOD_NS, ROS1, ROS2, START_NS, compressed, image, storage_file, write_bag

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources import Clip, open_source
from cmt_seg_ros.sources.truth.with_truth import WithTruth
from cmt_seg_ros.structures import Frame

SIZE = (6, 8)
COUNT = 5
LEGEND = LabelSet((LabelClass(0, "ground", (0, 0, 0)), LabelClass(1, "person", (255, 0, 0), is_object=True)))


def picture(value: int) -> np.ndarray:
    return np.full((*SIZE, 3), value, np.uint8)


def ids(value: int) -> np.ndarray:
    return np.full(SIZE, value, np.uint8)


def instances(value: int, dtype: type = np.uint16) -> np.ndarray:
    return np.full(SIZE, value, dtype)


def clip_of(folder: Path, topics: dict[str, list[Any]], **settings: Any) -> Clip:
    return open_source(SourceConfig(bag=str(write_bag(folder / "bag", topics)), **settings))


def truth(clip: Clip) -> WithTruth:
    assert isinstance(clip.source, WithTruth)
    return clip.source


def first_ids(frames: list[Frame]) -> list[int | None]:
    """The class id of each frame's first pixel."""
    return [None if f.truth is None or f.truth.class_ids is None else int(f.truth.class_ids[0, 0]) for f in frames]


def first_instances(frames: list[Frame]) -> list[int | None]:
    return [
        None if f.truth is None or f.truth.instance_ids is None else int(f.truth.instance_ids[0, 0]) for f in frames
    ]


def messages(make: Any = picture, encoding: str = "bgr8", indices: Any = range(COUNT)) -> list[Any]:
    return [image(ROS2, i, make(i), encoding) for i in indices]


def write_images(folder: Path, pictures: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for name, pixels in pictures.items():
        assert cv2.imwrite(str(folder / name), pixels)
    return folder


def test_truth_of_images_without_stamps_is_that_recorded_with_them(tmp_path: Path) -> None:
    """Labels are recorded a little after their images, some are missing; neither has stamps."""
    numbers, late_ns = [0, 1, 3, 4], PERIOD_NS // 3
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, "sensor_msgs/msg/Image", typestore=ROS2)
            for topic in ("/front/image_raw", "/front/truth/class_ids")
        }
        for index in range(COUNT):
            label = [image(ROS2, index, ids(2 + index), "mono8")] if index in numbers else []
            for topic, message in zip(topics, [image(ROS2, index, picture(index)), *label], strict=False):
                message.header.stamp.sec = message.header.stamp.nanosec = 0
                at_ns = START_NS + index * PERIOD_NS + late_ns * (topic != "/front/image_raw")
                writer.write(topics[topic], at_ns, ROS2.serialize_cdr(message, message.__msgtype__))
    clip = open_source(SourceConfig(bag=str(tmp_path / "bag")))
    assert first_ids(list(clip)) == [2, 3, None, 5, 6]
    assert truth(clip).truth_without_frame_count == 0
    assert clip.problems.counts == {"no_stamp": 2}
    assert "a label has no stamp; it is matched by the time of recording" in " ".join(clip.problems.lines)


def test_labels_without_stamps_take_no_frame_whose_stamp_is_only_near(tmp_path: Path) -> None:
    labels = messages(ids, "mono8")
    for label in labels:
        label.header.stamp.sec = label.header.stamp.nanosec = 0
    topics = {"/front/image_raw": messages(), "/front/truth/class_ids": labels}
    assert first_ids(list(clip_of(tmp_path / "exact", topics))) == [None] * COUNT, "recorded 7 ns after the stamp"
    assert first_ids(list(clip_of(tmp_path / "near", topics, tolerance_ms=1.0))) == list(range(COUNT))


def test_the_usual_topics(tmp_path: Path) -> None:
    topics = {
        "/front/image_raw/compressed": [compressed(ROS2, i, picture(i)) for i in range(COUNT)],
        "/front/truth/class_ids": messages(lambda i: ids(8 + i), "mono8"),
        "/front/truth/instances": [image(ROS2, i, instances(300 + i).view(np.uint8), "mono8") for i in range(COUNT)],
        "/truth/class_ids": messages(lambda i: ids(0), "8UC1"),
    }
    for i, message in enumerate(topics["/front/truth/instances"]):
        message.encoding, message.width = ("mono16", "16UC1")[i % 2], SIZE[1]
    clip = clip_of(tmp_path, topics)
    for _ in range(2):
        frames = list(clip)
        assert first_ids(frames) == [8, 9, 10, 255, 255] and first_instances(frames) == [300, 301, 302, 303, 304]
        assert truth(clip).frames_with_truth == COUNT and truth(clip).frames_without_truth == 0
    assert clip.labels == CAMVID and frames[0].truth is not None and frames[0].truth.objectness is not None
    assert [int(f.truth.objectness[0, 0]) for f in frames] == [255, 255, 255, 0, 0]  # type: ignore[union-attr, index]
    assert clip.problems.counts == {"unknown_label_id": 1} and "no class: 12" in clip.problems.lines[0]


def test_topics_without_a_namespace_and_no_topics(tmp_path: Path) -> None:
    labels = [image(ROS2, i, ids(i), "mono8", pad=3) for i in range(COUNT)]
    topics = {"/front/image_raw": messages(), "/truth/class_ids": labels}
    assert first_ids(list(clip_of(tmp_path, topics))) == list(range(COUNT))
    (tmp_path / "x").mkdir()
    clip = clip_of(tmp_path / "x", {"/front/image_raw": messages()})
    assert not isinstance(clip.source, WithTruth) and clip.labels is None


def test_a_named_topic_with_gaps_and_a_tolerance(tmp_path: Path) -> None:
    labels = [compressed(ROS2, i, ids(i)) for i in (0, 2, 3, 7)]
    for label in labels:
        label.header.stamp.nanosec += 2_000_000
    topics = {"/image": messages(), "/my/labels": labels}
    clip = clip_of(tmp_path, topics, ground_truth="/my/labels", tolerance_ms=2.5)
    assert first_ids(list(clip)) == [0, None, 2, 3, None]
    found = truth(clip)
    assert (found.frames_with_truth, found.frames_without_truth) == (3, 2)
    assert found.first_without_truth == ["000001", "000004"]
    assert found.truth_without_frame == [f"/my/labels {START_NS + 7 * PERIOD_NS + 2_000_000}"]
    assert found.truth_without_frame_count == 1
    exact = open_source(SourceConfig(bag=str(tmp_path / "bag"), ground_truth="/my/labels"))
    assert first_ids(list(exact)) == [None] * COUNT and truth(exact).truth_without_frame_count == 4


def test_truth_of_a_ros1_bag_that_was_cut(tmp_path: Path) -> None:
    topics = {
        "/cam/image": [image(ROS1, i, picture(i)) for i in range(COUNT)],
        "/cam/truth/class_ids": [image(ROS1, i, ids(i), "mono8") for i in range(COUNT)],
    }
    path = write_bag(tmp_path / "clip.bag", topics, ROS1)
    path.write_bytes(path.read_bytes()[:-600])
    clip = open_source(SourceConfig(bag=str(path)))
    frames = list(clip)
    assert first_ids(frames) == list(range(len(frames))) and len(frames) >= 3
    assert clip.problems.counts["damaged_bag"] >= 1


def test_label_messages_that_do_not_fit(tmp_path: Path) -> None:
    labels = messages(ids, "mono8")
    labels[1] = image(ROS2, 1, picture(1))
    labels[2] = image(ROS2, 2, ids(2), "mono8", cut=10)
    labels[3] = image(ROS2, 3, np.zeros((3, 3), np.uint8), "mono8")
    labels[4] = compressed(ROS2, 4, ids(4), ".jpg", "jpeg")
    clip = clip_of(tmp_path, {"/image": messages(), "/labels": labels[:4]}, ground_truth="/labels")
    assert first_ids(list(clip)) == [0, None, None, None, None]
    assert clip.problems.counts == {"bad_label": 3}
    (tmp_path / "jpeg").mkdir()
    clip = clip_of(tmp_path / "jpeg", {"/image": messages(), "/labels": labels[4:]}, ground_truth="/labels")
    assert first_ids(list(clip)) == [None] * COUNT and "expected png" in clip.problems.lines[0]


def test_a_folder_matched_by_names_keeps_places_of_lost_frames(tmp_path: Path) -> None:
    pictures = messages()
    pictures[1] = image(ROS2, 1, picture(1), cut=30)
    folder = write_images(tmp_path / "labels", {f"{i:06d}.png": ids(i) for i in (1, 2, 4, 9)})
    clip = clip_of(tmp_path, {"/image": pictures}, ground_truth=str(folder))
    assert first_ids(list(clip)) == [None, 2, None, 4]
    assert clip.lost == {1: "short_data"}
    assert sorted(truth(clip).truth_without_frame) == ["000001.png", "000009.png"]


@pytest.mark.parametrize("style", ["{s}{n:09d}.png", "{s}.{n:09d}.png", "{s}_{n:09d}.png"])
def test_a_folder_matched_by_stamps(tmp_path: Path, style: str) -> None:
    stamps = [divmod(START_NS + i * PERIOD_NS + 1000, 1_000_000_000) for i in range(COUNT)]
    files = {style.format(s=s, n=n): ids(i) for i, (s, n) in enumerate(stamps) if i != 3}
    folder = write_images(tmp_path / "labels", {**files, "000000.png": ids(7), "notes.png": ids(7)})
    clip = clip_of(tmp_path, {"/image": messages()}, ground_truth=str(folder), tolerance_ms=0.01)
    assert first_ids(list(clip)) == [0, 1, 2, None, 4]
    assert truth(clip).truth_without_frame == ["000000.png"]


def test_boxes_count_frames_that_were_lost(tmp_path: Path) -> None:
    pictures = messages()
    pictures[1] = image(ROS2, 1, picture(1), cut=30)
    (tmp_path / "gt.txt").write_text("1,5,0,0,2,2,1\n2,5,1,0,2,2,1\n3,5,2,0,2,2,1\n3,6,2,0,2,2,0\n9,5,0,0,1,1,1\n")
    clip = clip_of(tmp_path, {"/image": pictures}, ground_truth=str(tmp_path / "gt.txt"))
    frames = list(clip)
    boxes = [None if f.truth is None else f.truth.boxes_px for f in frames]
    assert boxes == [{5: (0.0, 0.0, 2.0, 2.0)}, {5: (2.0, 0.0, 4.0, 2.0)}, {}, {}]
    assert clip.labels is None and all(f.truth is not None and f.truth.class_ids is None for f in frames)
    assert truth(clip).truth_without_frame == ["frame 2", "frame 9"] and truth(clip).frames_without_truth == 0


def test_a_clip_is_annotated_beyond_the_last_box(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("2,5,1,0,2,2,1\n")
    clip = clip_of(tmp_path, {"/image": messages()}, ground_truth=str(tmp_path / "gt.txt"))
    for _ in range(2):
        boxes = [frame.truth.boxes_px for frame in clip if frame.truth is not None]
        assert boxes == [{}, {5: (1.0, 0.0, 3.0, 2.0)}, {}, {}, {}]
        assert truth(clip).truth_without_frame == [] and truth(clip).frames_with_truth == COUNT


def test_a_stamp_far_in_the_future_takes_no_truth_from_others(tmp_path: Path) -> None:
    count = 100
    pictures = messages(lambda i: picture(i), indices=range(count))
    pictures[2].header.stamp.sec += 10**6
    topics = {"/image": pictures, "/truth/class_ids": messages(lambda i: ids(i % 8), "mono8", range(count))}
    clip = clip_of(tmp_path, topics)
    assert first_ids(list(clip)) == [None if i == 2 else i % 8 for i in range(count)]
    assert truth(clip).truth_without_frame_count == 1


def test_folders_beside_the_images(tmp_path: Path) -> None:
    write_images(tmp_path / "images", {f"{i}.png": picture(i) for i in range(3)})
    write_images(tmp_path / "labels", {"0.png": ids(1), "1.png": ids(2), "5.png": ids(1)})
    write_images(tmp_path / "instances", {"1.png": instances(70_000 % 65536), "2.png": instances(9, np.uint8)})
    problems = Problems()
    clip = open_source(SourceConfig(images=str(tmp_path / "images")), truth_labels=LEGEND, problems=problems)
    frames = list(clip)
    assert first_ids(frames) == [1, 255, None] and first_instances(frames) == [None, 4464, 9]
    assert frames[0].truth is not None and frames[0].truth.objectness is not None
    assert np.all(frames[0].truth.objectness == 255) and clip.labels == LEGEND
    assert frames[2].truth is not None and frames[2].truth.instance_ids is not None
    assert frames[2].truth.instance_ids.dtype == np.uint16
    assert truth(clip).truth_without_frame == ["5.png"] and problems.lines == []


def test_named_instances_of_a_video(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (32, 16))
    for value in (10, 200):
        video.write(np.full((16, 32, 3), value, np.uint8))
    video.release()
    folder = write_images(tmp_path / "i", {f"{k:06d}.png": np.full((16, 32), 5 + k, np.uint16) for k in range(2)})
    (tmp_path / "i" / "000001.png").write_bytes(b"rubbish")
    clip = open_source(SourceConfig(video=str(tmp_path / "v.avi"), instances=str(folder)))
    assert first_instances(list(clip)) == [5, None]
    assert clip.problems.counts == {"bad_label": 1} and truth(clip).frames_without_truth == 1


def test_a_clip_that_is_stopped_early_or_played_faster(tmp_path: Path) -> None:
    topics = {"/image": messages(), "/truth/class_ids": messages(ids, "mono8")}
    assert first_ids(list(clip_of(tmp_path, topics, frames=2, fps=100.0))) == [0, 1]


def test_truth_that_is_not_there_is_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", {"/image": messages(), "/labels": messages(ids, "mono8")})
    images = write_images(tmp_path / "images", {"a.png": picture(0)})
    empty = tmp_path / "empty"
    empty.mkdir()
    for settings, words in (
        ({"bag": bag, "ground_truth": "/none"}, r"/none is neither a folder nor a topic .* /image, /labels"),
        ({"bag": bag, "instances": storage_file(bag)}, "neither a folder nor a topic"),
        ({"images": images, "ground_truth": "/labels"}, "not a folder"),
        ({"images": images, "ground_truth": empty}, "no files ending in"),
    ):
        with pytest.raises(SourceError, match=words):
            open_source(SourceConfig(**{key: str(value) for key, value in settings.items()}))
