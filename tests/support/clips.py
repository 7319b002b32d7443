"""Small clips with exact ground truth, and jobs that evaluate them with a tiny model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.evaluation.job import Job
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame
from support.recorded import typestore

SIZE = {"scene_width": 160, "scene_height": 96}


def scene(frames: int = 12, seed: int = 0) -> list[Frame]:
    """Frames of the synthetic street, 160x96."""
    return list(StreetScene(160, 96, 15.0, frames, seed))


def job(out: Path, model: str, frames: int = 12, **changes: Any) -> Job:
    """A job on the synthetic street."""
    segmentation = SegmentationConfig(model=model, device="CPU", drop_policy="none")
    return replace(Job("scene", str(out), SourceConfig(frames=frames, **SIZE), segmentation), **changes)


def write_bag(path: Path, frames: Sequence[Frame], stamps: Sequence[int] | None = None, topic: str = "/front") -> Path:
    """A bag with raw images, class ids and instance ids; of other stamps than the frames', if given."""
    store = typestore()
    make, header, time = (
        store.types[name] for name in ("sensor_msgs/msg/Image", "std_msgs/msg/Header", "builtin_interfaces/msg/Time")
    )
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        names = {
            "pixels": f"{topic}/image_raw",
            "ids": f"{topic}/truth/class_ids",
            "objects": f"{topic}/truth/instances",
        }
        connections = {k: writer.add_connection(n, make.__msgtype__, typestore=store) for k, n in names.items()}
        for number, frame in enumerate(frames):
            stamp = stamps[number] if stamps else frame.stamp_ns
            assert frame.truth is not None
            images = {"ids": (frame.truth.class_ids, "mono8"), "objects": (frame.truth.instance_ids, "mono16")}
            for key, (image, encoding) in {"pixels": (frame.pixels, "bgr8"), **images}.items():
                data = np.ascontiguousarray(image).view(np.uint8).ravel()
                of = header(time(*divmod(stamp, 10**9)), "lens")
                message = make(of, image.shape[0], image.shape[1], encoding, 0, data.size // image.shape[0], data)
                writer.write(connections[key], 1000 + number * 10**7, store.serialize_cdr(message, make.__msgtype__))
    return path
