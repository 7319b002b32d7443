"""Stage 501 of the curriculum: load data."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from tqdm import tqdm

from cmt_seg_ros.errors import DatasetError
from cmt_seg_ros.labels import CAMVID, IGNORE_ID, LabelSet, read_classes
from cmt_seg_ros.text import printable, printable_lines
from cmt_seg_ros.training.batches import TrainingData
from cmt_seg_ros.training.datasets import (
    DataSet,
    LabelSpace,
    Sample,
    read_folder,
    read_unions,
    render_scenes,
)
from cmt_seg_ros.training.distributed import is_first
from cmt_seg_ros.training.label_check import LabelCounts, check_absent, check_foreign
from cmt_seg_ros.training.recipe import Recipe

FIRST_TRAINING_SEED = 1000


def load_data(
    root: Path, partial: Path | None, recipe: Recipe, hold_out: str = "", allow: Collection[str] = ()
) -> tuple[LabelSet, LabelSpace, TrainingData, list[Sample]]:
    """Read the data that a recipe trains on.

    Args:
        root: data set with train/, val/ and classes.yaml.
        partial: data set with train/ and unions in classes.yaml; None for none.
        recipe: says whether synthetic frames are wanted. They have CamVid's classes, matched by name; left out
            where the network lacks some of them.
        hold_out: prefix of names: score on the frames of train/ and val/ with this prefix, train on all others;
            empty: train on train/, score on val/.
        allow: of :data:`~cmt_seg_ros.training.label_check.ALLOW` what is no error.

    Returns:
        (classes, numbering of all labels, training data, samples to score on).

    Raises:
        DatasetError: something is missing or does not fit; a class has no pixel in the training labels, or much of
            the labels is of ids that are no class.
    """
    labels = read_classes(root)
    (train, seen), (val, _) = (_read_checked(root / part, labels.names, allow) for part in ("train", "val"))
    if hold_out:
        frames = train + val
        val = [s for s in frames if s.name.startswith(hold_out)]
        train = [s for s in frames if not s.name.startswith(hold_out)]
        if not val or not train:
            raise DatasetError(f"--hold-out {hold_out}: {len(val)} of {len(frames)} frame names begin with it")
    for name, samples in (("training", train), ("val", val)):
        if not any((s.labels != IGNORE_ID).any() for s in samples):
            raise DatasetError(f"no pixel of the {name} labels of {root} has an id below {len(labels)}, its classes")
    if not labels.object_ids:
        raise DatasetError(f"no class of {root} is an object; add `is_object: true` to those that are, in classes.yaml")
    sets = [DataSet(root.name, train, tuple((i,) for i in range(len(labels))))]
    elsewhere: set[str] = set()
    if partial is not None:
        unions = read_unions(partial, labels)
        names = ["/".join(labels.names[i] for i in union) for union in unions]
        coarse_samples, _ = _read_checked(partial / "train", names, allow)
        sets.append(DataSet(partial.name, coarse_samples, unions))
        elsewhere = set(names) - set(_counted("", names, coarse_samples).absent)
    check_absent(_counted(f"{root.name}/train", labels.names, train), elsewhere, allow, seen.cause())
    if any(stage.synthetic for stage in recipe.stages):
        if set(CAMVID.names) <= set(labels.names):
            sets.append(_synthetic(recipe.scenes, labels))
        else:
            print(printable(f"no synthetic images: {root.name} does not have all the classes of the street scene"))
    space = LabelSpace(len(labels), sets)
    main, *others = (space.renumbered(d) for d in sets)
    coarse = others.pop(0) if partial is not None else []
    data = TrainingData.of(space, main, coarse, others[0] if others else [])
    return labels, space, data, val


def _read_checked(folder: Path, names: Sequence[str], allow: Collection[str]) -> tuple[list[Sample], LabelCounts]:
    """Read a folder, print the shares of its classes, and refuse it where much is of ids that are no class."""
    counts = LabelCounts.empty(f"{folder.parent.name}/{folder.name}", names)
    samples = read_folder(folder, len(names), counts)
    if is_first():
        print(printable_lines(counts.described()))
    check_foreign(counts, allow)
    return samples, counts


def _counted(name: str, names: Sequence[str], samples: Sequence[Sample]) -> LabelCounts:
    counts = LabelCounts.empty(name, names)
    for sample in samples:
        counts.add(sample.labels)
    return counts


def _synthetic(count: int, labels: LabelSet) -> DataSet:
    sets = tuple((labels.names.index(name),) for name in CAMVID.names)
    scenes = render_scenes(count, FIRST_TRAINING_SEED)
    return DataSet("scene", list(tqdm(scenes, total=count, desc="rendering scenes", leave=False)), sets)
