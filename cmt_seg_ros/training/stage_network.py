"""The network of a stage: where its weights come from, and what the stage leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.files import write_whole
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig
from cmt_seg_ros.networks.cmt_mchh.encoder_lite import EfficientNetLite0
from cmt_seg_ros.networks.zoo import describe, merged
from cmt_seg_ros.training.recipe import Recipe, Stage


def build_network(recipe: Recipe, stage: Stage, labels: LabelSet, before: Path | None, pretrained: bool) -> CmtMchh:
    """The network at the beginning of a stage.

    Args:
        recipe: what it is part of.
        stage: which one.
        labels: the classes.
        before: folder with the weights to start from: of the stage before, or for the first stage what the user
            gave; None for none.
        pretrained: without those, the lite encoder starts from ImageNet.

    Raises:
        ModelError: weights that cannot be read or do not fit.
    """
    network = CmtMchh(network_config(recipe, stage, labels))
    if before is not None:
        path = before / "weights.safetensors"
        try:
            carry_over(network, load_file(path))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot read {path}: {error}") from error
    elif pretrained and isinstance(network.encoder, EfficientNetLite0):
        network.encoder.load_imagenet()
    return network


def network_config(recipe: Recipe, stage: Stage, labels: LabelSet) -> CmtMchhConfig:
    """The network of one stage: defaults, then the recipe's choices, then the stage's."""
    values = merged(CmtMchhConfig(len(labels), labels.object_ids).to_dict(), recipe.network)
    if not set(stage.tasks) <= set(values["tasks"]):
        raise ConfigError(f"stage {stage.name!r} trains {stage.tasks}, but the recipe's network has {values['tasks']}")
    values = merged(values, {"semantic": stage.hyper, "objectness": stage.hyper, "tasks": list(stage.tasks)})
    return CmtMchhConfig.from_dict(values)


def carry_over(network: CmtMchh, weights: dict[str, Tensor]) -> None:
    """Take every weight of the stage before that has a place of its size; the others keep their initial values.

    Raises:
        ModelError: the encoder does not fit.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    missing = [k for k in own if k.startswith("encoder.") and k not in fitting]
    if missing:
        raise ModelError(f"the encoder of the stage before does not fit: {missing[0]} is missing or of another size")
    network.load_state_dict(fitting, strict=False)


def write_stage(
    folder: Path, network: CmtMchh, stage: Stage, labels: LabelSet, size: tuple[int, ...], scores: dict[str, Any]
) -> None:
    """Write the weights and what rebuilds them; meta.yaml comes last and says that the stage has ended.

    Args:
        folder: of the stage.
        network: with the weights to keep.
        stage: what was run.
        labels: the classes.
        size: (height, width) of the images it learned from; the deployed network sees images at that area.
        scores: of the network on val.
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
    """Scores of a stage that has ended; None if it has not."""
    path = folder / "meta.yaml"
    return yaml.safe_load(path.read_text())["scores"] if path.is_file() else None
