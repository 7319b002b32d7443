"""Coupled loss of CMT-MCHH, Equation (1), for labels that are classes or unions of classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.networks.scores import Scores


class CoupledLoss(nn.Module):
    """Coupled loss: w1 x semantic + w2 x objectness cross-entropy, averaged over labelled pixels.

    A label that stands for several classes costs minus the logarithm of the sum of their
    probabilities. Its objectness is known where all of its classes agree, else not counted.

    Args:
        sets: for each label, the classes it stands for (see LabelSpace).
        object_ids: ids of the object classes.
        class_weights: weight of each class, or None for equal weights; a union has its classes' mean.
        boundary_weight: extra weight of pixels within 2 pixels of a class boundary; 0 = none.
    """

    def __init__(
        self,
        sets: Sequence[tuple[int, ...]],
        object_ids: Sequence[int],
        class_weights: Sequence[float] | None = None,
        boundary_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.unions = [s for s in sets if len(s) > 1]
        self.boundary_weight = boundary_weight
        weights = [sum(class_weights[i] for i in s) / len(s) if class_weights else 1.0 for s in sets]
        kinds = [{int(i in object_ids) for i in s} for s in sets]
        is_object = [k.pop() if len(k) == 1 else IGNORE_ID for k in kinds]
        self.register_buffer("label_weights", torch.tensor(weights))
        table = torch.full((IGNORE_ID + 1,), IGNORE_ID)
        table[: len(sets)] = torch.tensor(is_object)
        self.register_buffer("is_object", table)

    def forward(self, scores: Scores, target: Tensor, weights: tuple[float, float] = (2 / 3, 1 / 3)) -> Tensor:
        """Compute the loss.

        Args:
            scores: up-sampled bilinearly to the target's size; a task with weight 0 may be None.
            target: (N, H, W) int64 labels, 255 = ignored.
            weights: (w1, w2), summing to one.
        """
        terms = []
        if weights[0] > 0:
            assert scores.classes is not None
            terms.append(weights[0] * self.semantic(scores.classes, target))
        if weights[1] > 0:
            assert scores.objectness is not None
            terms.append(weights[1] * self.objectness(scores.objectness, target))
        return torch.stack(terms).sum()

    def semantic(self, classes: Tensor, target: Tensor) -> Tensor:
        """Compute the weighted cross-entropy on classes and on sums of class probabilities."""
        log_p = _resize(classes, target).log_softmax(1)
        if self.unions and bool(((target >= log_p.shape[1]) & (target != IGNORE_ID)).any()):
            log_p = torch.cat([log_p, *(log_p[:, u].logsumexp(1, keepdim=True) for u in self.unions)], 1)
        weights = self.label_weights[: log_p.shape[1]]
        losses = F.nll_loss(log_p, target, weight=weights, ignore_index=IGNORE_ID, reduction="none")
        known = target != IGNORE_ID
        emphasis = 1 + self.boundary_weight * near_boundary(target) if self.boundary_weight else torch.ones_like(losses)
        total = (emphasis * weights[target.masked_fill(~known, 0)])[known].sum()
        return (losses * emphasis).sum() / total.clamp_min(1e-6)  # 0, not nan, where nothing is labelled

    def objectness(self, scores: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy of object against no object, where the label tells which."""
        kinds = self.is_object[target]
        total = F.cross_entropy(_resize(scores, target), kinds, ignore_index=IGNORE_ID, reduction="sum")
        return total / (kinds != IGNORE_ID).sum().clamp_min(1)


def near_boundary(target: Tensor, reach: int = 2) -> Tensor:
    """Map (N, H, W) labels to (N, H, W) float: 1 where another label lies within ``reach`` pixels."""
    labels = target.float()[:, None]
    highest = F.max_pool2d(labels, 2 * reach + 1, 1, reach)
    lowest = -F.max_pool2d(-labels, 2 * reach + 1, 1, reach)
    return (highest != lowest)[:, 0].float()


def _resize(scores: Tensor, target: Tensor) -> Tensor:
    return F.interpolate(scores.float(), size=target.shape[1:], mode="bilinear", align_corners=False)
