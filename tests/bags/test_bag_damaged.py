from __future__ import annotations

import re
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from support.bag_writing import PERIOD_NS, ROS1, ROS2, START_NS, compressed, image, storage_file, write_bag

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources import BagSource

COUNT = 6
SQLITE = StoragePlugin.SQLITE3


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20, 24, 3), dtype=np.uint8) for _ in range(COUNT)]


def images(pixels: list[np.ndarray], store: Any = ROS2, first: int = 0) -> dict[str, list[Any]]:
    return {"/i": [image(store, first + i, p) for i, p in enumerate(pixels)]}


def names(source: BagSource) -> list[int]:
    return [int(frame.name) for frame in source]


def split_bag(path: Path, pixels: list[np.ndarray], plugin: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """A bag of three files with two images each."""
    path.mkdir()
    suffix = ".mcap" if plugin is StoragePlugin.MCAP else ".db3"
    for part in range(3):
        two = write_bag(
            path.parent / f"part{part}", images(pixels[2 * part : 2 * part + 2], first=2 * part), ROS2, plugin
        )
        storage_file(two).rename(path / f"{path.name}_{part}{suffix}")
    write_metadata(path, [f"{path.name}_{part}{suffix}" for part in range(3)], COUNT)
    return path


def write_metadata(path: Path, files: list[str], count: int) -> None:
    lines = ["rosbag2_bagfile_information:", "  version: 9", f"  message_count: {count}", "  relative_file_paths:"]
    (path / "metadata.yaml").write_text("\n".join([*lines, *(f"    - {name}" for name in files)]) + "\n")


def test_a_folder_of_several_files(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    source = BagSource(split_bag(tmp_path / "bag", pixels))
    assert [f.stamp_ns for f in source] == [START_NS + i * PERIOD_NS for i in range(COUNT)]
    assert (len(source), source.problems.lines) == (COUNT, [])


@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_one_of_several_files_is_damaged_or_missing(
    tmp_path: Path, pixels: list[np.ndarray], plugin: StoragePlugin
) -> None:
    path = split_bag(tmp_path / "bag", pixels, plugin)
    second = sorted(p for p in path.iterdir() if p.name != "metadata.yaml")[1]
    second.write_bytes(second.read_bytes()[:300])
    source = BagSource(path)
    assert [f.stamp_ns for f in source] == [START_NS + i * PERIOD_NS for i in (0, 1, 4, 5)]
    assert any(f"{second.name} is damaged" in line for line in source.problems.lines)
    second.unlink()
    source = BagSource(path)
    assert [f.stamp_ns for f in source] == [START_NS + i * PERIOD_NS for i in (0, 1, 4, 5)]
    assert f"{second.name} is missing" in source.problems.lines[0]
    assert "says that there are 6 messages, the files have 4" in source.problems.lines[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *[("a: [", "cannot be understood"), ("x: 1", "understood"), ("", "understood")],
        *[("rosbag2_bagfile_information: 5", "does not describe"), ("x: 2001-99-99", "understood")],
    ],
)
def test_without_good_metadata_all_files_are_read(
    tmp_path: Path, pixels: list[np.ndarray], text: str, words: str
) -> None:
    path = split_bag(tmp_path / "bag", pixels)
    (path / "metadata.yaml").write_text(text)
    source = BagSource(path)
    assert names(source) == list(range(COUNT))
    assert [words in line for line in source.problems.lines] == [True]


def test_metadata_that_is_missing_is_said_and_no_problem(
    tmp_path: Path, pixels: list[np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    path = split_bag(tmp_path / "bag", pixels)
    (path / "metadata.yaml").unlink()
    source = BagSource(path)
    assert names(source) == list(range(COUNT)) and source.problems.counts == {}
    assert ["metadata.yaml is missing" in line for line in caplog.messages] == [True]


@pytest.mark.parametrize("files", ["5", "[5, x]", "abc", "{a: b}"])
def test_metadata_that_lies(tmp_path: Path, pixels: list[np.ndarray], files: str) -> None:
    path = split_bag(tmp_path / "bag", pixels)
    text = f"{{relative_file_paths: {files}, message_count: many, topics_with_message_count: 7}}"
    (path / "metadata.yaml").write_text(f"rosbag2_bagfile_information: {text}")
    assert names(BagSource(path)) == list(range(COUNT))


def test_files_that_metadata_does_not_name_are_read(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    path = split_bag(tmp_path / "bag", pixels)
    write_metadata(path, ["bag_0.mcap", "bag_1.mcap"], 1)
    source = BagSource(path)
    assert names(source) == list(range(COUNT))
    assert ["bag_2.mcap" in line for line in source.problems.lines] == [True, False]


def cut_index(data: bytes) -> bytes:
    """An MCAP as a recorder leaves it that is killed after its last chunk."""
    return data[: data.rindex(b"serialized_metadata") - 30]


def forget_summary(data: bytes) -> bytes:
    """An MCAP whose footer says that it has no index."""
    return data[:-28] + bytes(8) + data[-20:]


@pytest.mark.parametrize("damage", [cut_index, forget_summary])
def test_an_mcap_without_index(tmp_path: Path, pixels: list[np.ndarray], damage: Callable[[bytes], bytes]) -> None:
    path = storage_file(write_bag(tmp_path / "bag", images(pixels)))
    path.write_bytes(damage(path.read_bytes()))
    assert names(BagSource(path)) == list(range(COUNT))


def test_an_mcap_that_ros1_messages_were_converted_to(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    with Writer2(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = "sensor_msgs/msg/Image"
        connection = writer.add_connection("/i", kind, typestore=ROS2, serialization_format="ros1")
        for i, p in enumerate(pixels):
            writer.write(connection, START_NS + i * PERIOD_NS, ROS1.serialize_ros1(image(ROS1, i, p), kind))
    path = storage_file(tmp_path / "bag")
    path.write_bytes(path.read_bytes().replace(b"ros2", b"ros1", 1))  # the profile
    source = BagSource(path)
    assert names(source) == list(range(COUNT)) and source.problems.counts == {}


@pytest.mark.parametrize("at", [0, 8, 17])
def test_rubbish_at_the_beginning_of_an_mcap(tmp_path: Path, pixels: list[np.ndarray], at: int) -> None:
    path = storage_file(write_bag(tmp_path / "bag", images(pixels)))
    data = bytearray(path.read_bytes())
    data[at : at + 8] = b"\xffrubbish"
    path.write_bytes(data)
    assert names(BagSource(path)) == list(range(COUNT))


@pytest.mark.parametrize("compression", ["", "storage"])
def test_a_damaged_chunk_among_others(tmp_path: Path, compression: str) -> None:
    rng = np.random.default_rng(1)
    large = [rng.integers(0, 256, (400, 600, 3), dtype=np.uint8) for _ in range(5)]  # a chunk has two of them
    path = storage_file(write_bag(tmp_path / "bag", images(large), compression=compression))
    data = path.read_bytes()
    starts = [m.start() for m in re.finditer(rb"\x06.{8}.{28}(?:\x00{4}|\x04\x00{3}zstd)", data, re.DOTALL)]
    starts = [s for s in starts if struct.unpack_from("<Q", data, s + 1)[0] > 700_000]
    assert len(starts) == 3
    damaged = bytearray(data)
    damaged[starts[1] + 1 : starts[1] + 90] = bytes(89)  # its length, its compression, its first record
    path.write_bytes(damaged)
    frames = list(source := BagSource(path))
    assert [f.stamp_ns for f in frames] == [START_NS + i * PERIOD_NS for i in (0, 1, 4)]
    assert source.problems.counts["damaged_bag"] >= 1


def test_a_wrong_checksum_is_said(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    path = storage_file(write_bag(tmp_path / "bag", images(pixels)))
    data = bytearray(path.read_bytes())
    chunk = data.index(b"\x06", 9)  # after the magic and the header's length
    while struct.unpack_from("<Q", data, chunk + 1)[0] < 1000:
        chunk = data.index(b"\x06", chunk + 1)
    data[chunk + 9 + 24 : chunk + 9 + 28] = b"\x01\x02\x03\x04"
    path.write_bytes(data)
    source = BagSource(path)
    assert names(source) == list(range(COUNT))
    assert any("wrong checksum" in line for line in source.problems.lines)


@pytest.mark.parametrize(("definition", "words"), [("", "is missing"), ("uint16 height", "is not ROS's"), ("$", "not")])
def test_definitions_are_not_needed(tmp_path: Path, pixels: list[np.ndarray], definition: str, words: str) -> None:
    with Writer2(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = "sensor_msgs/msg/Image"
        connection = writer.add_connection("/i", kind, msgdef=definition, rihs01="RIHS01_" + 64 * "0")
        for i, p in enumerate(pixels):
            writer.write(connection, START_NS + i * PERIOD_NS, ROS2.serialize_cdr(image(ROS2, i, p), kind))
    source = BagSource(tmp_path / "bag")
    assert names(source) == list(range(COUNT))
    assert source.problems.counts == {"missing_definition": 1} and words in source.problems.lines[0]


def test_an_sqlite_bag_of_an_older_ros(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    path = storage_file(write_bag(tmp_path / "bag", images(pixels), ROS2, SQLITE))
    with sqlite3.connect(path) as database:
        for table in ("message_definitions", "schema", "metadata"):
            database.execute(f"DROP TABLE {table}")
    database.close()
    source = BagSource(path)
    assert names(source) == list(range(COUNT)) and source.problems.lines == []


def test_a_write_ahead_log_beside_an_sqlite_bag_is_said(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    path = storage_file(write_bag(tmp_path / "bag", images(pixels), ROS2, SQLITE))
    path.with_name(f"{path.name}-wal").write_bytes(b"x")
    assert "bag.db3-wal has is not read" in BagSource(path).problems.lines[0]


def crashed(path: Path) -> Path:
    """What rosbag leaves when it dies: no index, and the last chunk has no length yet."""
    data = bytearray(path.read_bytes())
    index = data.index(b"index_pos=") + 10
    end = struct.unpack_from("<Q", data, index)[0]
    data[index : index + 8] = bytes(8)
    at, last = 13, 0
    while at < end:
        content = at + 4 + struct.unpack_from("<I", data, at)[0]
        if b"op=\x05" in data[at:content]:
            last = content
        at = content + 4 + struct.unpack_from("<I", data, content)[0]
    stop = last + 4 + struct.unpack_from("<I", data, last)[0]
    struct.pack_into("<I", data, last, 0)
    active = path.with_name(f"{path.name}.active")
    active.write_bytes(data[:stop])
    return active


def test_a_ros1_bag_that_was_not_closed(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    source = BagSource(crashed(write_bag(tmp_path / "clip.bag", images(pixels, ROS1), ROS1)))
    assert names(source) == list(range(COUNT)) and source.topic == "/i"
    assert "not indexed" in source.problems.lines[0]


def test_messages_that_cannot_be_images_keep_their_places(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    messages = images(pixels)["/i"]
    messages[0] = image(ROS2, 0, pixels[0], cut=pixels[0].size)  # no data
    messages[2].height = 0
    messages[3] = image(ROS2, 3, pixels[3], cut=50)
    messages[4] = image(ROS2, 4, pixels[4], encoding="wonderful")
    source = BagSource(write_bag(tmp_path / "bag", {"/i": messages}))
    for _ in range(2):
        assert names(source) == [1, 5]
        assert source.lost == {0: "short_data", 2: "bad_size", 3: "short_data", 4: "bad_encoding"}
    assert source.problems.counts == {"damaged_message": 3, "bad_encoding": 1}
    assert [f"message {i} is skipped" in line for i, line in zip((0, 2, 3, 4), source.problems.lines, strict=True)]


def test_damaged_jpegs_and_messages(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    messages = [compressed(ROS2, i, p, ".jpg", "jpeg") for i, p in enumerate(pixels)]
    messages[1].data = messages[1].data[:20]
    messages[2].data = messages[2].data[:0]
    path = write_bag(tmp_path / "bag", {"/i/compressed": messages}, ROS2, SQLITE)
    with sqlite3.connect(storage_file(path)) as database:
        database.execute("UPDATE messages SET data = substr(data, 1, 30) WHERE id = 5")
    database.close()
    source = BagSource(path)
    assert names(source) == [0, 3, 5]
    assert source.lost == dict.fromkeys((1, 2, 4), "malformed")


def test_a_bag_whose_first_messages_are_damaged(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    count, bad = 130, 100
    path = write_bag(tmp_path / "bag", {"/i": [image(ROS2, i, pixels[0]) for i in range(count)]}, ROS2, SQLITE)
    with sqlite3.connect(storage_file(path)) as database:
        database.execute("UPDATE messages SET data = substr(data, 1, 10) WHERE id <= ? OR id = ?", (bad, count - 5))
    database.close()
    source = BagSource(path)
    assert source.fps == pytest.approx(20.0)
    assert names(source) == [i for i in range(bad, count) if i != count - 6]
    assert list(source.lost) == [*range(bad), count - 6]


def test_a_bag_without_one_readable_message_is_refused(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    path = write_bag(tmp_path / "bag", images(pixels), ROS2, SQLITE)
    with sqlite3.connect(storage_file(path)) as database:
        database.execute("UPDATE messages SET data = substr(data, 1, 10)")
    database.close()
    with pytest.raises(SourceError, match="has no message that can be read"):
        BagSource(path)


def test_a_bag_without_one_readable_image_is_refused(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    messages = [image(ROS2, i, p, cut=50) for i, p in enumerate(pixels)]
    problems = Problems()
    source = BagSource(write_bag(tmp_path / "bag", {"/i": messages}), problems=problems)
    with pytest.raises(SourceError, match=r"no image that can be read; message 5 is skipped: data has"):
        list(source)
    assert len(problems.lines) == COUNT


def test_a_bag_that_loses_its_middle_while_it_is_read(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    """No message comes twice where rosbags gives up half way."""
    path = write_bag(tmp_path / "clip.bag", images(pixels, ROS1), ROS1)
    data = bytearray(path.read_bytes())
    at = data.index(b"op=\x02", len(data) // 2)
    data[at] = ord("x")
    path.write_bytes(data)
    stamps = [f.stamp_ns for f in BagSource(path)]
    assert stamps == sorted(set(stamps)) and len(stamps) >= COUNT - 2


def test_compressed_bags_of_both_kinds(tmp_path: Path, pixels: list[np.ndarray]) -> None:
    for mode in ("file", "message"):
        for plugin in StoragePlugin:
            path = write_bag(tmp_path / f"{mode}{plugin.value}", images(pixels), ROS2, plugin, mode)
            shutil.copytree(path, without := tmp_path / f"{mode}{plugin.value}_without")
            (without / "metadata.yaml").unlink()
            assert names(BagSource(path)) == names(BagSource(without)) == list(range(COUNT))
