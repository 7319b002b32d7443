"""Places of ground truth: what the user named, or what lies beside the clip under its usual name."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.images.files import MASK_SUFFIXES, list_files
from cmt_seg_ros.labels import LabelSet, classes_beside
from cmt_seg_ros.sources.bag import BagSource
from cmt_seg_ros.sources.clip import Source
from cmt_seg_ros.sources.images import frames_of
from cmt_seg_ros.sources.truth.feeds import BoxFeed, FolderFeed, TopicFeed
from cmt_seg_ros.sources.truth.with_truth import WithTruth

CLASS_IDS, INSTANCES = "truth/class_ids", "truth/instances"
"""Topics of true masks, in the camera's namespace or without one."""

LABEL_FOLDER, INSTANCE_FOLDER = "labels", "instances"
"""Folders of true masks beside a folder called ``images``."""


def with_truth(
    source: Source,
    config: SourceConfig,
    truth_labels: LabelSet | None,
    default_labels: LabelSet,
    truth_classes: Collection[str] = (),
) -> WithTruth | None:
    """Give a clip its ground truth; None where none is named and none lies in its usual place.

    Args:
        source: the clip that ``config`` names.
        config: ``ground_truth``, ``instances`` and ``tolerance_ms`` are used.
        truth_labels: what class ids mean; None: what the classes.yaml of a folder's data set says.
        default_labels: what they mean where there is none.
        truth_classes: of true boxes the classes that count, lower case; none: as TrackEval has it.

    Raises:
        SourceError: there is not what ``config`` names.
        DatasetError: the classes.yaml of the labels' data set is not one of classes.
    """
    boxes = None
    if config.ground_truth and Path(config.ground_truth).is_file():
        boxes = BoxFeed(Path(config.ground_truth), source.problems, truth_classes)
    class_ids = None if boxes else _images(source, config, config.ground_truth, CLASS_IDS, LABEL_FOLDER)
    instances = _images(source, config, config.instances, INSTANCES, INSTANCE_FOLDER)
    if boxes is None and class_ids is None and instances is None:
        return None
    if truth_labels is None and isinstance(class_ids, FolderFeed):
        truth_labels = classes_beside(class_ids.folder)
    return WithTruth(source, class_ids, instances, boxes, truth_labels or default_labels)


def _images(source: Source, config: SourceConfig, named: str, topic: str, folder: str) -> FolderFeed | TopicFeed | None:
    """Open the label images of the place that is named or, if none is, of the usual topic or folder."""
    tolerance_ns, frames = round(config.tolerance_ms * 1e6), frames_of(config, len(source))
    if named and Path(named).is_dir():
        return FolderFeed(Path(named), frames, source, tolerance_ns)
    if isinstance(source, BagSource):
        used = named or _usual_topic(source, topic)
        if named and named not in source.image_topics:
            there = ", ".join(source.image_topics)
            raise SourceError(f"ground truth {named} is neither a folder nor a topic of bag {source.path}: {there}")
        return TopicFeed(source, used, tolerance_ns) if used else None
    if named:
        raise SourceError(f"ground truth {named} is not a folder; give a folder of label images, or for boxes a file")
    usual = _usual_folder(config, folder)
    return None if usual is None else FolderFeed(usual, frames, None, tolerance_ns)


def _usual_topic(source: BagSource, topic: str) -> str:
    """Find the topic in the camera's namespace or in none; empty: it is not there."""
    camera = source.topic.removesuffix("/compressed").rpartition("/")[0]
    return next((name for name in (f"{camera}/{topic}", f"/{topic}") if name in source.image_topics), "")


def _usual_folder(config: SourceConfig, folder: str) -> Path | None:
    """Find the folder beside ``images``, if it has label images."""
    images = Path(config.images).resolve()
    beside = images.parent / folder
    if not config.images or images.name != "images" or not beside.is_dir():
        return None
    return beside if list_files(beside, MASK_SUFFIXES) else None
