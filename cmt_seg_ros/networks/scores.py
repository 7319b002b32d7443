"""Interface of every network of the zoo: input normalisation, and scores before softmax as output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

# Every network takes (N, 3, H, W) float, red-green-blue, (value - INPUT_MEAN) / INPUT_SCALE of 0-255, as
# EfficientNet-Lite was trained. Part of model.yaml, and applied inside the compiled graph.
INPUT_MEAN, INPUT_SCALE = 127.0, 128.0


class Scores(NamedTuple):
    """Scores before softmax, at the network's own output resolution.

    Attributes:
        classes: (N, C, h, w) float, scores of the semantic classes (fused, where the network fuses);
            None when the network has no semantic branch.
        objectness: (N, 2, h, w) float, scores of no object and object; None when it has no such branch.
    """

    classes: Tensor | None
    objectness: Tensor | None


def objectness_of(classes: Tensor, object_ids: Sequence[int]) -> Tensor:
    """Derive objectness scores from class scores: their softmax is the sum of the classes' probabilities.

    Args:
        classes: (N, C, h, w) float scores.
        object_ids: which of the classes are objects.

    Returns:
        (N, 2, h, w) float: no object, object.
    """
    others = [i for i in range(classes.shape[1]) if i not in object_ids]
    return torch.stack([classes[:, ids].logsumexp(1) for ids in (others, list(object_ids))], 1)
