"""Which files a bag has: a rosbag2 folder has one or several, named in its metadata.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems

METADATA = "metadata.yaml"
ROS1_SUFFIXES = (".bag", ".bag.active")
ROS2_SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")


def storage_files(path: Path, problems: Problems) -> list[Path]:
    """The files with the messages of a bag, in order: a rosbag2 folder may have several.

    Args:
        path: a rosbag2 folder, or a single file of a bag.
        problems: is told of files that are missing or that metadata.yaml does not name.

    Raises:
        SourceError: no such bag, or a folder without files of a bag.
    """
    if not path.exists():
        raise SourceError(f"bag {path} does not exist; give a rosbag2 folder, an .mcap, .db3 or ROS 1 .bag file")
    if path.is_file():
        return [path]
    there = sorted((p for p in path.iterdir() if p.name.endswith(ROS2_SUFFIXES)), key=_natural)
    stated = _metadata(path, problems).get("relative_file_paths")
    named = [path / Path(str(name)).name for name in stated] if isinstance(stated, list) else []
    for file in named:
        if file not in there:
            problems.add("damaged_bag", f"bag {path}: {file.name} is missing, {METADATA} names it")
    if not there:
        raise SourceError(f"bag {path} cannot be read: the folder has no file ending in {', '.join(ROS2_SUFFIXES)}")
    for file in there:
        if named and file not in named:
            problems.add("damaged_bag", f"bag {path}: {file.name} is read although {METADATA} does not name it")
    return [file for file in named if file in there] + [file for file in there if file not in named]


def _metadata(path: Path, problems: Problems) -> dict[str, Any]:
    """What a rosbag2 folder says of itself; nothing where that is missing or damaged."""
    try:
        loaded = yaml.safe_load((path / METADATA).read_text(encoding="utf-8"))
        found = loaded["rosbag2_bagfile_information"]
        if isinstance(found, dict):
            return found
        problem = "does not describe a bag"
    except OSError:
        problem = "is missing"
    except (yaml.YAMLError, ValueError, KeyError, TypeError):
        problem = "cannot be understood"
    problems.add("damaged_bag", f"bag {path}: {METADATA} {problem}; all files of the folder are read, by name")
    return {}


def check_count(path: Path, count: int, problems: Problems) -> None:
    """Say it if a rosbag2 folder states another number of messages than ``count``."""
    stated = _metadata(path, problems).get("message_count") if path.is_dir() else None
    if isinstance(stated, int) and stated != count:
        text = f"bag {path}: {METADATA} says that there are {stated} messages, the files have {count}"
        problems.add("damaged_bag", text)


def _natural(path: Path) -> list[str | int]:
    """Sorts bag_2 before bag_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
