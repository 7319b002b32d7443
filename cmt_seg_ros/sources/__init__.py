"""Iterators of Frame that need no ROS: video files, folders of images, bags, a synthetic street."""

from __future__ import annotations

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.sources.bag import BagSource
from cmt_seg_ros.sources.clip import DEFAULT_FPS, Clip, Source
from cmt_seg_ros.sources.images import ImageFolderSource
from cmt_seg_ros.sources.scene import StreetScene
from cmt_seg_ros.sources.video import VideoSource

__all__ = ["BagSource", "Clip", "ImageFolderSource", "Source", "StreetScene", "VideoSource", "open_source"]

SCENE_FRAMES = 300


def open_source(config: SourceConfig, camera: str = "camera") -> Clip:
    """Open what a configuration names; the synthetic street when it names nothing.

    Args:
        config: ``video``, ``images`` or ``bag``, and ``fps`` and ``frames``. ``loop`` and
            ``drop_policy`` are for who plays the clip.
        camera: name the frames carry.

    Raises:
        SourceError: it is missing, or nothing in it can be read.
    """
    if config.video:
        return Clip(VideoSource(config.video, camera), config.fps, config.frames)
    if config.images:
        return Clip(ImageFolderSource(config.images, config.fps or DEFAULT_FPS, camera), config.fps, config.frames)
    if config.bag:
        return Clip(BagSource(config.bag, config.bag_topic, camera), config.fps, config.frames)
    return Clip(_Scene(config, camera))


class _Scene(StreetScene):
    """The street under a name; its rate is set when it is built, as other traffic then moves between frames."""

    def __init__(self, config: SourceConfig, camera: str) -> None:
        super().__init__(
            config.scene_width,
            config.scene_height,
            config.fps or DEFAULT_FPS,
            config.frames or SCENE_FRAMES,
            config.scene_seed,
            camera,
        )
        self.name = f"synthetic street, seed {config.scene_seed}"
