"""Network of one stage: its initial weights, and the files that the stage and its run leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cmt_seg_ros.documents import read_yaml
from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.files import is_hidden, refuse_lfs_pointer, write_whole
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.networks.cmt_mchh.encoder_lite import EfficientNetLite0
from cmt_seg_ros.networks.zoo import config_of, describe, described_row, merged, rebuild
from cmt_seg_ros.training.recipe import Recipe, Stage


def build_network(recipe: Recipe, stage: Stage, labels: LabelSet, before: Path | None, pretrained: bool) -> nn.Module:
    """Build the network with which a stage begins.

    Args:
        recipe: recipe that the stage belongs to.
        stage: the stage.
        labels: the classes.
        before: folder with the weights to start from: those of the previous stage or, for the first stage, those the
            user gave; None for none.
        pretrained: without ``before``, start the lite encoder from ImageNet.

    Raises:
        ConfigError: the network does not have what the stage trains.
        ModelError: weights that cannot be read or do not fit.
    """
    network = rebuild(network_description(recipe, stage, labels))
    encoder = getattr(network, "encoder", None)
    if before is not None:
        path = before / "weights.safetensors"
        refuse_lfs_pointer(path, ModelError)
        try:
            carry_over(network, load_file(path))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot read {path}: {error}") from error
    elif pretrained and isinstance(encoder, EfficientNetLite0):
        encoder.load_imagenet()
    return network


def network_description(recipe: Recipe, stage: Stage, labels: LabelSet) -> dict[str, Any]:
    """Return what the network of one stage is built from: its row, then the recipe's choices, then the stage's.

    Raises:
        ConfigError: the network does not have what the stage trains.
    """
    row = described_row(recipe.row, len(labels), labels.object_ids)
    for changes in (recipe.network, stage.network):
        for key in {"family", "num_classes", "object_ids"} & set(changes):
            raise ConfigError(f"network: {key} cannot be changed; `row` names the network, the data set its classes")
    values = merged(row, recipe.network)
    config_of(values)
    if "tasks" in values:
        tasks = values["tasks"]
        if not set(stage.tasks) <= set(tasks):
            raise ConfigError(f"stage {stage.name!r} trains {stage.tasks}, but the recipe's network has {tasks}")
        values = merged(values, {"semantic": stage.hyper, "objectness": stage.hyper, "tasks": list(stage.tasks)})
    elif stage.hyper or stage.task_weights.get("objectness", 0) > 0:
        raise ConfigError(
            f"stage {stage.name!r}: {recipe.row} has neither hyper-features nor objectness scores of its own; leave "
            "hyper out and give weights {semantic: 1}"
        )
    return merged(values, stage.network)


def check_stages(recipe: Recipe, labels: LabelSet) -> None:
    """Refuse a recipe whose networks cannot be built or lack what a stage trains or freezes; allocates no weights.

    Raises:
        ConfigError: says which stage and what its network has.
    """
    for stage in recipe.stages:
        with torch.device("meta"):
            network = rebuild(network_description(recipe, stage, labels))
        parts = {name for name, _ in network.named_modules() if name}
        for prefix in stage.frozen:
            if prefix.rstrip(".") not in parts:
                known = ", ".join(f"{name}." for name, _ in network.named_children())
                raise ConfigError(f"stage {stage.name!r}: frozen is {prefix!r}; parts of {recipe.row}: {known}")


def carry_over(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy every weight of the previous stage that fits in name and size; the others keep their initial values.

    Raises:
        ModelError: nothing fits, or the encoder does not.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    missing = [k for k in own if k.startswith("encoder.") and k not in fitting]
    if missing:
        raise ModelError(f"the encoder of the stage before does not fit: {missing[0]} is missing or of another size")
    if not any(v.ndim > 0 for v in fitting.values()):  # counters of BatchNorm fit any network
        raise ModelError("none of the weights fits the network in name and size; they are of another network")
    network.load_state_dict(fitting, strict=False)


def write_stage(
    folder: Path, network: nn.Module, stage: Stage, labels: LabelSet, size: tuple[int, ...], scores: dict[str, Any]
) -> None:
    """Write the weights and their description; meta.yaml is written last and marks the stage as finished.

    Args:
        folder: folder of the stage.
        network: network with the weights to save.
        stage: the stage that was run.
        labels: the classes.
        size: (height, width) of the training images; the deployed network sees images at that area.
        scores: scores of the network on val.
    """
    save_file({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, folder / "weights.safetensors")
    meta = {
        "stage": stage.name,
        "iterations": stage.iterations,
        "crop": list(stage.crop),
        "network": describe(network),
        "classes": labels.to_list(),
        "input": list(size),
        "scores": scores,
    }
    write_whole(folder / "meta.yaml", yaml.safe_dump(meta, sort_keys=False))
    (folder / "checkpoint.pt").unlink()


def finished_scores(folder: Path) -> dict[str, Any] | None:
    """Return the scores of a finished stage; None if it is not finished."""
    path = folder / "meta.yaml"
    return read_yaml(path)["scores"] if path.is_file() else None


def claim(out: Path, record: Mapping[str, Any], rank: int = 0) -> None:
    """Record in ``out/run.yaml`` what a run was started with; refuse to resume a different one.

    Args:
        out: folder of the run.
        record: plain values that determine the result.
        rank: number of this process; only process 0 writes.

    Raises:
        ConfigError: the folder holds a run of another recipe, other data or other classes, or other files, or cannot be
            written.
    """
    path = out / "run.yaml"
    if path.is_file():
        there = read_yaml(path)
        if not isinstance(there, dict):
            raise ConfigError(f"{path} does not describe a run; give another --out")
        different = sorted(k for k in {*there, *record} if there.get(k) != record.get(k))
        if different:
            raise ConfigError(f"{out} holds a run with another {', '.join(different)} (see {path}); give another --out")
    elif rank == 0:
        try:
            out.mkdir(parents=True, exist_ok=True)
            if any(not is_hidden(there.name) for there in out.iterdir()):
                raise ConfigError(f"--out {out} has files that are no training run; give another folder")
            write_whole(path, yaml.safe_dump(dict(record), sort_keys=False))
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error
