"""Export: torch -> OpenVINO IR (fp16) -> model package; checks that both label images alike."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cmt_seg_ros import __version__
from cmt_seg_ros.documents import read_yaml
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.files import refuse_lfs_pointer, write_whole
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.networks.scores import INPUT_MEAN, INPUT_SCALE
from cmt_seg_ros.networks.zoo import describe, rebuild
from cmt_seg_ros.runtime.model_package import FORMAT_VERSION, ModelPackage
from cmt_seg_ros.structures import U8


class Deployed(nn.Module):
    """Network with probabilities as output, fused as its configuration says; wraps it, never edits it.

    Input (N, 3, H, W) normalised float; output class probabilities (N, C, h, w) and object
    probability (N, 1, h, w), at the network's own output resolution.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return class and object probabilities."""
        classes, objectness = self.network.deployed(x)  # type: ignore[operator]
        return classes.softmax(1), objectness.softmax(1)[:, 1:]


def to_openvino(network: nn.Module, height: int, width: int) -> ov.Model:
    """Convert to OpenVINO; batch, height and width of the result can be reshaped to anything.

    Raises:
        ModelError: the network has no semantic branch (stage 502), so there are no labels to deploy.
    """
    if "semantic" not in getattr(network.config, "tasks", ("semantic",)):
        raise ModelError("the network has the objectness task alone; export a stage that was trained on both")
    deployed = Deployed(copy.deepcopy(network).float().eval().to(memory_format=torch.contiguous_format))  # type: ignore[call-overload]
    example = torch.zeros(1, 3, height, width)
    model = ov.convert_model(deployed, example_input=example, input=[("x", [-1, 3, -1, -1])])
    for port, name in zip(model.outputs, ("probabilities", "object_probability"), strict=True):
        port.get_tensor().set_names({name})
    return model


def write_package(
    network: nn.Module,
    labels: LabelSet,
    folder: Path,
    input_size: tuple[int, int],
    card: dict[str, Any],
) -> ModelPackage:
    """Write ``model.{xml,bin,yaml}`` and ``weights.safetensors`` and read them back.

    Args:
        network: trained network.
        labels: its classes.
        folder: becomes the package; its name is the model's name.
        input_size: (height, width) the network was trained for; images are scaled to that area.
        card: free keys of model.yaml: data, terms, scores, how to reproduce.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(to_openvino(network, *input_size), folder / "model.xml", compress_to_fp16=True)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "weights.safetensors")
    files = ("model.xml", "model.bin", "weights.safetensors")
    size = {"height": input_size[0], "width": input_size[1]}
    description = {
        "format": FORMAT_VERSION,
        "name": folder.name,
        "made_with": f"cmt_seg_ros {__version__}",
        "precision": "fp16",
        "input": {**size, "color": "rgb", "mean": INPUT_MEAN, "scale": INPUT_SCALE},
        "classes": labels.to_list(),
        "network": describe(network),
        **card,
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    write_whole(folder / "model.yaml", yaml.safe_dump(description, sort_keys=False, width=100))
    return ModelPackage.load(str(folder))


def add_to_description(package: ModelPackage, values: Mapping[str, Any], folder: Path) -> ModelPackage:
    """Copy a package to ``folder`` with further keys in its model.yaml, and read it back."""
    shutil.copytree(package.folder, folder, dirs_exist_ok=True)
    description = {**package.description, **values}
    write_whole(folder / "model.yaml", yaml.safe_dump(description, sort_keys=False, width=100))
    return ModelPackage.load(str(folder))


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """Result of a training stage.

    Attributes:
        network: network with its weights.
        labels: its classes.
        input_size: (height, width) of the training images.
        run: contents of run.yaml: name of the recipe, data, and so on.
    """

    network: nn.Module
    labels: LabelSet
    input_size: tuple[int, int]
    run: Mapping[str, Any]


def load_stage(folder: Path) -> TrainedStage:
    """Rebuild the network of a training stage from its meta.yaml and weights.

    Args:
        folder: folder of a stage, or of a run, whose last finished stage is then taken.

    Raises:
        ModelError: no stage has finished there, or run.yaml beside it is missing.
    """
    metas = sorted(folder.glob("meta.yaml")) or sorted(folder.glob("*/meta.yaml"))
    if not metas:
        raise ModelError(f"{folder} holds no finished stage; train first: cmt-seg train --out {folder} ...")
    stage = metas[-1].parent
    record = stage.parent / "run.yaml"
    if not record.is_file():
        raise ModelError(
            f"{record} is missing; it records what {stage.name} was trained on: keep stages in their run's folder"
        )
    meta, run = (read_yaml(path) for path in (metas[-1], record))
    network = load_network(meta["network"], stage / "weights.safetensors")
    return TrainedStage(network, LabelSet.from_list(meta["classes"]), tuple(meta["input"]), run)


def load_network(description: Mapping[str, Any], weights: Path) -> nn.Module:
    """Rebuild a network with its weights, for inference.

    Args:
        description: as ``networks.zoo.describe`` gives it; ``network`` in model.yaml and in meta.yaml.
        weights: safetensors file.

    Raises:
        ModelError: the file cannot be read, or holds the weights of another network.
    """
    network = rebuild(description)
    refuse_lfs_pointer(weights, ModelError)
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read {weights}: {error}; an INT8 package has none, use the fp16 package") from error
    except RuntimeError as error:
        raise ModelError(f"{weights} does not fit the network that is described beside it: {error}") from error
    return network.eval()


def label_agreement(package: ModelPackage, network: nn.Module, images: Sequence[U8]) -> float:
    """Return the share of pixels, 0-1, that the IR (f32, on the CPU) and the torch network label alike.

    Args:
        package: package with the IR.
        network: torch network that the package was made from.
        images: (H, W, 3) uint8 blue-green-red, all of one size.
    """
    compiled = ov.Core().compile_model(package.read_ir(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    deployed = Deployed(network)
    equal = []
    for image in images:
        x = (image[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32) - package.mean) / package.scale
        with torch.no_grad():
            ours = deployed(torch.from_numpy(np.ascontiguousarray(x)))[0].argmax(1).numpy()
        theirs = compiled(np.ascontiguousarray(x))["probabilities"].argmax(1)
        equal.append(float(np.mean(ours == theirs)))
    return float(np.mean(equal))
