"""The contract that every network of the zoo keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

import openvino as ov  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from cmt_seg_ros.config import SegmentationConfig  # noqa: E402
from cmt_seg_ros.deploy.export import Deployed, to_openvino, write_package  # noqa: E402
from cmt_seg_ros.errors import ConfigError  # noqa: E402
from cmt_seg_ros.labels import LabelClass, LabelSet  # noqa: E402
from cmt_seg_ros.networks.zoo import ZOO, build, describe, described_row, merged, rebuild  # noqa: E402
from cmt_seg_ros.runtime.pipeline import Pipeline  # noqa: E402
from cmt_seg_ros.structures import Frame  # noqa: E402
from cmt_seg_ros.training.datasets import Sample  # noqa: E402
from cmt_seg_ros.training.losses import LabelMeaning  # noqa: E402
from cmt_seg_ros.training.tasks import TASKS, TaskLosses  # noqa: E402

OBJECTS = (1, 3)
# Sum of absolute class scores of the picture below, at seed 0: changes when the network computes something else.
FIXED_SUMS = {"cmt-mchh-lite": 1474.58, "cmt-mchh-vgg": 1512.75, "unet": 1784.32}


# Changes that make each row small; its structure stays.
HYPER = {"widths": [16, 16, 16]}
SMALL: dict[str, dict[str, Any]] = {
    "cmt-mchh-lite": {"semantic": HYPER, "objectness": HYPER},
    "cmt-mchh-vgg": {"semantic": HYPER, "objectness": HYPER},
    "unet": {"widths": [8, 16, 16, 16]},
}


def make(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(name, 5, OBJECTS).eval()


def small(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return rebuild(merged(described_row(name, 5, OBJECTS), SMALL[name])).eval()


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
def test_every_parameter_learns_from_the_losses_of_all_tasks(name: str) -> None:
    network = small(name).train()
    scores = network(picture(64, 96).repeat(2, 1, 1, 1) + 0.1 * torch.randn(2, 3, 64, 96))
    weights = {task: 1.0 for task in TASKS if TASKS[task].scores(scores) is not None}
    losses = TaskLosses(weights, LabelMeaning([(k,) for k in range(5)], OBJECTS))
    labels = np.random.default_rng(0).integers(0, 5, (64, 96), np.uint8)
    targets = {k: torch.from_numpy(np.stack([v, v])) for k, v in losses.targets(Sample("s", labels, labels)).items()}
    losses.total(losses(scores, targets)).backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize("name", ZOO)
@torch.no_grad()
def test_saved_is_loaded(name: str, tmp_path: Path) -> None:
    network = small(name)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    again = rebuild(describe(network))
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    for found, expected in zip(again.eval().deployed(picture(64, 96)), network.deployed(picture(64, 96)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ZOO)
@torch.no_grad()
def test_openvino_computes_the_same(name: str) -> None:
    network = small(name)
    model = to_openvino(network, 64, 96)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for size in ((64, 96), (45, 71)):  # the shape is not baked in
        found = compiled(picture(*size).numpy())
        for port, expected in zip(
            ("probabilities", "object_probability"), Deployed(network)(picture(*size)), strict=True
        ):
            np.testing.assert_allclose(found[port], expected.numpy(), atol=1e-4)


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize("name", ZOO)
def test_a_package_and_its_int8_form_segment_a_frame(name: str, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="nncf is not installed: make test installs it")
    from cmt_seg_ros.deploy.quantize import quantize, write_quantized

    labels = LabelSet(tuple(LabelClass(k, f"class {k}", (k, 0, 0), k in OBJECTS) for k in range(5)))
    card: dict[str, Any] = {"data": [], "terms": "none", "reproduce": "a test"}
    package = write_package(small(name), labels, tmp_path / "fp16", (64, 96), card)
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    int8 = write_quantized(package, quantize(package, [image]), tmp_path / "int8", {})
    for made in (package, int8):
        pipeline = Pipeline(SegmentationConfig(model=str(made.folder), device="CPU"))
        found = pipeline.process([Frame("c", 1, image)])[0]
        assert found.class_ids.shape == (64, 96) and found.class_ids.max() < 5
        assert found.objectness is not None and found.confidence is not None
    assert any(op.get_type_name() == "FakeQuantize" for op in int8.read_ir().get_ops())


@pytest.mark.usefixtures("quick_export")
@pytest.mark.parametrize(
    "choices",
    [
        {"fusion": "probabilities"},
        {"fusion": "none"},
        {"labels_from": "semantic", "objectness_from": "fused"},
        {"shared": True, "encoder": "vgg"},
        {
            "encoder": "vgg",
            "vgg": {"widths": [8, 8, 16, 16, 16, 16], "convolutions": [1] * 6, "pooled": [1, 2, 3, 5]},
            "semantic": {"widths": [16, 8], "concatenated": [3, 6], "summing_steps": [1], "upsampler": "deconv"},
            "fuse_in_training": False,
        },
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
