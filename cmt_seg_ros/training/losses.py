"""The coupled loss of CMT-MCHH, Equation (1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cmt_seg_ros.labels import IGNORE_ID


def coupled_loss(
    fused: Tensor,
    objectness: Tensor,
    target: Tensor,
    object_ids: Sequence[int],
    class_weights: Tensor | None = None,
    weights: tuple[float, float] = (2 / 3, 1 / 3),
) -> Tensor:
    """w1 x semantic cross-entropy + w2 x objectness cross-entropy, averaged over labelled pixels.

    Args:
        fused: (N, C, h, w) float scores; up-sampled bilinearly to the target's size.
        objectness: (N, 2, h, w) float scores.
        target: (N, H, W) int64 class ids, 255 = ignored.
        object_ids: ids of the object classes.
        class_weights: (C,) float, or None for equal weights.
        weights: (w1, w2), summing to one.
    """
    size = target.shape[1:]
    is_object = torch.isin(target, torch.tensor(list(object_ids), device=target.device)).long()
    is_object[target == IGNORE_ID] = IGNORE_ID
    fused = F.interpolate(fused.float(), size=size, mode="bilinear", align_corners=False)
    objectness = F.interpolate(objectness.float(), size=size, mode="bilinear", align_corners=False)
    semantic_loss = F.cross_entropy(fused, target, weight=class_weights, ignore_index=IGNORE_ID)
    objectness_loss = F.cross_entropy(objectness, is_object, ignore_index=IGNORE_ID)
    return weights[0] * semantic_loss + weights[1] * objectness_loss
