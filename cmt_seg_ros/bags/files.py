"""Files of bags: which bags a folder has, and which files a bag has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cmt_seg_ros.documents import read_yaml
from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.files import is_hidden, natural_key, refuse_lfs_pointer
from cmt_seg_ros.problems import Problems

METADATA = "metadata.yaml"
ROS1_SUFFIXES = (".bag", ".bag.active")
PACKED_SUFFIXES = (".zstd", ".lz4")
"""Of files that rosbag2 compressed as a whole, by its compression plugins."""

_STORAGE = (".mcap", ".db3")
ROS2_SUFFIXES = _STORAGE + tuple(storage + packed for storage in _STORAGE for packed in PACKED_SUFFIXES)
BAG_SUFFIXES = ROS1_SUFFIXES + ROS2_SUFFIXES
_MAX_METADATA_BYTES = 16_000_000  # of a bag that is split into tens of thousands of files


def bags_in(folder: str | Path, skip: str = "") -> list[Path]:
    """List all bags in a folder and the folders below it, by path; of a path that is a bag itself that one.

    Paths are in natural order: bag_2 before bag_10. Hidden files and folders are left out.

    A rosbag2 folder is one bag, whatever is in it: one with metadata.yaml or, as that is missing after a crash, with
    ``<name>.mcap`` or ``<name>_0.mcap`` (or .db3) for a folder called ``<name>``. Damaged bags are in the list.

    Args:
        folder: where to look.
        skip: folders that have a file of this name are left out, with all below them; empty: none are.

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
        if skip in names:
            below.clear()  # os.walk then goes no deeper
            continue
        below[:] = (name for name in below if not is_hidden(name))
        files = [Path(place) / name for name in sorted(names) if not is_hidden(name)]
        if _is_rosbag2(Path(place), files):
            bags.append(Path(place))
            below.clear()
        else:
            bags += [file for file in files if file.name.endswith(BAG_SUFFIXES)]
    return sorted(bags, key=lambda bag: [natural_key(part) for part in bag.parts])


def _is_rosbag2(folder: Path, files: list[Path]) -> bool:
    name = folder.resolve().name
    storage = [file.name.partition(".")[0] for file in files if file.name.endswith(ROS2_SUFFIXES)]
    return any(file.name == METADATA for file in files) or any(
        stem == name or (stem.startswith(f"{name}_") and stem[len(name) + 1 :].isdigit()) for stem in storage
    )


def storage_files(path: Path, problems: Problems) -> list[Path]:
    """List the files with the messages of a bag, in order: a rosbag2 folder may have several.

    Args:
        path: a rosbag2 folder, or a single file of a bag.
        problems: is told of files that are missing or that metadata.yaml does not name.

    Raises:
        SourceError: no such bag, or a folder without files of a bag, or a Git LFS pointer instead of a file.
    """
    if not path.exists():
        raise SourceError(f"bag {path} does not exist; give a rosbag2 folder, an .mcap, .db3 or ROS 1 .bag file")
    if path.is_file():
        refuse_lfs_pointer(path, SourceError)
        return [path]
    found = (p for p in path.iterdir() if p.name.endswith(ROS2_SUFFIXES) and not is_hidden(p.name))
    there = sorted(found, key=lambda file: natural_key(file.name))
    if not there:
        raise SourceError(f"bag {path} cannot be read: the folder has no file ending in {', '.join(ROS2_SUFFIXES)}")
    stated = _metadata(path, problems).get("relative_file_paths")
    named = [path / Path(str(name)).name for name in stated] if isinstance(stated, list) else []
    there = _without_twins(path, there, named, problems)
    for file in named:
        if file not in there:
            problems.add("damaged_bag", f"bag {path}: {file.name} is missing, {METADATA} names it")
    for file in there:
        refuse_lfs_pointer(file, SourceError)
        if named and file not in named:
            problems.add("damaged_bag", f"bag {path}: {file.name} is read although {METADATA} does not name it")
    return [file for file in named if file in there] + [file for file in there if file not in named]


def _without_twins(path: Path, there: list[Path], named: list[Path], problems: Problems) -> list[Path]:
    """Leave out of a compressed file and the same file unpacked the one that metadata.yaml does not name.

    Both are there if rosbag2 was killed while it compressed, or if somebody unpacked the file by hand.
    """
    twins = {packed: packed.with_suffix("") for packed in there if packed.suffix in PACKED_SUFFIXES}
    out = {plain if packed in named else packed for packed, plain in twins.items() if plain in there}
    for file in sorted(out):
        problems.note(f"bag {path}: {file.name} is not read: the same is there {'un' * (file in twins)}packed")
    return [file for file in there if file not in out]


def _metadata(path: Path, problems: Problems) -> dict[str, Any]:
    """Read what a rosbag2 folder says of itself; nothing where that is missing or damaged.

    A recorder writes it at the end. That it is missing is no damage: whatever a recorder that died has lost is found
    in the files.
    """
    try:
        loaded = read_yaml(path / METADATA, _MAX_METADATA_BYTES)
        found = loaded["rosbag2_bagfile_information"]
        if isinstance(found, dict):
            return found
        problem = "does not describe a bag"
    except FileNotFoundError:
        problems.note(f"bag {path}: {METADATA} is missing; all files of the folder are read, by name")
        return {}
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except (ConfigError, KeyError, TypeError):
        problem = "cannot be understood"
    problems.add("damaged_bag", f"bag {path}: {METADATA} {problem}; all files of the folder are read, by name")
    return {}


def check_count(path: Path, count: int, problems: Problems) -> None:
    """Report a rosbag2 folder that states another number of messages than ``count``."""
    stated = _metadata(path, problems).get("message_count") if path.is_dir() else None
    if isinstance(stated, int) and stated != count:
        text = f"bag {path}: {METADATA} says that there are {stated} messages, the files have {count}"
        problems.add("damaged_bag", text)
