"""Scores of a deployed model, measured through the same pipeline object as the node uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cmt_seg_ros.metrics.segmentation import MaskMeter
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import U8, Frame


def measure(pipeline: Pipeline, samples: Iterable[tuple[U8, U8]]) -> dict[str, Any]:
    """Score a pipeline on labelled images; one confusion matrix over all pixels.

    Args:
        pipeline: model on its device.
        samples: pairs of (H, W, 3) uint8 blue-green-red image and (H, W) uint8 class ids, 255 = ignored.

    Returns:
        The dict of ``MaskMeter.to_dict``: ``miou``, ``pixel_accuracy``, ``iou`` by class name and others, all 0-1.
    """
    meter = MaskMeter(pipeline.labels)
    for image, truth in samples:
        result = pipeline.process([Frame("val", 0, image)])[0]
        meter.add(truth, result.class_ids, result.objectness)
    return meter.to_dict()


def agreement(one: Pipeline, other: Pipeline, images: Iterable[U8]) -> float:
    """Return the share of all pixels, 0-1, that two pipelines label alike.

    Args:
        one: model on its device.
        other: another with the same classes.
        images: (H, W, 3) uint8 blue-green-red each, at least one.
    """
    equal = pixels = 0
    for image in images:
        masks = [p.process([Frame("val", 0, image)])[0].class_ids for p in (one, other)]
        equal += int(np.count_nonzero(masks[0] == masks[1]))
        pixels += masks[0].size
    return equal / pixels
