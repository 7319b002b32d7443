from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from support.bag_writing import PERIOD_NS, ROS1, ROS2, START_NS, compressed, image, write_bag

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources import BagSource, open_source
from cmt_seg_ros.sources.bag import camera_topics


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (6, 9, 3), dtype=np.uint8) for _ in range(4)]


@pytest.mark.parametrize("kind", ["sqlite3", "mcap folder", "mcap file", "ros1"])
def test_every_kind_of_bag_gives_the_same_frames(tmp_path: Path, pixels: list[np.ndarray], kind: str) -> None:
    store = ROS1 if kind == "ros1" else ROS2
    path = tmp_path / ("clip.bag" if kind == "ros1" else "clip")
    plugin = StoragePlugin.SQLITE3 if kind == "sqlite3" else StoragePlugin.MCAP
    write_bag(path, {"/cam/image": [image(store, i, p) for i, p in enumerate(pixels)]}, store, plugin)
    source = BagSource(next(path.glob("*.mcap")) if kind == "mcap file" else path)
    frames = list(source)
    assert (len(source), source.topic) == (4, "/cam/image")
    assert source.fps == pytest.approx(20.0)
    assert [f.stamp_ns for f in frames] == [START_NS + i * PERIOD_NS for i in range(4)]
    assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, pixels, strict=True))
    assert {(f.encoding, f.frame_id, f.size) for f in frames} == {("bgr8", "lens", (6, 9))}


@pytest.mark.parametrize(
    ("encoding", "channels"), [("bgr8", 3), ("rgb8", 3), ("8UC3", 3), ("bgra8", 4), ("rgba8", 4), ("mono8", 1)]
)
def test_encodings_with_padded_rows(tmp_path: Path, encoding: str, channels: int) -> None:
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    expected = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    (frame,) = BagSource(write_bag(tmp_path / "bag", {"/i": [image(ROS2, 0, expected, encoding, pad=3)]}))
    assert frame.encoding == encoding and np.array_equal(frame.pixels, expected)


def test_compressed_images(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    kinds = ("png", "bgr8; jpeg compressed bgr8", "rgb8; png compressed rgb8")
    smooth = np.full((16, 16, 3), (10, 90, 200), np.uint8)
    suffixes = (".png", ".jpg", ".png")
    messages = [compressed(ROS2, i, smooth, s, k) for i, (s, k) in enumerate(zip(suffixes, kinds, strict=True))]
    frames = list(BagSource(write_bag(tmp_path / "bag", {"/i/compressed": messages})))
    assert [f.encoding for f in frames] == ["bgr8"] * 3
    expected = smooth, smooth, smooth[:, :, ::-1]  # the last one was encoded in the order red, green, blue
    assert all(np.abs(f.pixels.astype(int) - e).max() <= 3 for f, e in zip(frames, expected, strict=True))
    files = [f.decoded_from for f in frames]
    assert [f.encoding for f in files if f is not None] == ["png", "jpeg", "png_rgb8"]
    assert all(f is not None and np.array_equal(f.pixels, m.data) for f, m in zip(files, messages, strict=True))


def test_compressed_images_are_as_large_as_allowed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = [compressed(ROS2, i, np.zeros((16, width, 3), np.uint8)) for i, width in enumerate((16, 17, 16))]
    path = write_bag(tmp_path / "bag", {"/i/compressed": messages})
    assert len(list(BagSource(path))) == 3
    clip = open_source(SourceConfig(bag=str(path)), max_image_px=256)
    assert [f.name for f in clip] == ["000000", "000002"]
    assert clip.lost == {1: "too_large"} and clip.problems.counts == {"too_large": 1}
    assert "message 1 is skipped: image is 17x16 = 272 pixels" in clip.problems.lines[0]


def test_damaged_messages_are_skipped_and_counted(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    messages = [image(ROS2, i, p, cut=100 * (i == 1)) for i, p in enumerate(pixels)]
    source = BagSource(write_bag(tmp_path / "bag", {"/i": messages}))
    assert [f.name for f in source] == ["000000", "000002", "000003"]
    assert source.lost == {1: "short_data"} and source.problems.counts == {"damaged_message": 1}
    assert "message 1 is skipped: data has 62 bytes" in source.problems.lines[0]


def test_a_topic_is_chosen_by_name_and_errors_list_the_topics(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    text = ROS2.types["std_msgs/msg/String"]("hello")
    topics = {"/b": [image(ROS2, 0, pixels[0])], "/a": [compressed(ROS2, 0, pixels[1])], "/text": [text]}
    path = write_bag(tmp_path / "bag", topics)
    assert BagSource(path).topic == "/a"
    clip = open_source(SourceConfig(bag=str(path), bag_topic="/b"))
    assert np.array_equal(next(iter(clip)).pixels, pixels[0])
    with pytest.raises(SourceError, match=r"/c of bag .* is not in it; image topics: /a, /b"):
        BagSource(path, "/c")
    with pytest.raises(SourceError, match=r"/i of bag .* is not in it; image topics: /i/compressed"):
        BagSource(write_bag(tmp_path / "packed", {"/i/compressed": [compressed(ROS2, 0, pixels[0])]}), "/i")
    with pytest.raises(SourceError, match=r"/i of bag .* is not in it; it has no images, only /text \(std_msgs/msg"):
        BagSource(write_bag(tmp_path / "no_image", {"/text": [text]}), "/i")
    with pytest.raises(SourceError, match=r"is not an image: /text \(std_msgs/msg/String, 1 message\)"):
        BagSource(path, "/text")
    with pytest.raises(
        SourceError, match=r"no topic with camera images; it has: /text \(std_msgs/msg/String, 1 message\)"
    ):
        BagSource(write_bag(tmp_path / "text", {"/text": [text]}))


def test_bags_that_cannot_be_played_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.mcap").write_bytes(b"\x89MCAP0\r\n" + b"x" * 50)
    (tmp_path / "folder").mkdir()
    for name, words in (("none", "does not exist"), ("broken.mcap", "cannot be read"), ("folder", "cannot be read")):
        with pytest.raises(SourceError, match=words):
            BagSource(tmp_path / name)
    depth = image(ROS2, 0, np.zeros((4, 8), np.uint8), "16UC1")
    path = write_bag(tmp_path / "depth", {"/i": [depth]})
    with pytest.raises(
        SourceError, match=r"no topic with camera images; it has: /i \(sensor_msgs/msg/Image, 1 message\)"
    ):
        BagSource(path)
    with pytest.raises(SourceError, match=r"16UC1.*supported: bgr8"):
        list(BagSource(path, "/i"))


def set_stamps(messages: list[Any], stamps_ns: list[int]) -> list[Any]:
    for message, stamp_ns in zip(messages, stamps_ns, strict=True):
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return messages


RECORDED = [START_NS + 7 + i * PERIOD_NS for i in range(4)]
UNSET: dict[str, tuple[list[int], list[int]]] = {
    "all": ([0] * 4, RECORDED),
    "one": ([START_NS, 0, START_NS + 2 * PERIOD_NS, START_NS + 3 * PERIOD_NS],
            [START_NS, RECORDED[1], START_NS + 2 * PERIOD_NS, START_NS + 3 * PERIOD_NS]),
    "until the driver knows the time": ([0, 0, *RECORDED[2:]], RECORDED),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSET)
def test_images_without_stamps_have_the_time_when_they_were_recorded(
    tmp_path: Path, pixels: list[np.ndarray], case: str
) -> None:
    stamps, expected = UNSET[case]
    messages = set_stamps([image(ROS2, i, p) for i, p in enumerate(pixels)], stamps)
    source = BagSource(write_bag(tmp_path / "bag", {"/cam/image": messages}))
    for _ in range(2):
        assert [f.stamp_ns for f in source] == expected
    assert source.fps == pytest.approx(20.0, rel=0.01)
    assert source.problems.counts == {"no_stamp": 1}
    assert (
        "topic /cam/image: an image has no stamp (header.stamp is 0): the camera's driver" in source.problems.lines[0]
    )


def test_the_0_with_which_a_clock_begins_is_a_stamp(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    simulated = [i * PERIOD_NS for i in range(4)]
    messages = set_stamps([image(ROS2, i, p) for i, p in enumerate(pixels)], simulated)
    source = BagSource(write_bag(tmp_path / "bag", {"/cam/image": messages}))
    assert [f.stamp_ns for f in source] == simulated and source.problems.lines == []


def test_an_unknown_encoding_among_others_is_skipped(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    messages = [image(ROS2, i, p) for i, p in enumerate(pixels)]
    messages[2] = image(ROS2, 2, np.zeros((4, 8), np.uint8), "16UC1")
    source = BagSource(write_bag(tmp_path / "bag", {"/i": messages}))
    assert [f.name for f in source] == ["000000", "000001", "000003"]
    assert source.lost == {2: "bad_encoding"} and source.problems.counts == {"bad_encoding": 1}


def test_depth_beside_colour_is_named_and_is_no_problem(
    tmp_path: Path, pixels: list[np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    depth, disparity = np.zeros((4, 8), np.uint8), np.zeros((4, 8), np.uint8)
    topics = {
        "/a/stereo/image_raw": [image(ROS2, 0, depth, "16UC1")],
        "/b/confidence_map": [image(ROS2, 0, disparity, "32FC1")],
        "/c/packed": [compressed(ROS2, 0, pixels[0], kind="16UC1; compressedDepth png")],
        "/d/damaged_first": [image(ROS2, 0, pixels[0], cut=50), image(ROS2, 1, pixels[1])],
        "/e/image_raw": [image(ROS2, 0, pixels[0])],
    }
    path = write_bag(tmp_path / "bag", topics)
    problems = Problems()
    assert [t.name for t in camera_topics(path, problems)] == ["/d/damaged_first", "/e/image_raw"]
    assert BagSource(path).topic == "/d/damaged_first" and problems.counts == {}
    assert "/a/stereo/image_raw (sensor_msgs/msg/Image, 1 message): encoding is '16UC1'" in caplog.messages[0]
    assert "/b/confidence_map (sensor_msgs/msg/Image, 1 message): encoding is '32FC1'" in caplog.messages[0]
    assert "/c/packed (sensor_msgs/msg/CompressedImage, 1 message): format is '16UC1; comp" in caplog.messages[0]
