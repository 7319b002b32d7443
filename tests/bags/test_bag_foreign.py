"""MCAP files of other tools: what is sound is no damage, and what is not ROS's is named."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support.bag_writing import ROS1, START_NS, image
from support.mcap_writing import Channel, camera, images, json, protobuf, write_mcap

from cmt_seg_ros.bags.storage import BagTopic, bag_topics
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources import BagSource

RAW = "sensor_msgs/msg/Image"


@pytest.mark.parametrize("profile", ["ros2", "ros1", "", "x"])
@pytest.mark.parametrize("compression", [None, "", "lz4", "zstd"])
@pytest.mark.parametrize("summary", [False, True])
def test_cameras_beside_channels_of_other_tools_are_read(
    tmp_path: Path, profile: str, compression: str | None, summary: bool, caplog: pytest.LogCaptureFixture
) -> None:
    channels = [json(), camera(), protobuf(), json("/none", schema="")]
    source = BagSource(write_mcap(tmp_path / "a.mcap", channels, profile, compression, summary))
    assert [f.name for f in source] == ["000000", "000001", "000002"] and source.topic == "/camera/image_raw"
    assert source.problems.counts == {}
    (line,) = caplog.messages
    for words in (
        "/json/image (foxglove.CompressedImage in json, 3 messages): only messages of ROS are read",
        "/pb/image (foxglove.RawImage in protobuf, 3 messages)",
        "/none (of no type in json, 3 messages)",
    ):
        assert words in line


def test_ros1_messages_in_a_file_of_either_profile(tmp_path: Path) -> None:
    raw = [bytes(ROS1.serialize_ros1(image(ROS1, i, p), RAW)) for i, p in enumerate(images(3))]
    for profile in ("ros1", "ros2"):
        channels = [Channel("/i", raw, "sensor_msgs/Image", "ros1msg", "ros1")]
        source = BagSource(write_mcap(tmp_path / "a.mcap", channels, profile))
        assert [f.stamp_ns - START_NS for f in source] == [0, 50_000_000, 100_000_000]
        assert source.problems.counts == {}


def test_a_bag_without_cameras_lists_what_it_has(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", [json(count=1), protobuf()], "")
    with pytest.raises(SourceError) as raised:
        BagSource(path)
    assert "it has: /json/image (foxglove.CompressedImage in json, 1 message), /pb/image (" in str(raised.value)
    with pytest.raises(SourceError, match=r"/pb/image .* is not an image: /pb/image \(foxglove.RawImage in protobuf"):
        BagSource(path, "/pb/image")


def test_a_channel_without_schema_has_no_type(tmp_path: Path) -> None:
    channels = [Channel("/i", [bytes(8)], schema_encoding="")]
    for profile in ("ros2", ""):
        problems = Problems()
        path = write_mcap(tmp_path / "a.mcap", channels, profile)
        assert bag_topics(path, problems) == [BagTopic("/i", "", 1)] and problems.counts == {}


@pytest.mark.parametrize("profile", ["ros2", ""])
@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_sound_file_without_messages_is_not_damaged(tmp_path: Path, profile: str, compression: str | None) -> None:
    for channels in ([], [camera(count=0)]):
        problems = Problems()
        with pytest.raises(SourceError, match=r"it has no topics|no topic with camera images; it has: /camera"):
            BagSource(write_mcap(tmp_path / "a.mcap", channels, profile, compression), problems=problems)
        assert problems.counts == {}


@pytest.mark.parametrize("profile", ["ros2", ""])
def test_chunks_of_an_unknown_compression_are_not_damage(tmp_path: Path, profile: str) -> None:
    path, problems = write_mcap(tmp_path / "a.mcap", [camera()], profile, "snappy"), Problems()
    with pytest.raises(SourceError, match="1 chunks cannot be read: they are compressed as 'snappy'"):
        BagSource(path, problems=problems)
    assert list(problems.counts) == ["unread_bag"]


def test_a_file_of_another_tool_may_be_damaged_too(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", [camera(), json()], "")
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    source = BagSource(path)
    assert len(list(source)) == 3 and "is damaged: its end is missing" in source.problems.lines[0]
    path.write_bytes(data[: data.rindex(b'{"data"') - 200])
    assert BagSource(path).problems.counts["damaged_bag"]


def test_another_serialization_of_ros_is_told(tmp_path: Path) -> None:
    cdr2 = [b"\x00\x07" + raw[2:] for raw in camera().messages]
    path = write_mcap(tmp_path / "a.mcap", [camera()._replace(messages=cdr2)])
    with pytest.raises(SourceError, match=r"of the first one: it begins with 00 07 00 00: neither CDR"):
        BagSource(path)


def test_an_index_with_an_absurd_number_of_messages_is_damage(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", [camera()], summary=True)
    data = bytearray(path.read_bytes())
    count = data.rindex(struct.pack("<HQ", 1, 3))
    data[count + 2 : count + 10] = b"\xff" * 8
    path.write_bytes(data)
    source = BagSource(path)
    assert len(source) == 3 and [f.name for f in source] == ["000000", "000001", "000002"]
    assert "more messages than fit into it" in source.problems.lines[0]
