"""Tasks that networks are trained on: a table of name, scores and loss; Equation (1) of CMT-MCHH weighs two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cmt_seg_ros.networks.scores import Scores
from cmt_seg_ros.training.datasets import Sample
from cmt_seg_ros.training.losses import Array, LabelMeaning, ObjectnessLoss, SemanticLoss


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        scores: takes the task's scores out of what a network returned; None where it has none.
        loss: class of its loss, which also makes the targets that it needs.
    """

    scores: Callable[[Scores], Tensor | None]
    loss: Callable[[LabelMeaning], SemanticLoss | ObjectnessLoss]


TASKS = {
    "semantic": Task(lambda scores: scores.classes, SemanticLoss),
    "objectness": Task(lambda scores: scores.objectness, ObjectnessLoss),
}


class TaskLosses(nn.Module):
    """Losses of the tasks that are trained, and their weighted sum.

    Args:
        weights: weight of each task, by name; those of weight 0 are left out.
        meaning: what the labels stand for.
    """

    def __init__(self, weights: Mapping[str, float], meaning: LabelMeaning) -> None:
        super().__init__()
        self.weights = {name: weights[name] for name in TASKS if weights.get(name, 0) > 0}
        self.losses = nn.ModuleDict({name: TASKS[name].loss(meaning) for name in self.weights})  # type: ignore[misc]

    def targets(self, sample: Sample) -> dict[str, Array]:
        """Make what the losses compare scores with, once a sample.

        Args:
            sample: a crop with its labels.

        Returns:
            Arrays of shape (H, W) by name; which ones, the losses say.
        """
        made: dict[str, Array] = {}
        for loss in self.losses.values():
            made.update(loss.targets(sample))  # type: ignore[operator]
        return made

    def forward(self, scores: Scores, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the loss of each task, a scalar, by name.

        Args:
            scores: of a batch; up-sampled bilinearly to the size of the targets.
            targets: stacked to (N, H, W).
        """
        return {name: loss(TASKS[name].scores(scores), targets) for name, loss in self.losses.items()}

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the losses: what is minimised."""
        return torch.stack([weight * losses[name] for name, weight in self.weights.items()]).sum()
