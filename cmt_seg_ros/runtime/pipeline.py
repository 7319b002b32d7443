"""Frames in, masks out: the one object that the live node, bag replay and the command line share.

pipeline = Pipeline(SegmentationConfig(model="cmt-mchh-lite-camvid"))
for segmentation in pipeline.process([frame]):
...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, FrameError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.runtime.engine import Engine
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.smoothing import smooth
from cmt_seg_ros.structures import CHANNELS, Frame, Segmentation

MIN_SIDE_PX = 16


class Pipeline:
    """A verified model on a device.

    Args:
        config: model, device, thresholds, number of classes per pixel, smoothing.

    Raises:
        ModelError: the model package is missing or damaged.
        ConfigError: ``top_k`` is more than the model has classes.
        DeviceError: no device of the chain can run it.
    """

    def __init__(self, config: SegmentationConfig) -> None:
        self.config = config
        self.package = ModelPackage.load(config.model)
        if config.top_k > len(self.labels):
            raise ConfigError(
                f"segmentation.top_k is {config.top_k}; model {self.package.name} has {len(self.labels)} classes, "
                f"so it must be a number from 1 to {len(self.labels)}"
            )
        self.engine = Engine(self.package, config)

    @property
    def labels(self) -> LabelSet:
        """What the class ids in the masks mean."""
        return self.package.labels

    def process(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """Segment frames, in their order; several cameras, sizes and encodings may be mixed.

        Raises:
            FrameError: a frame cannot be used; none has been inferred then.
        """
        for frame in frames:
            check_frame(frame, self.config.max_image_px)
        results = self.engine.infer(frames)
        if self.config.smoothing == "none":
            return results
        return [replace(result, class_ids=smooth(result.class_ids, self.config)) for result in results]


def check_frame(frame: Frame, max_image_px: int) -> None:
    """Refuse pixels that the graph cannot take.

    Raises:
        FrameError: says what is wrong with which value, and what is allowed.
    """
    pixels, encoding = frame.pixels, frame.encoding
    if encoding not in CHANNELS:
        raise FrameError(f"encoding is {encoding!r}; supported: {', '.join(CHANNELS)}", "bad_encoding")
    height, width = frame.size
    if min(height, width) < MIN_SIDE_PX:
        raise FrameError(f"image is {width}x{height}; both sides must be {MIN_SIDE_PX} pixels or more", "bad_size")
    if height * width > max_image_px:
        raise FrameError(
            f"image is {width}x{height} = {height * width} pixels; max_image_px allows {max_image_px}; "
            "scale it down or raise the parameter",
            "too_large",
        )
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != np.uint8 or channels != CHANNELS[encoding]:
        raise FrameError(
            f"pixels are {pixels.dtype} with {channels} channels; {encoding} has uint8 and {CHANNELS[encoding]}",
            "malformed",
        )
