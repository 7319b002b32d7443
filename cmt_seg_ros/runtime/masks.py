"""Masks at the size of the image, made of a network's scores: one function for live, replay and imported models.

It runs on one thread, plane by plane: up-sampling all classes inside the network's graph costs five times as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.structures import U8, U16

# Fields of Segmentation that can be requested for a frame.
MASKS = ("class_ids", "objectness", "confidence", "top_ids", "top_scores")

F32 = npt.NDArray[np.float32]

_ONE = 65535  # a probability of 1 in uint16: OpenCV scales that type faster than float32, and 8 bits are too coarse
_CELL = np.ones((2, 2), np.uint8)
_MANY = 16  # classes; with fewer, looking for those that are nowhere possible costs more than it saves


def default_masks(config: SegmentationConfig) -> tuple[str, ...]:
    """Return all masks that a config asks for."""
    return MASKS if config.top_k > 1 else MASKS[:3]


def make_masks(
    probabilities: F32,
    object_probability: F32,
    size: tuple[int, int],
    masks: Sequence[str],
    config: SegmentationConfig,
) -> dict[str, U8]:
    """Up-sample scores to the size of the image, then take the best class of each pixel and apply the thresholds.

    Up-sampling is bilinear with half-pixel centres, as networks are trained. Of equal probabilities the class of the
    lower id is taken.

    Args:
        probabilities: (C, h, w) float32, 0-1, of up to 255 classes.
        object_probability: (h, w) float32, 0-1.
        size: (H, W) of the image.
        masks: which of :data:`MASKS` to make.
        config: thresholds and ``top_k``.

    Returns:
        Masks by name, in memory of their own: (H, W) uint8 ``class_ids`` (255 = unlabelled), ``objectness`` (0 or 255)
        and ``confidence`` (0-255 for 0-1); (k, H, W) uint8 ``top_ids`` and ``top_scores`` (0-255 for 0-1), most
        probable first, whatever the score threshold.
    """
    made: dict[str, U8] = {}
    if "top_ids" in masks or "top_scores" in masks:
        ids, scores = _top(_quantised(probabilities), size, config.top_k)
        best_ids, best = ids[0].copy(), scores[0]
        made.update(top_ids=ids, top_scores=np.stack([_as_u8(score) for score in scores]))
    elif "class_ids" in masks or "confidence" in masks:
        best_ids, best = _best(_quantised(probabilities), size)
    if "class_ids" in masks:
        if config.score_threshold > 0:
            below = cv2.compare(best, math.ceil(config.score_threshold * _ONE), cv2.CMP_LT)
            cv2.bitwise_or(best_ids, below, dst=best_ids)  # 255 is IGNORE_ID
        made["class_ids"] = best_ids
    if "confidence" in masks:
        made["confidence"] = _as_u8(best)
    if "objectness" in masks:
        plane = _scaled(_quantised(object_probability), size)
        made["objectness"] = cv2.compare(plane, math.floor(config.object_threshold * _ONE), cv2.CMP_GT)
    return {name: made[name] for name in masks}


def possible_classes(planes: U16) -> list[int]:
    """List the classes of (C, h, w) probabilities that may be the best one somewhere after bilinear up-sampling.

    Between four neighbours no class rises above its highest value there, nor falls below its lowest.
    """
    best = planes.max(axis=0)
    winners = [plane for plane in planes if _anywhere(plane, best)]
    # What some class reaches everywhere between a pixel and its neighbours.
    reached = np.maximum.reduce([cv2.erode(plane, _CELL) for plane in winners])
    floor = cv2.erode(reached, _CELL, anchor=(0, 0))
    return [k for k, plane in enumerate(planes) if _anywhere(plane, floor)]


def _anywhere(plane: U16, least: U16) -> bool:
    """Tell whether a plane reaches a value somewhere."""
    return bool(cv2.hasNonZero(cv2.compare(plane, least, cv2.CMP_GE)))


def _best(planes: U16, size: tuple[int, int]) -> tuple[U8, U16]:
    """Return the id and the probability of the best class of each pixel."""
    first, *others = possible_classes(planes) if len(planes) > _MANY else range(len(planes))
    best, ids = _scaled(planes[first], size), np.full(size, first, np.uint8)
    plane, above = np.empty_like(best), np.empty_like(ids)
    for k in others:
        _scaled(planes[k], size, plane)
        cv2.compare(plane, best, cv2.CMP_GT, dst=above)
        cv2.max(plane, best, dst=best)
        # Ids come in ascending order: the highest of those that were better than all before is the best.
        np.bitwise_and(above, np.uint8(k), out=above)
        cv2.max(ids, above, dst=ids)
    return ids, best


def _top(planes: U16, size: tuple[int, int], count: int) -> tuple[U8, U16]:
    """Return (k, H, W) ids and probabilities of the best classes of each pixel, the best first."""
    ids, scores = np.empty((count, *size), np.uint8), np.full((count, *size), -1, np.int32)
    for k, plane in enumerate(planes):
        score, number = _scaled(plane, size).astype(np.int32), np.full(size, k, np.uint8)
        placed = np.zeros(size, bool)
        for rank in range(count):
            placed |= score > scores[rank]  # from this rank on all move one further
            for kept, new in ((scores[rank], score), (ids[rank], number)):
                kept[placed], new[placed] = new[placed], kept[placed]
    return ids, scores.astype(np.uint16)


def _quantised(probabilities: F32) -> U16:
    return (probabilities * np.float32(_ONE) + np.float32(0.5)).astype(np.uint16)


def _scaled(plane: U16, size: tuple[int, int], into: U16 | None = None) -> U16:
    """Scale a plane to (H, W) in memory of its own, or into the given memory."""
    found: U16 = cv2.resize(plane, size[::-1], dst=into, interpolation=cv2.INTER_LINEAR)
    return found


def _as_u8(probability: U16) -> U8:
    found: U8 = cv2.convertScaleAbs(probability, alpha=255 / _ONE)
    return found
