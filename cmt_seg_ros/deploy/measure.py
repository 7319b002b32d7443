"""Scores of a model as it is deployed: through the same pipeline object as the node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cmt_seg_ros.metrics.segmentation import confusion_matrix, iou_per_class, mean_iou, pixel_accuracy
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
    labels = pipeline.labels
    semantic = np.zeros((len(labels), len(labels) + 1), np.int64)
    binary = np.zeros((2, 3), np.int64)
    count = 0
    for image, truth in samples:
        result = pipeline.process([Frame("val", count, image)])[0]
        semantic += confusion_matrix(truth, result.class_ids, len(labels))
        is_object = np.where(truth == 255, 255, labels.is_object_lut[truth] // 255).astype(np.uint8)
        binary += confusion_matrix(is_object, result.objectness // 255, 2)
        count += 1
    return {
        "miou": round(mean_iou(semantic), 4),
        "pixel_accuracy": round(pixel_accuracy(semantic), 4),
        "objectness_iou": round(float(iou_per_class(binary)[1]), 4),
        "images": count,
        "iou": {name: round(float(v), 4) for name, v in zip(labels.names, iou_per_class(semantic), strict=True)},
    }
