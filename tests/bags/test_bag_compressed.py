"""Bags that rosbag2 compressed, message by message or file by file, and their odd names of types."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from backports import zstd
from rosbags.rosbag2 import StoragePlugin, Writer
from support.bag_writing import PERIOD_NS, ROS2, START_NS, image, storage_file, write_bag
from support.full_disk import file_limit

from cmt_seg_ros.bags import messages as bag_messages
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.sources import BagSource

TYPE = "sensor_msgs/msg/Image"
PACK: dict[str, Callable[[bytes], bytes]] = {"zstd": zstd.compress, "lz4": lz4.frame.compress}
IMAGES = [np.full((6, 8, 3), 20 * i, np.uint8) for i in range(4)]


def serialized(index: int) -> bytes:
    return bytes(ROS2.serialize_cdr(image(ROS2, index, IMAGES[index]), TYPE))


def recording(path: Path, mode: str, tool: str, plugin: StoragePlugin, type_name: str = TYPE) -> Path:
    """A bag as `ros2 bag record --compression-mode MODE --compression-format TOOL` leaves it."""
    definition, digest = ROS2.generate_msgdef(TYPE, ros_version=2)[0], ROS2.hash_rihs01(TYPE)
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connection = writer.add_connection("/i", type_name, msgdef=definition, rihs01=digest)
        for i in range(len(IMAGES)):
            raw = serialized(i)
            writer.write(connection, START_NS + i * PERIOD_NS, PACK[tool](raw) if mode == "message" else raw)
    file, text = storage_file(path), (path / "metadata.yaml").read_text()
    text = text.replace("compression_format: ''", f"compression_format: {tool}")
    text = text.replace("compression_mode: ''", f"compression_mode: {mode.upper()}")
    if mode == "file":
        file.with_name(f"{file.name}.{tool}").write_bytes(PACK[tool](file.read_bytes()))
        file.unlink()
        text = text.replace(file.name, f"{file.name}.{tool}")
    (path / "metadata.yaml").write_text(text)
    return path


def assert_whole(path: Path) -> None:
    source = BagSource(path)
    frames = list(source)
    assert [f.stamp_ns for f in frames] == [START_NS + i * PERIOD_NS for i in range(len(IMAGES))]
    assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, IMAGES, strict=True))
    assert source.problems.counts == {} and source.fps == pytest.approx(20.0)


@pytest.mark.parametrize("type_name", [TYPE, "sensor_msgs/Image"])
@pytest.mark.parametrize("plugin", list(StoragePlugin))
@pytest.mark.parametrize("tool", PACK)
@pytest.mark.parametrize("mode", ["message", "file"])
def test_recordings_are_read_with_and_without_metadata(
    tmp_path: Path, mode: str, tool: str, plugin: StoragePlugin, type_name: str
) -> None:
    path = recording(tmp_path / "bag", mode, tool, plugin, type_name)
    assert_whole(path)
    assert_whole(storage_file(path))
    (path / "metadata.yaml").unlink()
    assert_whole(path)


@pytest.mark.parametrize("plugin", list(StoragePlugin))
@pytest.mark.parametrize("tool", PACK)
def test_compressed_messages_of_a_file_that_was_cut(tmp_path: Path, tool: str, plugin: StoragePlugin) -> None:
    path = storage_file(recording(tmp_path / "bag", "message", tool, plugin, "sensor_msgs/Image"))
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    source = BagSource(path)
    assert [f.name for f in source] == [f"{i:06d}" for i in range(len(IMAGES))]
    assert source.problems.counts["damaged_bag"]


def unstated(raw: bytes) -> bytes:
    """A zstd frame that does not say how much is in it."""
    tool = zstd.ZstdCompressor()
    return tool.compress(raw) + tool.flush()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        *[(lambda raw: zstd.compress(raw)[:-3], "its zstd frame ends early"), (lambda _: b"", "begins with nothing")],
        (lambda raw: lz4.frame.compress(raw)[:-9], "its lz4 frame ends early"),
        (lambda raw: zstd.compress(raw)[:4] + b"\xff" * 30, "its zstd frame cannot be decompressed"),
        (lambda raw: lz4.frame.compress(raw)[:4] + b"\xff" * 30, "its lz4 frame cannot be decompressed"),
        (lambda _: zstd.compress(b"no message at all"), "begins with 6e 6f 20 6d: neither CDR"),
        (lambda _: b"snappyraw", "begins with 73 6e 61 70: neither CDR (00 00, 00 01) nor a frame of zstd or lz4"),
        (lambda _: zstd.compress(bytes(5001)), "more than 5000 decompressed"),
        (lambda _: unstated(bytes(5001)), "more than 5000 decompressed"),
        (lambda _: lz4.frame.compress(bytes(5001)), "more than 5000 decompressed"),
        (lambda _: lz4.frame.compress(bytes(5001), store_size=False), "more than 5000 decompressed"),
    ],
)
def test_a_message_that_cannot_be_decompressed_is_malformed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes], words: str
) -> None:
    monkeypatch.setattr(bag_messages, "MAX_MESSAGE_BYTES", 5000)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/i", TYPE, typestore=ROS2)
        for i, pack in enumerate((zstd.compress, spoil, unstated)):
            writer.write(connection, START_NS + i * PERIOD_NS, pack(serialized(i)))
    source = BagSource(tmp_path / "bag")
    assert [f.name for f in source] == ["000000", "000002"] and source.lost == {1: "malformed"}
    (line,) = source.problems.lines
    assert "message 1 is skipped" in line and words in line


@pytest.mark.parametrize("tool", PACK)
def test_of_a_file_and_its_compressed_twin_one_is_read(tmp_path: Path, tool: str) -> None:
    """Rosbag2 was killed while it compressed, or somebody has unpacked the file."""
    path = write_bag(tmp_path / "bag", {"/i": [image(ROS2, i, p) for i, p in enumerate(IMAGES)]})
    plain = storage_file(path)
    half = PACK[tool](plain.read_bytes())[:200]
    plain.with_name(f"{plain.name}.{tool}").write_bytes(half)
    assert_whole(path)
    (path / "metadata.yaml").unlink()
    assert_whole(path)
    shutil.rmtree(path)
    path = recording(tmp_path / "bag", "file", tool, StoragePlugin.MCAP)
    plain.write_bytes(b"unpacked, but not all of it")
    assert_whole(path)


def test_a_compressed_file_that_is_damaged_is_read_up_to_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 90, 90, 3), dtype=np.uint8)
    plain = storage_file(write_bag(tmp_path / "bag", {"/i": [image(ROS2, i, p) for i, p in enumerate(noise)]}))
    for tool, pack in PACK.items():
        path = tmp_path / f"cut.mcap.{tool}"
        path.write_bytes(pack(plain.read_bytes())[:-30000])
        source = BagSource(path)
        frames = list(source)
        assert 10 < len(frames) < 20 and source.problems.counts["damaged_bag"]
        assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, noise, strict=False))


def test_a_compressed_file_needs_room_to_be_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for tool in PACK:
        path = recording(tmp_path / tool, "file", tool, StoragePlugin.MCAP)
        with file_limit(1000), pytest.raises(SourceError, match=r"cannot be unpacked: File too large; .* TMPDIR"):
            BagSource(path)
