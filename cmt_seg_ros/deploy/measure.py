"""Scores of a model as it is deployed: through the same pipeline object as the node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cmt_seg_ros.metrics.segmentation import MaskMeter
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import U8, Frame


def measure(pipeline: Pipeline, samples: Iterable[tuple[U8, U8]]) -> dict[str, Any]:
    """Score a pipeline on labelled images; one confusion matrix over all pixels.

    Args:
        pipeline: model on its device.
        samples: pairs of (H, W, 3) uint8 blue-green-red image and (H, W) uint8 class ids, 255 = ignored.

    Returns:
        ``miou``, ``pixel_accuracy``, ``objectness_iou``, ``images``, and ``iou`` by class name, all 0-1.
    """
    meter = MaskMeter(pipeline.labels)
    for number, (image, truth) in enumerate(samples):
        result = pipeline.process([Frame("val", number, image)])[0]
        meter.add(truth, result.class_ids, result.objectness)
    return meter.to_dict()
