"""Iterators of Frame that need no ROS: video files, folders of images, bags, a synthetic street."""

from __future__ import annotations

from collections.abc import Collection

from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.labels import CAMVID, LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.bag import BagSource
from cmt_seg_ros.sources.clip import DEFAULT_FPS, Clip, Source
from cmt_seg_ros.sources.images import ImageFolderSource
from cmt_seg_ros.sources.truth.places import with_truth
from cmt_seg_ros.sources.truth.with_truth import WithTruth
from cmt_seg_ros.sources.video import VideoSource
from cmt_seg_ros.street import StreetScene

__all__ = [
    "BagSource",
    "Clip",
    "ImageFolderSource",
    "Problems",
    "Source",
    "StreetScene",
    "VideoSource",
    "WithTruth",
    "open_source",
]

SCENE_FRAMES = 300


def open_source(
    config: SourceConfig,
    camera: str = "camera",
    truth_labels: LabelSet | None = None,
    problems: Problems | None = None,
    max_image_px: int = SegmentationConfig.max_image_px,
    truth_classes: Collection[str] = (),
    default_labels: LabelSet = CAMVID,
) -> Clip:
    """Open what a configuration names, with its ground truth; the synthetic street when it names nothing.

    Args:
        config: ``video``, ``images`` or ``bag``, and ``fps`` and ``frames``; ``ground_truth``, ``instances`` and
            ``tolerance_ms``. ``loop`` and ``drop_policy`` are for whoever plays the clip.
        camera: name the frames carry.
        truth_labels: what the class ids of the ground truth mean; None: what the classes.yaml of the labels' data set
            says. The street has its own.
        problems: is told of all that is wrong with the clip and its ground truth.
        max_image_px: image files and compressed images of more pixels are not decoded.
        truth_classes: of true boxes the classes that count, lower case; none: as TrackEval has it.
        default_labels: what true class ids mean where nothing says it.

    Raises:
        SourceError: it is missing, or nothing in it can be read.
    """
    source = _open_clip(config, camera, problems or Problems(), max_image_px)
    return Clip(
        with_truth(source, config, truth_labels, default_labels, truth_classes) or source, config.fps, config.frames
    )


def _open_clip(config: SourceConfig, camera: str, problems: Problems, max_image_px: int) -> Source:
    """Open the clip at its own rate."""
    if config.video:
        return VideoSource(config.video, camera, problems)
    if config.images:
        return ImageFolderSource(config.images, config.fps or DEFAULT_FPS, camera, problems, max_image_px)
    if config.bag:
        return BagSource(config.bag, config.bag_topic, camera, problems, max_image_px)
    return _Scene(config, camera, problems)


class _Scene(StreetScene):
    """The street under a name; its rate is set when it is built, as other traffic then moves between frames."""

    def __init__(self, config: SourceConfig, camera: str, problems: Problems) -> None:
        super().__init__(
            config.scene_width,
            config.scene_height,
            config.fps or DEFAULT_FPS,
            config.frames or SCENE_FRAMES,
            config.scene_seed,
            camera,
        )
        self.name = f"synthetic street, seed {config.scene_seed}"
        self.problems, self.lost = problems, dict[int, str]()
