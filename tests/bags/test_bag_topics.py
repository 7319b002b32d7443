from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from support.bag_writing import ROS1, ROS2, compressed, image, storage_file, write_bag

from cmt_seg_ros.bags.files import bags_in
from cmt_seg_ros.bags.storage import BagTopic, bag_topics, camera_names
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems

PIXELS = np.zeros((6, 8, 3), np.uint8)
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


def test_cameras_are_found_and_nothing_else(tmp_path: Path) -> None:
    raw, packed = image(ROS2, 0, PIXELS), compressed(ROS2, 0, PIXELS)
    text = ROS2.types["std_msgs/msg/String"]("hello")
    topics = {
        "/front/image_raw": [raw, raw],
        "/front/image_raw/compressed": [packed],
        "/rear/image_raw/compressed": [packed],
        "/image": [raw],
        "/tracking_camera/image": [raw],
        "/front/segmentation/mask": [raw],
        "/front/segmentation/overlay/compressed": [packed],
        "/front/tracking/overlay": [raw],
        "/truth/class_ids": [raw],
        "/front/depth/image_rect_raw": [raw],
        "/front/image_raw/compressedDepth": [packed],
        "/text": [text],
    }
    assert camera_names(bag_topics(write_bag(tmp_path / "bag", topics), Problems())) == [
        BagTopic("/front/image_raw", RAW, 2),
        BagTopic("/image", RAW, 1),
        BagTopic("/rear/image_raw/compressed", COMPRESSED, 1),
        BagTopic("/tracking_camera/image", RAW, 1),
    ]


def test_topics_of_damaged_and_missing_bags(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "a.bag", {"/i": [image(ROS1, i, PIXELS) for i in range(3)]}, ROS1)
    path.write_bytes(path.read_bytes()[:-400])
    problems = Problems()
    assert bag_topics(path, problems)[0].name == "/i" and problems.counts["damaged_bag"]
    (tmp_path / "b.mcap").touch()
    for name, words in (("b.mcap", "cannot be read"), ("c.mcap", "does not exist")):
        with pytest.raises(SourceError, match=words):
            bag_topics(tmp_path / name, Problems())


def test_all_bags_of_a_folder(tmp_path: Path) -> None:
    messages = {"/i": [image(ROS2, 0, PIXELS)]}
    drives = tmp_path / "drives"
    drives.mkdir()
    for name in ("b", "a", "c"):
        write_bag(drives / name, messages)
    write_bag(drives / "old", messages, ROS2, StoragePlugin.SQLITE3)
    (drives / "c" / "metadata.yaml").unlink()  # killed while it was recorded
    (drives / "c" / "c.mcap").rename(drives / "c" / "c_0.mcap")
    (drives / "lone").mkdir()
    storage_file(drives / "b").rename(drives / "lone" / "x.mcap")
    for name in ("lone/y.db3", "z.bag", "crashed.bag.active", "notes.txt", "w.mcap.zstd"):
        (drives / name).touch()
    found = [path.relative_to(drives).as_posix() for path in bags_in(drives)]
    assert found == ["a", "b", "c", "crashed.bag.active", "lone/x.mcap", "lone/y.db3", "old", "w.mcap.zstd", "z.bag"]
    assert bags_in(drives / "a") == [drives / "a"] and bags_in(drives / "z.bag") == [drives / "z.bag"]
    assert bags_in(tmp_path / "drives" / "lone") == [drives / "lone" / "x.mcap", drives / "lone" / "y.db3"]
    for name in ("part_10.mcap", "part_9.mcap", "._z.bag", ".trash/x.mcap"):
        (drives / "n" / name).parent.mkdir(parents=True, exist_ok=True)
        (drives / "n" / name).touch()
    assert [path.name for path in bags_in(drives / "n")] == ["part_9.mcap", "part_10.mcap"]
    (drives / "b" / "mark").touch()
    assert drives / "b" in bags_in(drives) and drives / "b" not in bags_in(drives, skip="mark")
    with pytest.raises(SourceError, match="not a folder"):
        bags_in(tmp_path / "none")
