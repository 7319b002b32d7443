"""Masks at the size of the image, made of a network's scores: one function for live, replay and imported models.

It runs on one thread, plane by plane: up-sampling all classes inside the network's graph costs five times as much.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.runtime.fusion import fuse
from cmt_seg_ros.runtime.instances import find_instances, masks_of_instances
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import U8, U16

# Fields of Segmentation that can be requested for a frame.
MASKS = ("class_ids", "objectness", "confidence", "top_ids", "top_scores", "instance_ids", "edges", "distance")

_ONE = 65535  # a probability of 1 in uint16: OpenCV scales that type faster than float32, and 8 bits are too coarse
_TOLERANCE = 0.02  # beyond 0-1: sums of rounded probabilities
_CELL = np.ones((2, 2), np.uint8)
_MANY = 16  # classes; with fewer, looking for those that are nowhere possible costs more than it saves


def default_masks(config: SegmentationConfig, package: ModelPackage) -> tuple[str, ...]:
    """Return all masks that a config asks for and a model can give."""
    masks = MASKS[:2] if "class_ids" in package.outputs else MASKS[:3]
    top = MASKS[3:5] if config.top_k > 1 else ()
    instances = ("instance_ids",) if package.has_instances else ()
    return *masks, *top, *instances, *(name for name in ("edges", "distance") if name in package.outputs)


def make_masks(
    outputs: Mapping[str, npt.NDArray[Any]],
    size: tuple[int, int],
    masks: Sequence[str],
    config: SegmentationConfig,
    labels: LabelSet,
) -> dict[str, Any]:
    """Up-sample scores to the size of the image, then take the best class of each pixel and apply the thresholds.

    Up-sampling is bilinear with half-pixel centres, as networks are trained. Of equal probabilities the class of the
    lower id is taken. Class ids without scores are repeated (nearest neighbour). Of a network that gives instances
    alone, a pixel has the class of its instance; where it gives both, they are fused (:func:`fusion.fuse`).

    Args:
        outputs: of the network for one image, by name: ``probabilities`` (C, h, w) float32, 0-1, or ``class_ids``
            (h, w) uint8; ``object_probability`` (1, h, w) float32, 0-1; without it the probabilities of the object
            classes are added up; ``edges`` and ``distance`` (1, h, w) float32, 0-1; those of
            :func:`instances.find_instances`.
        size: (H, W) of the image.
        masks: which of :data:`MASKS` to make; those of outputs that the network does not have are left out.
        config: thresholds and ``top_k``.
        labels: the network's classes.

    Returns:
        Masks by name, in memory of their own: (H, W) uint8 ``class_ids`` (255 = unlabelled), ``objectness`` (0 or 255)
        and ``confidence``, ``edges`` and ``distance`` (0-255 for 0-1); (k, H, W) uint8 ``top_ids`` and ``top_scores``
        (0-255 for 0-1), most probable first, whatever the score threshold; (H, W) uint16 ``instance_ids``, and with it
        ``instances``, a tuple.

    Raises:
        ModelError: scores are not finite, or no probabilities; see also :func:`instances.find_instances`.
    """
    made: dict[str, Any] = {
        name: _as_u8(_scaled(_quantised(outputs, name)[0], size))
        for name in ("edges", "distance")
        if name in masks and name in outputs
    }
    has_classes = "probabilities" in outputs or "class_ids" in outputs
    needed = {*masks, "class_ids"} if "boxes" in outputs and "instance_ids" in masks else set(masks)
    if "probabilities" in outputs:
        made.update(_of_scores(outputs, size, needed, config, labels))
    elif "class_ids" in outputs:
        made.update(_of_class_ids(outputs["class_ids"], size, labels))
    if "boxes" in outputs and ("class_ids" in needed or not has_classes):
        ids, instances = find_instances(outputs, size, config.instance_threshold, len(labels))
        if has_classes:
            made["class_ids"], ids, instances = fuse(made["class_ids"], ids, instances, labels)
        else:
            made.update(masks_of_instances(ids, instances, labels))
        made.update(instance_ids=ids, instances=instances)
    wanted = (*masks, "instances") if "instance_ids" in masks else masks
    return {name: made[name] for name in wanted if name in made}


def _of_scores(
    outputs: Mapping[str, npt.NDArray[Any]],
    size: tuple[int, int],
    masks: Collection[str],
    config: SegmentationConfig,
    labels: LabelSet,
) -> dict[str, U8]:
    """Make the masks of a network that gives the probability of each class."""
    made: dict[str, U8] = {}
    gated = config.gate_labels != "none" and "class_ids" in masks
    if "top_ids" in masks or "top_scores" in masks:
        ids, scores = _top(_quantised(outputs, "probabilities"), size, config.top_k)
        best_ids, best = ids[0].copy(), scores[0]
        made.update(top_ids=ids, top_scores=np.stack([_as_u8(score) for score in scores]))
    elif "class_ids" in masks or "confidence" in masks:
        best_ids, best = _best(_quantised(outputs, "probabilities"), size)
    if "confidence" in masks:
        made["confidence"] = _as_u8(best)
    if "objectness" in masks or gated:
        plane = _scaled(_objects(outputs, labels), size)
        made["objectness"] = cv2.compare(plane, math.floor(config.object_threshold * _ONE), cv2.CMP_GT)
    if gated and config.gate_labels == "background":
        others = [c.id for c in labels.classes if not c.is_object]
        ids, scores = _best(_quantised({"probabilities": outputs["probabilities"][others]}, "probabilities"), size)
        nowhere = made["objectness"] == 0
        best_ids[nowhere] = np.array(others, np.uint8)[ids[nowhere]]
        best = np.where(nowhere, scores, best)
    elif gated:
        cv2.bitwise_or(best_ids, cv2.bitwise_not(made["objectness"]), dst=best_ids)  # 255 is IGNORE_ID
    if "class_ids" in masks:
        if config.score_threshold > 0:
            below = cv2.compare(best, math.ceil(config.score_threshold * _ONE), cv2.CMP_LT)
            cv2.bitwise_or(best_ids, below, dst=best_ids)  # 255 is IGNORE_ID
        made["class_ids"] = best_ids
    return made


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


def _of_class_ids(class_ids: U8, size: tuple[int, int], labels: LabelSet) -> dict[str, U8]:
    """Make the masks of a network that gives no scores; ids that are no class become unlabelled."""
    known = np.full(256, IGNORE_ID, np.uint8)
    known[: len(labels)] = np.arange(len(labels))
    ids = cv2.resize(cv2.LUT(class_ids, known), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return {"class_ids": ids, "objectness": cv2.LUT(ids, labels.is_object_lut)}


def _objects(outputs: Mapping[str, npt.NDArray[Any]], labels: LabelSet) -> U16:
    """Return (h, w) probabilities of object: the network's own, else the sum of its object classes."""
    if "object_probability" in outputs:
        return _quantised(outputs, "object_probability")[0]
    added = outputs["probabilities"][list(labels.object_ids)].sum(axis=0, keepdims=True)
    return _quantised({"probabilities": np.minimum(added, 1)}, "probabilities")[0]


def _quantised(outputs: Mapping[str, npt.NDArray[Any]], name: str) -> U16:
    """Return (C, h, w) probabilities in uint16.

    Raises:
        ModelError: they are none.
    """
    given = outputs[name]
    low, high = given.min(), given.max()
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # NaN, too
        raise ModelError(
            f"output {name} has values from {low:.3g} to {high:.3g}; probabilities are 0 to 1 (cmt-seg import makes "
            "them of raw scores)"
        )
    rows = np.ascontiguousarray(given).reshape(-1, given.shape[-1])
    found: U16 = cv2.multiply(rows, float(_ONE), dtype=cv2.CV_16U).reshape(given.shape)
    return found


def _scaled(plane: U16, size: tuple[int, int], into: U16 | None = None) -> U16:
    """Scale a plane to (H, W) in memory of its own, or into the given memory."""
    found: U16 = cv2.resize(plane, size[::-1], dst=into, interpolation=cv2.INTER_LINEAR)
    return found


def _as_u8(probability: U16) -> U8:
    found: U8 = cv2.convertScaleAbs(probability, alpha=255 / _ONE)
    return found
