"""Curriculum: the stages of training, as data. The loop that runs them is in trainer.py.

The numbers are those of the curriculum of CMT-MCHH: 501 load data; 502 the objectness network alone
on small crops; 503 both tasks on small crops; 504 both on large crops; 505 hyper-features by
concatenation; 506 up-sample and sum, step by step; 507 everything, end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cmt_seg_ros.documents import read_yaml
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.networks.zoo import ZOO
from cmt_seg_ros.training.augmentation import Augmentation
from cmt_seg_ros.training.recipe import Recipe, Stage

# Hyper-features before stage 505: the deepest stage alone. At 505 and 506: concatenated, then summed.
DEEPEST = {"concatenated": (5,), "summing_steps": 0}
CONCATENATED = {"summing_steps": 0}
ONE_SUM = {"summing_steps": 1}


def curriculum(
    iterations: tuple[int, ...],
    partial: int = 0,
    synthetic: int = 0,
    crops: Sequence[tuple[int, int]] = ((192, 240), (256, 320)),
) -> tuple[Stage, ...]:
    """Return the curriculum of CMT-MCHH.

    Args:
        iterations: number of batches of 502, 503, 504 (one number for each larger crop), 505, the two steps of 506, and
            507.
        partial: see Stage; the same in all stages.
        synthetic: see Stage; the same in all stages.
        crops: (height, width) in pixels, from small to large; two or more.
    """
    small, *between, large = crops
    objectness = ("objectness",)
    encoder = ("encoder.",)
    stages = (
        Stage("502 objectness, small crops", 1, small, tasks=objectness, hyper=DEEPEST, weights=(0.0, 1.0)),
        Stage("503 both tasks, small crops", 1, small, hyper=DEEPEST),
        *(Stage(f"504 both tasks, crops of {w}x{h}", 1, (h, w), hyper=DEEPEST) for h, w in between),
        Stage("504 both tasks, large crops", 1, large, hyper=DEEPEST),
        Stage("505 concatenation", 1, large, hyper=CONCATENATED, frozen=encoder),
        Stage("506 first summing step", 1, large, hyper=ONE_SUM, frozen=encoder),
        Stage("506 second summing step", 1, large, frozen=encoder),
        Stage("507 end to end", 1, large),
    )
    return tuple(
        replace(s, iterations=n, partial=partial, synthetic=synthetic) for s, n in zip(stages, iterations, strict=True)
    )


*FIRST_SIX, END_TO_END = curriculum((300, 1000, 1000, 250, 250, 400, 6500), partial=3, synthetic=1)
LITE = (*FIRST_SIX, replace(END_TO_END, partial=2))

# Ablations: runs of equal length, each of which differs from "ablation" in one thing (docs/training.md).
ALL = Stage("507 end to end", 500, (192, 240), partial=3)
SHORT = curriculum((40, 100, 90, 25, 35, 50, 160), partial=3, crops=((144, 184), (192, 240)))
ABLATIONS = {
    "ablation": Recipe((ALL,)),
    "ablation-curriculum": Recipe(SHORT),
    "ablation-no-objectness": Recipe((replace(ALL, tasks=("semantic",), weights=(1.0, 0.0)),)),
    "ablation-no-sum": Recipe((replace(ALL, hyper=CONCATENATED),)),
    "ablation-one-sum": Recipe((replace(ALL, hyper=ONE_SUM),)),
    "ablation-no-partial": Recipe((replace(ALL, partial=0),)),
    "ablation-no-looks": Recipe((ALL,), augmentation=Augmentation(restyle=0, dusk=0, shade=0)),
    "ablation-no-rare": Recipe((ALL,), augmentation=Augmentation(paste=0, rare_first=0)),
    "ablation-separate": Recipe((ALL,), network={"fuse_in_training": False}),
    "ablation-plain": Recipe((ALL,), class_weights=False),
    "ablation-boundary": Recipe((ALL,), boundary_weight=1.0),
}

PLAIN = Augmentation(scale=(1.0, 1.25), restyle=0, dusk=0, shade=0, recolour=0, defocus=0, paste=0, rare_first=0)

RECIPES = {
    "cmt-mchh-lite-camvid": Recipe(LITE),
    # Trained from scratch, so every stage is longer.
    "cmt-mchh-vgg-camvid": Recipe(
        tuple(replace(s, iterations=4 * s.iterations) for s in LITE),
        row="cmt-mchh-vgg",
        encoder_lr=1.0,
    ),
    # From random weights, in ten minutes on two cores: a quarter of the paper's widths, small images, nearly whole, in
    # many small batches, and no changes of light, as so short a run learns little from more.
    "unet-small": Recipe(
        (Stage("end to end", 1150, (144, 192), weights=(1.0, 0.0)),),
        row="unet",
        network={"widths": (16, 32, 64, 128, 128)},
        augmentation=replace(PLAIN, rare_first=0.2),
        image_scale=0.4,
        batch=3,
        lr=4e-3,
        warmup=20,
        ema=0.99,
    ),
    # Each loss on the scores of its own task, which are fused in deployment only, and crops of three sizes, as the
    # authors describe it.
    "cmt-mchh-lite-separate": Recipe(
        curriculum((300, 1000, 600, 600, 250, 250, 400, 6500), 3, 1, crops=((144, 184), (208, 256), (256, 320))),
        network={"fuse_in_training": False},
    ),
    # From random weights, in about ten minutes on two cores: likewise.
    "cmt-mchh-vgg-small": Recipe(
        curriculum((80, 200, 150, 80, 80, 80, 700), crops=((96, 128), (144, 192))),
        row="cmt-mchh-vgg",
        network={
            "vgg": {"widths": (16, 32, 64, 128, 128)},
            "semantic": {"widths": (64, 32, 16)},
            "objectness": {"widths": (64, 32, 16)},
        },
        augmentation=replace(PLAIN, rare_first=0.2),
        image_scale=0.4,
        batch=4,
        encoder_lr=1.0,
        lr=3e-3,
        warmup=20,
        ema=0.99,
    ),
    # The final network in one stage: a simple starting point for any data set.
    "end-to-end": Recipe((Stage("507 end to end", 6000, (256, 320)),)),
    # Takes a few seconds; shows that the whole path works.
    "smoke": Recipe(curriculum((1, 1, 1, 1, 1, 1, 2), synthetic=1, crops=((64, 96), (64, 96))), batch=2, scenes=4),
    **ABLATIONS,
}


def recipe_of(row: str) -> str:
    """Return the name of the recipe that trains a row of the zoo, unless another is named: its first in RECIPES.

    Raises:
        ConfigError: there is no such row, or no recipe for it.
    """
    found = next((name for name, recipe in RECIPES.items() if recipe.row == row), "")
    if not found:
        rows = ", ".join(dict.fromkeys(recipe.row for recipe in RECIPES.values()))
        what = "the zoo has no such network" if row not in ZOO else "no recipe trains it: write one (--recipe FILE)"
        raise ConfigError(f"--network is {row!r}; {what}; there are recipes for {rows}")
    return found


def read_recipe(name: str) -> Recipe:
    """Return a recipe by name, or read a YAML file: ``base``, the name of a recipe, and what differs from it.

    Raises:
        ConfigError: no such recipe or file, or a key or value that is not allowed.
    """
    if name in RECIPES:
        return RECIPES[name]
    if not Path(name).is_file():
        raise ConfigError(f"--recipe is {name!r}; known: {', '.join(RECIPES)}, or a YAML file")
    values = read_yaml(Path(name))
    base = values.pop("base", None) if isinstance(values, dict) else None
    if base not in RECIPES:
        raise ConfigError(f"{name}: base is {base!r}; it must name a recipe: {', '.join(RECIPES)}")
    return RECIPES[base].changed(values)
