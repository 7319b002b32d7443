"""Batches: a function of seed, stage and iteration alone, so that resuming changes nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from cmt_seg_ros.networks.scores import INPUT_MEAN, INPUT_SCALE
from cmt_seg_ros.training.augmentation import augment
from cmt_seg_ros.training.copy_paste import CutOut, cut_outs
from cmt_seg_ros.training.datasets import LabelSpace, Sample, class_weights
from cmt_seg_ros.training.losses import Array
from cmt_seg_ros.training.recipe import Recipe, Stage


def to_input(images: np.ndarray) -> Tensor:
    """Convert (N, H, W, 3) uint8 BGR to (N, 3, H, W) float RGB, (value - INPUT_MEAN) / INPUT_SCALE."""
    x = torch.from_numpy(np.ascontiguousarray(images[..., ::-1])).permute(0, 3, 1, 2)
    return ((x.float() - INPUT_MEAN) / INPUT_SCALE).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Samples whose labels share one numbering (LabelSpace).

    Attributes:
        main: fully labelled samples.
        partial: samples labelled with unions of classes; may be empty.
        synthetic: rendered, fully labelled samples; may be empty.
        class_weights: weight of each class, from its frequency in main.
        rare: labels of the classes with the largest weights; crops are placed around them.
        cut_outs: objects of the rare classes that can be pasted, by label.
    """

    main: list[Sample]
    partial: list[Sample]
    synthetic: list[Sample]
    class_weights: list[float]
    rare: tuple[int, ...]
    cut_outs: dict[int, list[CutOut]] = field(repr=False)

    @classmethod
    def of(
        cls, space: LabelSpace, main: list[Sample], partial: Sequence[Sample] = (), synthetic: Sequence[Sample] = ()
    ) -> TrainingData:
        """Count the classes, and cut out the objects of the rarer half."""
        weights = class_weights(main, space.num_classes)
        rare = {int(i) for i in np.argsort(weights)[::-1][: space.num_classes // 2]}
        labels = tuple(i for i, classes in enumerate(space.sets) if set(classes) <= rare)
        return cls(main, list(partial), list(synthetic), weights, labels, cut_outs(main, sorted(rare)))


class Batches:
    """All batches of one stage.

    Args:
        data: samples to draw from.
        recipe: gives batch size, seed and augmentation.
        stage: gives the crop and the shares of partial and synthetic samples.
        targets: makes what the losses need of the labels of a crop: arrays of its size by name.
        rank: number of this process.
        world: number of processes that share each batch.
    """

    def __init__(
        self,
        data: TrainingData,
        recipe: Recipe,
        stage: Stage,
        targets: Callable[[Sample], Mapping[str, Array]],
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.data, self.recipe, self.stage, self.targets = data, recipe, stage, targets
        self.rank, self.world = rank, world
        self.key = zlib.crc32(stage.name.encode())
        partial = stage.partial if data.partial else 0
        synthetic = stage.synthetic if data.synthetic else 0
        self.shares = [(data.main, recipe.batch - partial - synthetic), (data.partial, partial),
                       (data.synthetic, synthetic)]  # fmt: skip
        self.styles = [*data.main, *data.partial]
        self.area_px = data.main[0].labels.size * recipe.image_scale**2

    def batch(self, iteration: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return this process's part: (n, 3, h, w) float network input, and the targets, (n, h, w) each, by name."""
        picked = [sample for pool, count in self.shares for sample in self._draw(pool, count, iteration)]
        crops = []
        for k in range(self.rank, len(picked), self.world):
            rng = np.random.default_rng([self.recipe.seed, self.key, iteration, k])
            # Cut-outs fit the frames of the camera they come from.
            cut_outs = self.data.cut_outs if k < self.shares[0][1] else None
            crops.append(augment(picked[k], self.stage.crop, rng, self.recipe.augmentation, self.area_px, self.styles,
                                 cut_outs, self.data.rare))  # fmt: skip
        made = [self.targets(crop) for crop in crops]
        return to_input(np.stack([crop.image for crop in crops])), {
            k: torch.from_numpy(np.stack([m[k] for m in made])) for k in made[0]
        }

    def _draw(self, samples: list[Sample], count: int, iteration: int) -> list[Sample]:
        """Draw every sample once an epoch, in an order shuffled by seed and epoch."""
        picked = []
        for k in range(iteration * count, (iteration + 1) * count):
            epoch, place = divmod(k, len(samples))
            order = np.random.default_rng([self.recipe.seed, self.key, len(samples), epoch]).permutation(len(samples))
            picked.append(samples[order[place]])
        return picked

    def epoch(self, iteration: int) -> float:
        """Return how often every fully labelled sample has been drawn."""
        return iteration * self.shares[0][1] / len(self.data.main)
