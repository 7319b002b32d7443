"""Bag writer: the synthetic street in a bag of any length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame

WIDTH, HEIGHT, FPS, QUALITY = 480, 360, 15.0, 95
CYCLE = 300  # frames that are drawn; longer bags show them forwards and backwards again and again


def write_bag(path: Path, frames: int) -> Path:
    """Write a rosbag2 folder (MCAP): jpeg images, true class ids and true objects as topics."""
    store = get_typestore(Stores.ROS2_KILTED)
    types = {name: store.types[f"sensor_msgs/msg/{name}"] for name in ("Image", "CompressedImage")}
    make_header, make_time = store.types["std_msgs/msg/Header"], store.types["builtin_interfaces/msg/Time"]
    scene = StreetScene(WIDTH, HEIGHT, FPS, min(frames, CYCLE), seed=0)
    drawn = [_drawn(frame) for frame in track(scene, "drawing the street", transient=True)]
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {"image_raw/compressed": "CompressedImage", "truth/class_ids": "Image", "truth/instances": "Image"}
        connections = {
            name: writer.add_connection(f"/camera/{name}", types[kind].__msgtype__, typestore=store)
            for name, kind in topics.items()
        }
        for k in range(frames):
            stamp_ns = round(k * 1e9 / FPS)
            header = make_header(make_time(*divmod(stamp_ns, 10**9)), "lens")
            round_trip = k % (2 * len(drawn))
            jpeg, ids, objects = drawn[min(round_trip, 2 * len(drawn) - 1 - round_trip)]
            messages: dict[str, Any] = {
                "image_raw/compressed": types["CompressedImage"](header, "jpeg", jpeg),
                "truth/class_ids": types["Image"](header, HEIGHT, WIDTH, "mono8", 0, WIDTH, ids),
                "truth/instances": types["Image"](header, HEIGHT, WIDTH, "mono16", 0, 2 * WIDTH, objects),
            }
            for name, message in messages.items():
                writer.write(connections[name], stamp_ns, store.serialize_cdr(message, message.__msgtype__))
    return path


def _drawn(frame: Frame) -> tuple[Any, Any, Any]:
    """JPEG, class ids and object ids of a frame as bytes of messages."""
    jpeg = cv2.imencode(".jpg", frame.pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    assert frame.truth is not None and frame.truth.class_ids is not None  # a scene knows all
    ids, objects = frame.truth.class_ids, frame.truth.instance_ids
    return jpeg.ravel(), ids.ravel(), np.ascontiguousarray(objects).view(np.uint8).ravel()
