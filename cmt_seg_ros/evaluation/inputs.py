"""Inputs: the sequences that a user's paths stand for: bags with one or several cameras, folders, videos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cmt_seg_ros.bags.files import BAG_SUFFIXES, bags_in
from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.evaluation.folder import RESULTS_MARK
from cmt_seg_ros.images.files import list_files
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.bag import camera_topics

SCENE = "scene"


@dataclass(frozen=True)
class Input:
    """A sequence: its name and where its frames come from; ``error`` says why there are none."""

    name: str
    source: SourceConfig
    error: str = ""


def find_inputs(paths: Sequence[str], topics: Sequence[str], common: SourceConfig) -> list[Input]:
    """Find the sequences of bags, folders of bags, folders of images and videos.

    Args:
        paths: as the user gives them; "scene" is the synthetic street.
        topics: of bags: these alone; none: all topics that look like cameras.
        common: everything else about the sources; in the places of ground truth {name} stands for the sequence's name
            and {camera} for the namespace of its topic, such as /front.

    Returns:
        The sequences, with names that are all different and can be names of folders. A bag that cannot be
        opened is among them with its error.

    Raises:
        ConfigError: a path is missing, nothing in it can be evaluated, or one ground truth is given for several.
    """
    found: list[Input] = []
    for path in paths:
        found += _inputs(path, topics, common)
    if len(found) > 1 and any(Path(place).exists() for place in (common.ground_truth, common.instances) if place):
        _check_truth(common, ("{name}",), f"there are {len(found)} sequences")
    return [replace(one, source=absolute(_filled(one.source, "{name}", one.name))) for one in _distinct(found)]


def absolute(source: SourceConfig) -> SourceConfig:
    """Return the source with absolute paths; what is no file or folder may be a topic and stays."""
    names = ("video", "images", "bag", "ground_truth", "instances")
    paths = {name: Path(getattr(source, name)).expanduser() for name in names if getattr(source, name)}
    found: dict[str, Any] = {name: str(path.resolve()) for name, path in paths.items() if path.exists()}
    return replace(source, **found)


def _inputs(text: str, topics: Sequence[str], common: SourceConfig) -> list[Input]:
    path = Path(text).expanduser()
    if text == SCENE and not path.exists():
        return [Input(SCENE, common)]
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a bag, a folder of bags or of images, or a video")
    if path.is_file() and not path.name.lower().endswith(BAG_SUFFIXES):
        return [Input(path.stem, replace(common, video=str(path)))]
    bags = bags_in(path, skip=RESULTS_MARK)
    if bags:
        return [one for bag in bags for one in _of_bag(bag, path, topics, common)]
    if list_files(path):
        return [Input(_folder_name(path), replace(common, images=str(path)))]
    raise ConfigError(f"{path} has neither bags (.mcap, .db3, .bag) nor images; give another folder")


def _of_bag(bag: Path, root: Path, topics: Sequence[str], common: SourceConfig) -> list[Input]:
    short = bag if bag.is_dir() else bag.with_name(bag.name.partition(".")[0])
    name = short.name if bag == root else str(short.relative_to(root))
    source = replace(common, bag=str(bag))
    try:
        known = [] if topics else [topic.name for topic in camera_topics(bag, Problems())]
    except SourceError as error:
        return [Input(name, source, str(error))]
    chosen = list(topics) or [topic for topic in known if topic not in (common.ground_truth, common.instances)]
    if not chosen:
        return [Input(name, source, f"bag {bag} has no topic with camera images besides {', '.join(known)}")]
    several = len(chosen) > 1
    if several:
        _check_truth(common, ("{camera}", "{name}"), f"bag {bag} has the cameras {', '.join(chosen)}")
    found = []
    for topic in chosen:
        space = topic.removesuffix("/compressed").rpartition("/")[0]
        of_camera = _filled(replace(source, bag_topic=topic), "{camera}", space)
        found.append(Input(f"{name}_{_camera(topic)}" if several else name, of_camera))
    return found


def _check_truth(common: SourceConfig, words: Sequence[str], why: str) -> None:
    """Refuse one ground truth for several sequences.

    Raises:
        ConfigError: one of its places has none of the words.
    """
    for place in (common.ground_truth, common.instances):
        if place and not any(word in place for word in words):
            raise ConfigError(f"ground truth {place} is one, but {why}; write {' or '.join(words)} for what differs")


def _filled(source: SourceConfig, word: str, text: str) -> SourceConfig:
    """Return the source with a word in the places of its ground truth, such as {name}, replaced."""
    truth, instances = (place.replace(word, text) for place in (source.ground_truth, source.instances))
    return replace(source, ground_truth=truth, instances=instances)


def _folder_name(path: Path) -> str:
    """Return the name of a folder; of data sets the folder ``images`` says nothing, so that of its parent."""
    path = path.resolve()
    return path.parent.name if path.name == "images" and path.parent.name else path.name


def _camera(topic: str) -> str:
    """Return the camera of a topic such as /front/image_raw/compressed."""
    parts = [p for p in topic.split("/") if p and p not in ("image_raw", "image", "compressed")]
    return "_".join(parts) or "camera"


def _distinct(inputs: list[Input]) -> list[Input]:
    """Give each input a name of its own that can be the name of a folder."""
    used: set[str] = set()
    named = []
    for one in inputs:
        name = base = re.sub(r"[^\w.-]+", "_", one.name).strip("._") or "sequence"
        number = 2
        while name in used:
            name, number = f"{base}_{number}", number + 1
        used.add(name)
        named.append(replace(one, name=name))
    return named
