"""Input of cmt-seg track: boxes or masks, and the images that belong to them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat

import cv2
import numpy as np

from cmt_seg_ros.cli.console import say
from cmt_seg_ros.cli.terminal import MASK_CLASSES, class_list
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.masks import OBJECT, MaskFolder, MaskFrame
from cmt_seg_ros.sources.motchallenge import read_detections
from cmt_seg_ros.sources.pictures import Pictures
from cmt_seg_ros.structures import U8, Segment, Segmentation, Track
from cmt_seg_ros.tracking.tracker import Tracker


@dataclass(frozen=True, eq=False)
class Step:
    """What is known of one frame: masks, or boxes with the (height, width) of the image; its picture, where given."""

    name: str
    stamp_ns: int
    size: tuple[int, int]
    segmentation: Segmentation | None = None
    segments: Sequence[Segment] = ()
    image: U8 | None = None

    def track(self, tracker: Tracker) -> list[Track]:
        """Update a tracker with this frame; return its tracks."""
        if self.segmentation is not None:
            return tracker.update(self.segmentation, self.image)
        return tracker.update_segments(self.segments, self.stamp_ns, self.size, self.image)

    def picture(self) -> U8:
        """Return (H, W, 3) uint8 to draw on: the image, else the objects in grey."""
        if self.image is not None:
            return self.image
        grey = np.full(self.size, 40, np.uint8)
        if self.segmentation is not None and self.segmentation.objectness is not None:
            grey[self.segmentation.objectness != 0] = 110
        return cv2.merge([grey] * 3).astype(np.uint8, copy=False)


def open_boxes(args: argparse.Namespace, problems: Problems) -> tuple[LabelSet, list[str], Iterator[Step]]:
    """Return classes, names of the frames, and the frames of --detections; notes lines that cannot be used."""
    if args.size is None:
        raise ConfigError(
            "--size is missing; boxes do not say how large the images are. Give WIDTHxHEIGHT, e.g. 640x480"
        )
    if args.labels or args.mask_classes:
        raise ConfigError("--labels and --mask-classes belong to --masks; boxes have no class ids")
    boxes, pictures = read_detections(args.detections, problems), _pictures(args)
    count = args.frames or max(boxes, default=0 if pictures is None else len(pictures))
    if pictures is not None and len(pictures) < count:
        raise ConfigError(f"{pictures.path} has {len(pictures)} frames, {count} are needed; see --frames")
    if pictures is not None:
        pictures.number(count)
    images = repeat((None, None)) if pictures is None else pictures.first(count, args.size)
    names = [f"{number:06d}" for number in range(1, count + 1)]
    return OBJECT, names, _box_steps(boxes, names, args.fps, args.size, images)


def _box_steps(
    boxes: dict[int, list[Segment]],
    names: Sequence[str],
    fps: float,
    size: tuple[int, int],
    images: Iterator[tuple[U8 | None, int | None]],
) -> Iterator[Step]:
    """Yield the frames of a detections file, those without boxes too; without a rate at the times of the images."""
    for place, (name, (image, own_ns)) in enumerate(zip(names, images, strict=False)):
        stamp_ns = own_ns if own_ns is not None and not fps else round(place * 1e9 / fps)
        yield Step(name, stamp_ns, size, segments=boxes.get(place + 1, ()), image=image)


def open_masks(args: argparse.Namespace) -> tuple[LabelSet, list[str], Iterator[Step]]:
    """Return classes, names of the frames, and the frames of --masks."""
    if args.size is not None:
        raise ConfigError("--size belongs to --detections; masks have their own size")
    labels = class_list(args.mask_classes, MASK_CLASSES)
    if args.labels and labels == OBJECT:
        raise ConfigError("--labels has class ids, which are not binary; give what they mean: --mask-classes")
    masks = MaskFolder(args.masks, args.fps, class_ids=args.labels, pictures=_pictures(args), labels=labels)
    say(f"masks: {masks.told}")
    names = masks.names[: args.frames or None]
    return masks.labels, names, islice(map(_mask_step, masks), len(names))


def _mask_step(frame: MaskFrame) -> Step:
    masks = frame.segmentation
    height, width = masks.class_ids.shape
    return Step(masks.name, masks.stamp_ns, (height, width), segmentation=masks, image=frame.image)


def _pictures(args: argparse.Namespace) -> Pictures | None:
    path = args.images or args.video
    return None if path is None else Pictures(path)
