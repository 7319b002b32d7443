"""Writes recordings with known answers, as recorder_node would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from cmt_seg_ros.labels import CAMVID, LabelSet
from support import ROOT
from support.small_street import PERIOD_NS, START_NS, images, left_track

TYPE = {"segmentation/label_info": "cmt_seg_ros/msg/ClassMap", "tracking/tracks": "cmt_seg_ros/msg/TrackArray"}


def typestore() -> Any:
    store = get_typestore(Stores.ROS2_KILTED)
    for path in sorted((ROOT / "msg").glob("*.msg")):
        store.register(get_types_from_msg(path.read_text(encoding="utf-8"), f"cmt_seg_ros/msg/{path.stem}"))
    return store


class Bag:
    """A bag whose frames are 100 ms apart; results arrive when told."""

    def __init__(self, out: Path, camera: str = "/camera") -> None:
        self.out, self.camera, self.store = out, camera, typestore()
        self.messages: list[tuple[int, str, Any]] = []
        self.rows = ["topic,stamp_ns,received_ns"]

    def header(self, index: int) -> Any:
        types = self.store.types
        stamp = divmod(START_NS + index * PERIOD_NS, 1_000_000_000)
        return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](*stamp), "lens")

    def add(self, index: int, topic: str, message: Any, age_ms: float = 0.0) -> None:
        received = START_NS + index * PERIOD_NS + round(age_ms * 1e6)
        name = topic if topic.startswith("/") else f"{self.camera}/{topic}"
        self.messages.append((received, name, message))
        if topic in ("segmentation/mask", "tracking/tracks"):
            self.rows.append(f"{name},{START_NS + index * PERIOD_NS},{received}")

    def image(self, index: int, topic: str, pixels: np.ndarray, age_ms: float = 0.0) -> None:
        height, width = pixels.shape
        encoding = "mono16" if pixels.dtype == np.uint16 else "mono8"
        data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
        make = self.store.types["sensor_msgs/msg/Image"]
        message = make(self.header(index), height, width, encoding, 0, pixels.strides[0], data)
        self.add(index, topic, message, age_ms)

    def labels(self, labels: LabelSet = CAMVID, model: str = "some-model") -> None:
        info = self.store.types["cmt_seg_ros/msg/ClassInfo"]
        classes = [info(c.id, c.name, *c.color, c.is_object) for c in labels.classes]
        self.add(
            0,
            "segmentation/label_info",
            self.store.types["cmt_seg_ros/msg/ClassMap"](self.header(0), model, 255, classes),
        )

    def tracks(self, index: int, tracks: list[tuple[int, str, int]], age_ms: float = 0.0) -> None:
        """Tracks as (id, class name, state)."""
        make = self.store.types["cmt_seg_ros/msg/Track"]
        made = [make(i, 8, name, state, 0, *[0.0] * 10, np.zeros(16)) for i, name, state in tracks]
        message = self.store.types["cmt_seg_ros/msg/TrackArray"](self.header(index), 8, 8, made)
        self.add(index, "tracking/tracks", message, age_ms)

    def diagnostics(self, index: int, values: dict[str, str]) -> None:
        types = self.store.types
        pairs = [types["diagnostic_msgs/msg/KeyValue"](k, v) for k, v in values.items()]
        status = types["diagnostic_msgs/msg/DiagnosticStatus"](0, "segmentation_node: camera", "", "", pairs)
        self.add(index, "/diagnostics", types["diagnostic_msgs/msg/DiagnosticArray"](self.header(index), [status]))

    def write(self) -> Path:
        with Writer(self.out / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections: dict[str, Any] = {}
            for received, name, message in self.messages:
                kind = message.__msgtype__
                if name not in connections:
                    connections[name] = writer.add_connection(name, kind, typestore=self.store)
                writer.write(connections[name], received, self.store.serialize_cdr(message, kind))
        (self.out / "arrivals.csv").write_text("\n".join(self.rows) + "\n")
        return self.out


def street(bag: Bag, frames: int = 10) -> None:
    """The clip of small_street, as its results arrive."""
    bag.labels()
    for i in range(frames - 1):
        left_id = left_track(i, frames)
        _, _, mask, objectness, tracked = images(left_id)
        bag.image(i, "segmentation/mask", mask, age_ms=20.0 + i)
        bag.image(i, "segmentation/objectness", objectness, age_ms=20.0)
        bag.image(i, "tracking/instances", tracked, age_ms=30.0)
        bag.tracks(i, [(left_id, "Car", 1), (12, "Car", 1), (98, "Car", 3), (99, "Car", 0)], age_ms=31.0)
    bag.diagnostics(5, {"received": "10", "inferred": "9", "dropped": "1", "device": "CPU"})
