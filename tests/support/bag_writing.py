"""Writes small bags of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

ROS1, ROS2 = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_KILTED)
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000


def header(store: Any, index: int) -> Any:
    t = store.types
    stamp = divmod(START_NS + index * PERIOD_NS, 1_000_000_000)
    seq = {"seq": index} if store is ROS1 else {}
    return t["std_msgs/msg/Header"](stamp=t["builtin_interfaces/msg/Time"](*stamp), frame_id="lens", **seq)


def image(store: Any, index: int, pixels: np.ndarray, encoding: str = "bgr8", pad: int = 0, cut: int = 0) -> Any:
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, pad)), constant_values=99)
    data = rows.ravel()[: rows.size - cut]
    make = store.types["sensor_msgs/msg/Image"]
    return make(header(store, index), height, width, encoding, 0, rows.shape[1], np.ascontiguousarray(data))


def compressed(store: Any, index: int, pixels: np.ndarray, suffix: str = ".png", kind: str = "png") -> Any:
    data = cv2.imencode(suffix, pixels)[1].ravel()
    return store.types["sensor_msgs/msg/CompressedImage"](header(store, index), kind, data)


def write_bag(
    path: Path,
    topics: dict[str, list[Any]],
    store: Any = ROS2,
    plugin: Any = StoragePlugin.MCAP,
    compression: str = "",
) -> Path:
    """Write a bag whose messages are recorded 50 ms apart, those of all topics at the same times."""
    writer = Writer1(path) if store is ROS1 else Writer2(path, version=9, storage_plugin=plugin)
    if compression and store is ROS1:
        writer.set_compression(Writer1.CompressionFormat[compression.upper()])
    elif compression:
        writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    if store is ROS1:
        writer.chunk_threshold = 4000
    serialize = store.serialize_ros1 if store is ROS1 else store.serialize_cdr
    with writer:
        connections = {
            topic: writer.add_connection(topic, messages[0].__msgtype__, typestore=store)
            for topic, messages in topics.items()
        }
        rows = [(i, topic, message) for topic, messages in topics.items() for i, message in enumerate(messages)]
        for i, topic, message in sorted(rows, key=lambda row: row[0]):
            raw = serialize(message, message.__msgtype__)
            writer.write(connections[topic], START_NS + 7 + i * PERIOD_NS, raw)
    return path


def storage_file(path: Path) -> Path:
    """The only file with messages of a bag."""
    return path if path.is_file() else next(p for p in path.iterdir() if p.name != "metadata.yaml")
