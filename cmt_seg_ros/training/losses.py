"""Losses of the tasks, for labels that are classes or unions of classes, with the targets that each needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import U8
from cmt_seg_ros.training.datasets import AS_LABELS, Sample

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LabelMeaning:
    """What labels stand for and how much they count.

    Attributes:
        sets: for each label, the classes it stands for (see LabelSpace).
        object_ids: ids of the object classes.
        class_weights: weight of each class; empty: all 1. A union has its classes' mean.
        boundary_weight: extra weight of pixels within 2 pixels of a class boundary; 0 = none.
    """

    sets: Sequence[tuple[int, ...]]
    object_ids: Sequence[int]
    class_weights: Sequence[float] = ()
    boundary_weight: float = 0.0


class SemanticLoss(nn.Module):
    """Weighted cross-entropy, averaged over labelled pixels.

    A label that stands for several classes costs minus the logarithm of the sum of their probabilities.
    """

    def __init__(self, meaning: LabelMeaning) -> None:
        super().__init__()
        self.unions = [s for s in meaning.sets if len(s) > 1]
        self.boundary_weight = meaning.boundary_weight
        of = meaning.class_weights
        weights = [sum(of[i] for i in s) / len(s) if of else 1.0 for s in meaning.sets]
        self.register_buffer("label_weights", torch.tensor(weights))

    def targets(self, sample: Sample) -> dict[str, Array]:
        """Return ``labels`` (H, W) int64 and, where boundaries count more, ``emphasis`` (H, W) float32, 1 or more."""
        made: dict[str, Array] = {"labels": sample.labels.astype(np.int64)}
        if self.boundary_weight:
            made["emphasis"] = (1 + self.boundary_weight * near_boundary(sample.labels)).astype(np.float32)
        return made

    def forward(self, scores: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Compute the loss, a scalar.

        Args:
            scores: (N, C, h, w) scores of the classes.
            targets: ``labels`` (N, H, W) int64, 255 = ignored; ``emphasis`` (N, H, W) float32, or none.
        """
        target = targets["labels"]
        log_p = _resize(scores, target).log_softmax(1)
        if self.unions and bool(((target >= log_p.shape[1]) & (target != IGNORE_ID)).any()):
            log_p = torch.cat([log_p, *(log_p[:, u].logsumexp(1, keepdim=True) for u in self.unions)], 1)
        weights = self.label_weights[: log_p.shape[1]]
        losses = F.nll_loss(log_p, target, weight=weights, ignore_index=IGNORE_ID, reduction="none")
        known = target != IGNORE_ID
        emphasis = targets["emphasis"] if self.boundary_weight else torch.ones_like(losses)
        total = (emphasis * weights[target.masked_fill(~known, 0)])[known].sum()
        return (losses * emphasis).sum() / total.clamp_min(1e-6)  # 0, not nan, where nothing is labelled


class ObjectnessLoss(nn.Module):
    """Cross-entropy of object against no object, averaged over the pixels whose label tells which.

    Where a sample has objectness labels of its own, they tell it; else its label does, and one that stands for several
    classes where all of them agree.
    """

    def __init__(self, meaning: LabelMeaning) -> None:
        super().__init__()
        kinds = [{int(i in meaning.object_ids) for i in s} for s in meaning.sets]
        self.is_object = np.full(IGNORE_ID + 1, IGNORE_ID, np.int64)
        self.is_object[: len(kinds)] = [k.pop() if len(k) == 1 else IGNORE_ID for k in kinds]

    def targets(self, sample: Sample) -> dict[str, Array]:
        """Return ``objects`` (H, W) int64: 0 no object, 1 object, 255 not known."""
        objects = self.is_object[sample.labels]
        if sample.objects is not None:
            objects = np.where(sample.objects == AS_LABELS, objects, sample.objects)
        return {"objects": objects}

    def forward(self, scores: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Compute the loss, a scalar, of (N, 2, h, w) scores and ``objects`` (N, H, W) int64."""
        objects = targets["objects"]
        total = F.cross_entropy(_resize(scores, objects), objects, ignore_index=IGNORE_ID, reduction="sum")
        return total / (objects != IGNORE_ID).sum().clamp_min(1)


def near_boundary(labels: U8, reach_px: int = 2) -> npt.NDArray[np.bool_]:
    """Map (H, W) uint8 labels to (H, W) bool: another label lies within ``reach_px`` pixels, along both axes."""
    window = np.ones((2 * reach_px + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(labels, window) != cv2.erode(labels, window))


def _resize(scores: Tensor, target: Tensor) -> Tensor:
    return F.interpolate(scores.float(), size=target.shape[1:], mode="bilinear", align_corners=False)
