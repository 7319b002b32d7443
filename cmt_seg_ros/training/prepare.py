"""Stage 501 of the curriculum: load data."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from cmt_seg_ros.errors import DatasetError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.training.batches import TrainingData
from cmt_seg_ros.training.curriculum import Recipe
from cmt_seg_ros.training.datasets import (
    DataSet,
    LabelSpace,
    Sample,
    read_classes,
    read_folder,
    read_unions,
    render_scenes,
)

FIRST_TRAINING_SEED = 1000


def load_data(
    root: Path, partial: Path | None, recipe: Recipe, hold_out: str = ""
) -> tuple[LabelSet, LabelSpace, TrainingData, list[Sample]]:
    """Read what a recipe trains on.

    Args:
        root: data set with train/, val/ and classes.yaml.
        partial: data set with train/ and unions in classes.yaml; None for none.
        recipe: says whether synthetic frames are wanted. They have CamVid's classes, matched by name.
        hold_out: score on the frames of train/ and val/ whose names begin so, and train on all others;
            empty: train on train/, score on val/.

    Returns:
        (classes, numbering of all labels, training data, samples to score on).

    Raises:
        DatasetError: something is missing or does not fit.
    """
    labels = read_classes(root)
    train, val = (read_folder(root / part, len(labels)) for part in ("train", "val"))
    if hold_out:
        frames = train + val
        val = [s for s in frames if s.name.startswith(hold_out)]
        train = [s for s in frames if not s.name.startswith(hold_out)]
        if not val or not train:
            raise DatasetError(f"--hold-out {hold_out}: {len(val)} of {len(frames)} frames have names that begin so")
    sets = [DataSet(root.name, train, tuple((i,) for i in range(len(labels))))]
    if partial is not None:
        unions = read_unions(partial, labels)
        sets.append(DataSet(partial.name, read_folder(partial / "train", len(unions)), unions))
    if any(stage.synthetic for stage in recipe.stages):
        sets.append(_synthetic(recipe.scenes, labels))
    space = LabelSpace(len(labels), sets)
    main, *others = (space.renumbered(d) for d in sets)
    coarse = others.pop(0) if partial is not None else []
    data = TrainingData.of(space, main, coarse, others[0] if others else [])
    return labels, space, data, val


def _synthetic(count: int, labels: LabelSet) -> DataSet:
    sets = read_unions(Path("camvid"), labels)
    scenes = render_scenes(count, FIRST_TRAINING_SEED)
    return DataSet("scene", list(tqdm(scenes, total=count, desc="rendering scenes", leave=False)), sets)
