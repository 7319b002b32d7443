"""Frames in, masks out: the one object that the live node, bag replay and the command line share.

pipeline = Pipeline(SegmentationConfig(model="cmt-mchh-lite-camvid"))
for segmentation in pipeline.process([frame]):
...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, FrameError
from cmt_seg_ros.images.pixels import check_area, check_pixels, decoded, promised_size
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.runtime.autotune import tuned
from cmt_seg_ros.runtime.engine import Engine, default_masks
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.smoothing import smooth
from cmt_seg_ros.structures import Frame, Segmentation

MIN_SIDE_PX = 16


class Pipeline:
    """A verified model on a device; several threads may use it.

    Args:
        config: model, device, thresholds, number of classes per pixel, smoothing.
        live: see :class:`engine.Engine`.

    Attributes:
        config: with batch size and number of requests as autotune chose them, if it was asked to.
        tuning: the table that autotune made, as text; empty without.

    Raises:
        ModelError: the model package is missing or damaged.
        ConfigError: ``top_k`` is more than the model has classes.
        DeviceError: no device of the chain can run it.
    """

    def __init__(self, config: SegmentationConfig, live: bool = False) -> None:
        self.package = ModelPackage.load(config.model)
        if config.top_k > len(self.labels):
            raise ConfigError(
                f"segmentation.top_k is {config.top_k}; model {self.package.name} has {len(self.labels)} classes, "
                f"so it must be a number from 1 to {len(self.labels)}"
            )
        self.config, self.tuning = tuned(self.package, config) if config.autotune else (config, "")
        self.engine = Engine(self.package, self.config, live)

    @property
    def labels(self) -> LabelSet:
        """What the class ids in the masks mean."""
        return self.package.labels

    def ready(self, frame: Frame, masks: tuple[str, ...]) -> bool:
        """Live: whether the network is compiled for a checked frame; if not, that has begun now.

        True also for a frame that never will be; :meth:`prepare` says why.
        """
        try:
            return self.engine.ready(frame, masks)
        except Exception:  # whatever it is, prepare meets it again, and there it is counted
            return True

    def prepare(self, frame: Frame, masks: tuple[str, ...]) -> Frame:
        """Decode a frame if it is compressed, and check it; live: also that the network is compiled for it.

        Raises:
            FrameError: it cannot be used, or not yet (reason ``compiling``).
        """
        frame = self._decoded(frame)
        if self.engine.live and not self.engine.ready(frame, masks):
            height, width = frame.size
            raise FrameError(f"the network is being compiled for {width}x{height} {frame.encoding}", "compiling")
        return frame

    def process(self, frames: Sequence[Frame], masks: Sequence[tuple[str, ...]] | None = None) -> list[Segmentation]:
        """Segment frames, in their order; several cameras, sizes and encodings may be mixed.

        Args:
            frames: of any supported encoding.
            masks: which of ``graph.MASKS`` are wanted of each frame; None: all.

        Raises:
            FrameError: a frame cannot be used; none has been inferred then.
            DeviceError: inference failed.
        """
        good = [self._decoded(frame) for frame in frames]
        return self.segment(good, masks or [default_masks(self.config)] * len(good))

    def segment(self, frames: Sequence[Frame], masks: Sequence[tuple[str, ...]]) -> list[Segmentation]:
        """As :meth:`process`, for frames that :meth:`prepare` returned.

        Raises:
            DeviceError: inference failed.
        """
        found = self.engine.infer(frames, masks)
        results = [
            Segmentation(f.camera, f.stamp_ns, frame_id=f.frame_id, name=f.name, **m)
            for f, m in zip(frames, found, strict=True)
        ]
        if self.config.smoothing == "none":
            return results
        return [replace(result, class_ids=smooth(result.class_ids, self.config)) for result in results]

    def check(self, frame: Frame) -> None:
        """Refuse a frame that cannot be inferred, as far as one can tell before decoding it.

        Raises:
            FrameError: says what is wrong with which value, and what is allowed.
        """
        check_pixels(frame)
        height, width = promised_size(frame)
        if height and min(height, width) < MIN_SIDE_PX:
            raise FrameError(f"image is {width}x{height}; both sides must be {MIN_SIDE_PX} pixels or more", "bad_size")
        check_area(height, width, self.config.max_image_px)

    def _decoded(self, frame: Frame) -> Frame:
        self.check(frame)
        return decoded(frame, self.config.max_image_px)
