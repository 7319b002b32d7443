"""What there is to evaluate: the cameras of a bag, the bags of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from cmt_seg_ros.bags.files import METADATA, ROS1_SUFFIXES, ROS2_SUFFIXES
from cmt_seg_ros.bags.messages import RAW, TYPES
from cmt_seg_ros.bags.storage import BagTopic, bag_topics
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems

ImageTopic = BagTopic
"""``name``, ``type`` ("sensor_msgs/msg/Image" or ".../CompressedImage") and ``count`` of messages of an image topic."""

_NOT_CAMERAS = (
    *("segmentation", "tracking", "truth", "depth", "aligned_depth_to_color", "compressedDepth", "theora"),
    *("label", "labels", "mask", "masks", "instances", "ground_truth"),
)
"""Names in topics of images that are no pictures of a camera."""

_COMPRESSED = "/compressed"
RESULTS_MARK = ".cmt-seg-results"
"""File in folders that cmt-seg evaluate wrote: the bags in them are results, no input."""


def image_topics(path: str | Path, problems: Problems | None = None) -> list[ImageTopic]:
    """The topics of a bag that are a camera's colour images, by name.

    Left out are what this package publishes (``segmentation/*``, ``tracking/*``, ``truth/*``), what is called a label
    or a mask, depth, topics without messages, and ``<topic>/compressed`` where ``<topic>`` has the same images raw.

    Args:
        path: as of :class:`~cmt_seg_ros.sources.BagSource`.
        problems: is told of each damage.

    Raises:
        SourceError: no such bag, or nothing in it can be read.
    """
    found = [t for t in bag_topics(Path(path), problems or Problems()) if t.type in TYPES and t.count]
    cameras = [t for t in found if _is_camera(t.name)]
    raw = {t.name for t in cameras if t.type == RAW}
    return [t for t in cameras if t.name.removesuffix(_COMPRESSED) not in raw or t.name in raw]


def bags_in(folder: str | Path) -> list[Path]:
    """All bags in a folder and the folders below it, by path; of a path that is a bag itself that one.

    A rosbag2 folder is one bag, whatever is in it: one with metadata.yaml or, as that is missing after a crash, with
    ``<name>.mcap`` or ``<name>_0.mcap`` (or .db3) for a folder called ``<name>``. Damaged bags are in the list, those
    in folders with results of cmt-seg evaluate are not.

    Raises:
        SourceError: no such folder.
    """
    folder = Path(folder)
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give a folder with bags, or a bag")
    bags: list[Path] = []
    for place, below, names in os.walk(folder):
        if RESULTS_MARK in names:
            below.clear()  # os.walk then goes no deeper
            continue
        files = [Path(place) / name for name in sorted(names)]
        if _is_rosbag2(Path(place), files):
            bags.append(Path(place))
            below.clear()
        else:
            bags += [file for file in files if file.name.endswith(ROS1_SUFFIXES + ROS2_SUFFIXES)]
    return sorted(bags)


def _is_camera(topic: str) -> bool:
    return not set(topic.split("/")) & set(_NOT_CAMERAS)


def _is_rosbag2(folder: Path, files: list[Path]) -> bool:
    name = folder.resolve().name
    storage = [file.name.partition(".")[0] for file in files if file.name.endswith(ROS2_SUFFIXES)]
    return any(file.name == METADATA for file in files) or any(
        stem == name or (stem.startswith(f"{name}_") and stem[len(name) + 1 :].isdigit()) for stem in storage
    )
