"""The network of a stage: where its weights come from, and what the stage leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig
from cmt_seg_ros.networks.cmt_mchh.encoder_lite import EfficientNetLite0
from cmt_seg_ros.networks.zoo import describe
from cmt_seg_ros.training.curriculum import Recipe, Stage


def build_network(recipe: Recipe, stage: Stage, labels: LabelSet, before: Path | None, pretrained: bool) -> CmtMchh:
    """The network at the beginning of a stage.

    Args:
        recipe: what it is part of.
        stage: which one.
        labels: the classes.
        before: folder of the stage before; None for the first.
        pretrained: the first stage's lite encoder starts from ImageNet.
    """
    network = CmtMchh(network_config(recipe, stage, labels))
    if before is not None:
        carry_over(network, load_file(before / "weights.safetensors"))
    elif pretrained and isinstance(network.encoder, EfficientNetLite0):
        network.encoder.load_imagenet()
    return network


def network_config(recipe: Recipe, stage: Stage, labels: LabelSet) -> CmtMchhConfig:
    """The network of one stage: defaults, then the recipe's choices, then the stage's."""
    values = CmtMchhConfig(len(labels), labels.object_ids).to_dict()
    for key, value in recipe.network.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    for task in ("semantic", "objectness"):
        values[task] = {**values[task], **stage.hyper}
    tasks = tuple(t for t in stage.tasks if t in values["tasks"])
    return CmtMchhConfig.from_dict({**values, "tasks": list(tasks)})


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


def write_stage(folder: Path, network: CmtMchh, stage: Stage, labels: LabelSet, scores: dict[str, Any]) -> None:
    """Write the weights and what rebuilds them; meta.yaml comes last and says that the stage has ended."""
    save_file({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, folder / "weights.safetensors")
    meta = {
        "stage": stage.name,
        "iterations": stage.iterations,
        "crop": list(stage.crop),
        "network": describe(network),
        "classes": labels.to_list(),
        "scores": scores,
    }
    (folder / "meta.tmp").write_text(yaml.safe_dump(meta, sort_keys=False))
    (folder / "meta.tmp").replace(folder / "meta.yaml")
    (folder / "checkpoint.pt").unlink()


def finished_scores(folder: Path) -> dict[str, Any] | None:
    """Scores of a stage that has ended; None if it has not."""
    path = folder / "meta.yaml"
    return yaml.safe_load(path.read_text())["scores"] if path.is_file() else None
