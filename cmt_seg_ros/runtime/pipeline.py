"""Pipeline: frames in, masks out; the one object that the live node, bag replay and the command line share.

pipeline = Pipeline(SegmentationConfig(model="cmt-mchh-lite-camvid"))
for segmentation in pipeline.process([frame]):
...
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.encodings import ENCODINGS
from cmt_seg_ros.errors import ConfigError, FrameError
from cmt_seg_ros.images.decoder import check_area
from cmt_seg_ros.images.depth import Mono16Range
from cmt_seg_ros.images.pixels import check_pixels, decoded, promised_size
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.runtime.autotune import tuned
from cmt_seg_ros.runtime.engine import Engine
from cmt_seg_ros.runtime.masks import default_masks
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.smoothing import smooth
from cmt_seg_ros.structures import Frame, Segmentation

log = logging.getLogger(__name__)

MIN_SIDE_PX = 16


class Pipeline:
    """A verified model on a device; several threads may use it.

    A frame takes three steps: :meth:`check` when it is received, :meth:`prepare` when it is its turn,
    :meth:`segment`, alone or with others. :meth:`process` is all three.

    Args:
        config: model, device, thresholds, number of classes per pixel, smoothing.
        live: see :class:`engine.Engine`.
        warn: called with a sentence about a setting without effect, and about images that are probably darker than they
            should be, once a camera.

    Attributes:
        config: with the batch size and number of requests that autotune chose, if autotune was requested.
        tuning: the table that autotune made, as text; empty without autotune.

    Raises:
        ModelError: the model package is missing or damaged.
        ConfigError: ``top_k`` is more than the model has classes or can rank.
        DeviceError: no device of the chain can run it.
    """

    def __init__(
        self, config: SegmentationConfig, live: bool = False, warn: Callable[[str], None] = log.warning
    ) -> None:
        self.package = ModelPackage.load(config.model)
        if config.top_k > len(self.labels):
            raise ConfigError(
                f"segmentation.top_k is {config.top_k}; model {self.package.name} has {len(self.labels)} classes, "
                f"so it must be a number from 1 to {len(self.labels)}"
            )
        if not self.package.has_scores:
            what = "class ids without scores" if "class_ids" in self.package.outputs else "instances alone"
            if config.top_k > 1:
                raise ConfigError(
                    f"segmentation.top_k is {config.top_k}; model {self.package.name} gives {what}, so it must be 1"
                )
            for key, without in (("score_threshold", 0), ("gate_labels", "none")):
                if (value := getattr(config, key)) != without:
                    warn(f"{key} {value} has no effect: model {self.package.name} gives {what}")
        elif config.gate_labels == "background" and len(self.labels.object_ids) == len(self.labels):
            raise ConfigError(
                f"segmentation.gate_labels is 'background'; all classes of model {self.package.name} are objects, so "
                "it must be none or unlabelled"
            )
        self.config, self.tuning = tuned(self.package, config) if config.autotune else (config, "")
        self.engine = Engine(self.package, self.config, live)
        self._range = Mono16Range(config.mono16_range, warn)

    @property
    def labels(self) -> LabelSet:
        """What the class ids in the masks mean."""
        return self.package.labels

    def process(self, frames: Sequence[Frame], masks: Sequence[tuple[str, ...]] | None = None) -> list[Segmentation]:
        """Segment frames, in their order; several cameras, sizes and encodings may be mixed.

        Args:
            frames: of any supported encoding.
            masks: which of ``masks.MASKS`` to compute for each frame; None: all.

        Raises:
            FrameError: a frame cannot be used; none has been inferred then.
            DeviceError: inference failed.
        """
        masks = masks or [default_masks(self.config, self.package)] * len(frames)
        frames = [self.check(frame) for frame in frames]
        return self.segment([self.prepare(frame) for frame in frames], masks)

    def check(self, frame: Frame) -> Frame:
        """Refuse a frame that cannot be inferred, as far as that is known before it is decoded.

        Returns:
            The frame, with the bits that its values use.

        Raises:
            FrameError: says what is wrong with which value, and what is allowed.
        """
        check_pixels(frame)
        height, width = promised_size(frame)
        if not height or not width:  # refused here and not when it is decoded, before its stamp counts
            raise FrameError(f"{frame.pixels.size} bytes are no jpeg or png with a size in its header", "malformed")
        if min(height, width) < MIN_SIDE_PX:
            raise FrameError(f"image is {width}x{height}; both sides must be {MIN_SIDE_PX} pixels or more", "bad_size")
        check_area(height, width, self.config.max_image_px)
        return self._range.of(frame)

    def prepare(self, frame: Frame) -> Frame:
        """Decode a frame that was checked, if it is compressed.

        Args:
            frame: checked, and its network compiled, as far as its header tells the size.

        Raises:
            FrameError: it cannot be decoded; or it turns out to be of a size that cannot be inferred, or not yet
                (reason ``compiling``).
        """
        if not ENCODINGS[frame.encoding].compressed:
            return frame
        # 1. Decode.
        frame = self.check(decoded(frame, self.config.max_image_px))
        if not self.engine.ready(frame):
            height, width = frame.size
            raise FrameError(f"the network is being compiled for {width}x{height} {frame.encoding}", "compiling")
        return frame

    def segment(self, frames: Sequence[Frame], masks: Sequence[tuple[str, ...]]) -> list[Segmentation]:
        """Segment frames that :meth:`prepare` returned.

        Args:
            frames: in any order; those that the network sees at one size are one batch.
            masks: which of ``masks.MASKS`` to compute for each frame.

        Raises:
            DeviceError: inference failed.
            ModelError: the model gives something else than its package says.
        """
        # 2. Scale to the size of the network: pixels.write_pixels, straight into its input. In the compiled graph
        # (graph.build): 3. colours and normalisation, 4. network with fused classification. Of its scores
        # (masks.make_masks): 5. up-sampling to the size of the image, 6. best classes and thresholds.
        found = self.engine.infer(frames, masks)
        results = [
            Segmentation(f.camera, f.stamp_ns, frame_id=f.frame_id, name=f.name, **m)
            for f, m in zip(frames, found, strict=True)
        ]
        # 7. Smooth the class ids, if configured.
        return results if self.config.smoothing == "none" else list(map(self._smoothed, results))

    def _smoothed(self, result: Segmentation) -> Segmentation:
        """Smooth the class ids; an object keeps its one class."""
        smoothed, ids = smooth(result.class_ids, self.config), result.instance_ids
        return replace(result, class_ids=smoothed if ids is None else np.where(ids > 0, result.class_ids, smoothed))
