"""What is trained, in which order: stages as data. The loop that runs them is in trainer.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe.

    Attributes:
        name: shown while it runs.
        iterations: number of batches.
        crop: (height, width) in pixels.
        synthetic: how many images of each batch come from the synthetic scene.
    """

    name: str
    iterations: int
    crop: tuple[int, int] = (256, 320)
    synthetic: int = 0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, the data set aside.

    Attributes:
        stages: run in order.
        batch: images a batch.
        lr: learning rate of what starts from chance; falls to 0 over all stages (poly, power 0.9).
        encoder_lr: factor on lr for the pre-trained encoder.
        weight_decay: of AdamW.
        warmup: iterations until the full learning rate.
        ema: decay of the moving average of the weights, which is what is kept.
        seed: of all chance.
        scenes: number of synthetic images rendered.
    """

    stages: tuple[Stage, ...]
    batch: int = 8
    lr: float = 1.5e-3
    encoder_lr: float = 0.4
    weight_decay: float = 0.02
    warmup: int = 100
    ema: float = 0.998
    seed: int = 1
    scenes: int = 240

    @property
    def iterations(self) -> int:
        """Iterations of all stages."""
        return sum(stage.iterations for stage in self.stages)

    def stage_at(self, iteration: int) -> Stage:
        """The stage an iteration belongs to."""
        for stage in self.stages:
            if iteration < stage.iterations:
                return stage
            iteration -= stage.iterations
        return self.stages[-1]


RECIPES = {
    # Real frames first; then two of eight images are synthetic, so that the demo's scene is known too.
    "cmt-mchh-lite-camvid": Recipe(
        stages=(
            Stage("real frames", iterations=1500),
            Stage("real and synthetic frames", iterations=2300, synthetic=2),
        ),
    ),
    # A few seconds; proves that the path works.
    "smoke": Recipe(stages=(Stage("smoke", 4, (64, 96), synthetic=1),), batch=2, warmup=1, scenes=4),
}
