"""What is trained, in which order: stages as data. The loop that runs them is in trainer.py.

The numbers are those of the curriculum of CMT-MCHH: 501 load data; 502 the objectness network alone
on small crops; 503 both tasks on small crops; 504 both on large crops; 505 hyper-features by
concatenation; 506 up-sample and sum, step by step; 507 everything, end to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.networks.zoo import ZOO
from cmt_seg_ros.training.augmentation import Augmentation

# Hyper-features before stage 505: the deepest stage alone. At 505 and 506: concatenated, then summed.
DEEPEST = {"concatenated": (5,), "summing_steps": 0}
CONCATENATED = {"summing_steps": 0}
ONE_SUM = {"summing_steps": 1}


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe. Its weights come from the stage before; those of the first from ImageNet (lite form).

    Attributes:
        name: with its number; the folder of its weights.
        iterations: number of batches, after which it ends.
        crop: (height, width) in pixels.
        tasks: of the network.
        hyper: what differs from the recipe's hyper-features, in both tasks.
        weights: (w1, w2) of Equation (1).
        partial: how many images of each batch come from data with partial labels.
        synthetic: how many from the synthetic scene.
        frozen: parameters whose names begin so are not trained, nor are their BatchNorm statistics.
        lr: factor on the recipe's learning rate.
    """

    name: str
    iterations: int
    crop: tuple[int, int]
    tasks: tuple[str, ...] = ("semantic", "objectness")
    hyper: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[float, float] = (2 / 3, 1 / 3)
    partial: int = 0
    synthetic: int = 0
    frozen: tuple[str, ...] = ()
    lr: float = 1.0

    def __post_init__(self) -> None:
        if abs(sum(self.weights) - 1) > 1e-6 or min(self.weights) < 0:
            raise ConfigError(f"stage {self.name!r}: weights are {self.weights}; they must be 0-1 and sum to one")
        if self.iterations < 1 or min(self.crop) < 32:
            raise ConfigError(f"stage {self.name!r}: needs at least one iteration and crops of 32 px or more")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, the data set aside.

    Attributes:
        stages: run in order.
        network: what differs from CmtMchhConfig's defaults.
        augmentation: of every stage.
        batch: images a batch, all processes together.
        lr: learning rate of what starts from chance; falls to 0 over each stage (poly, power 0.9).
        encoder_lr: factor on lr for the encoder.
        weight_decay: of AdamW.
        warmup: iterations until the full learning rate of a stage.
        ema: decay of the moving average of the weights, which is what is kept.
        boundary_weight: see CoupledLoss.
        seed: of all chance.
        scenes: number of synthetic images rendered.
    """

    stages: tuple[Stage, ...]
    network: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = field(default_factory=Augmentation)
    batch: int = 8
    lr: float = 1.5e-3
    encoder_lr: float = 0.4
    weight_decay: float = 0.02
    warmup: int = 100
    ema: float = 0.998
    boundary_weight: float = 0.0
    seed: int = 1
    scenes: int = 240

    @property
    def iterations(self) -> int:
        """Iterations of all stages."""
        return sum(stage.iterations for stage in self.stages)


def seven_stages(
    iterations: tuple[int, int, int, int, int, int, int], partial: int = 0, synthetic: int = 0
) -> tuple[Stage, ...]:
    """The curriculum of CMT-MCHH.

    Args:
        iterations: of 502, 503, 504, 505, the two steps of 506, and 507.
        partial: see Stage; the same in all of them.
        synthetic: likewise.
    """
    small, large = (192, 240), (256, 320)
    objectness = ("objectness",)
    encoder = ("encoder.",)
    stages = (
        Stage("502 objectness, small crops", 1, small, tasks=objectness, hyper=DEEPEST, weights=(0.0, 1.0)),
        Stage("503 both tasks, small crops", 1, small, hyper=DEEPEST),
        Stage("504 both tasks, large crops", 1, large, hyper=DEEPEST),
        Stage("505 concatenation", 1, large, hyper=CONCATENATED, frozen=encoder),
        Stage("506 first summing step", 1, large, hyper=ONE_SUM, frozen=encoder),
        Stage("506 second summing step", 1, large, frozen=encoder),
        Stage("507 end to end", 1, large),
    )
    return tuple(
        replace(s, iterations=n, partial=partial, synthetic=synthetic) for s, n in zip(stages, iterations, strict=True)
    )


LITE = seven_stages((300, 1000, 1000, 250, 250, 400, 6500), partial=3, synthetic=1)
LITE = (*LITE[:-1], replace(LITE[-1], partial=2))
RECIPES = {
    "cmt-mchh-lite-camvid": Recipe(stages=LITE),
    # Trained from chance, so every stage is longer.
    "cmt-mchh-vgg-camvid": Recipe(
        stages=tuple(replace(s, iterations=4 * s.iterations) for s in LITE),
        network=ZOO["cmt-mchh-vgg"].choices,
        encoder_lr=1.0,
    ),
    # The final network at once, on any data set: what the curriculum is compared with.
    "end-to-end": Recipe(stages=(Stage("507 end to end", 6000, (256, 320)),)),
    # A few seconds; proves that the path works.
    "smoke": Recipe(
        stages=tuple(replace(s, crop=(64, 96)) for s in seven_stages((1, 1, 1, 1, 1, 1, 2), synthetic=1)),
        batch=2,
        scenes=4,
    ),
}
