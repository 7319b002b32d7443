"""The contract that every network of the zoo keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

import openvino as ov  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from cmt_seg_ros.deploy.export import Deployed, to_openvino  # noqa: E402
from cmt_seg_ros.errors import ConfigError  # noqa: E402
from cmt_seg_ros.networks.zoo import ZOO, build, describe, merged, rebuild  # noqa: E402

OBJECTS = (1, 3)
# Sum of absolute class scores of the picture below, at seed 0: changes when the network computes something else.
FIXED_SUMS = {"cmt-mchh-lite": 1474.58, "cmt-mchh-vgg": 1512.75, "unet": 1784.32}


def make(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(name, 5, OBJECTS).eval()


def picture(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return torch.stack([torch.sin(9 * x), torch.cos(7 * y), x * y])[None]


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("size", [(64, 96), (45, 71)])
@torch.no_grad()
def test_scores_have_classes_and_objectness_at_any_size(name: str, size: tuple[int, int]) -> None:
    network = make(name)
    classes, objectness = network.deployed(picture(*size))
    assert classes.shape[:2] == (1, 5) and objectness.shape == (1, 2, *classes.shape[2:])
    assert classes.isfinite().all() and objectness.isfinite().all()
    assert size[0] / 8 <= classes.shape[2] <= size[0] and size[1] / 8 <= classes.shape[3] <= size[1]


@pytest.mark.parametrize("name", ZOO)
def test_every_parameter_learns(name: str) -> None:
    network = make(name).train()
    scores = network(picture(64, 96).repeat(2, 1, 1, 1) + 0.1 * torch.randn(2, 3, 64, 96))
    sum(s.square().mean() for s in scores if s is not None).backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize("name", ZOO)
@torch.no_grad()
def test_saved_is_loaded(name: str, tmp_path: Path) -> None:
    network = make(name)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    again = rebuild(describe(network))
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    for found, expected in zip(again.eval().deployed(picture(64, 96)), network.deployed(picture(64, 96)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ZOO)
@torch.no_grad()
def test_openvino_computes_the_same(name: str) -> None:
    network = make(name)
    model = to_openvino(network, 64, 96)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for size in ((64, 96), (45, 71)):  # the shape is not baked in
        found = compiled(picture(*size).numpy())
        for port, expected in zip(
            ("probabilities", "object_probability"), Deployed(network)(picture(*size)), strict=True
        ):
            np.testing.assert_allclose(found[port], expected.numpy(), atol=1e-4)


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize(
    "choices",
    [
        {"fusion": "probabilities"},
        {"fusion": "none"},
        {"labels_from": "semantic", "objectness_from": "fused"},
        {"shared": True, "encoder": "vgg"},
        {"tasks": ["semantic"]},
        {"semantic": {"summing_steps": 0, "concatenated": [5]}, "objectness": {"summing_steps": 1}},
        {"semantic": {"concatenated": [1, 3, 5]}, "objectness": {"summing_steps": 0}},
    ],
)
@torch.no_grad()
def test_every_choice_of_cmt_mchh_is_exported(choices: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = rebuild(merged(describe(make("cmt-mchh-lite")), choices)).eval()
    compiled = ov.Core().compile_model(to_openvino(network, 64, 96), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(picture(45, 71).numpy())
    for port, expected in zip(("probabilities", "object_probability"), Deployed(network)(picture(45, 71)), strict=True):
        np.testing.assert_allclose(found[port], expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ZOO)
@torch.no_grad()
def test_sum_at_a_fixed_seed(name: str) -> None:
    total = make(name).deployed(picture(64, 96)).classes.abs().double().sum().item()
    assert total == pytest.approx(FIXED_SUMS[name], rel=1e-3)


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match="known: cmt-mchh-lite, cmt-mchh-vgg, unet"):
        build("lenet", 5, OBJECTS)
    with pytest.raises(ConfigError, match="family is 'lenet'"):
        rebuild({"family": "lenet"})
