"""An fp16 package becomes an INT8 one: real NNCF on a tiny network and frames of the synthetic street."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from support.tiny_package import write_data, write_package
from support.waiting import DEADLINE_S

pytest.importorskip("nncf", reason="nncf is not installed: make test installs it")

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.deploy.measure import agreement, measure
from cmt_seg_ros.deploy.quantize import (
    calibration_images,
    network_input,
    quantize,
    quantize_controlled,
    write_quantized,
)
from cmt_seg_ros.errors import DatasetError, ModelError
from cmt_seg_ros.images.pixels import slot_shape, write_pixels
from cmt_seg_ros.runtime.graph import GraphKey, build, network_size
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import U8, Frame
from cmt_seg_ros.training.datasets import read_folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return write_package(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def data(package: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(package, tmp_path_factory.mktemp("data") / "street")


@pytest.fixture(scope="module")
def val(package: ModelPackage, data: Path) -> list[tuple[U8, U8]]:
    return [(s.image, s.labels) for s in read_folder(data / "val", len(package.labels))]


def pipeline(package: ModelPackage) -> Pipeline:
    return Pipeline(SegmentationConfig(model=str(package.folder), device="CPU"))


def layers(package: ModelPackage) -> Counter[str]:
    return Counter(op.get_type_name() for op in package.read_ir().get_ops())


def test_ordinary_convolutions_become_int8(
    package: ModelPackage, data: Path, val: list[tuple[U8, U8]], tmp_path: Path
) -> None:
    images = calibration_images(data / "train" / "images", 3)
    int8 = write_quantized(package, quantize(package, images), tmp_path / "tiny-int8", {"note": "kept"})
    assert int8.precision == "int8" and package.precision == "fp16"
    assert (int8.name, int8.labels, int8.description["note"]) == ("tiny-int8", package.labels, "kept")
    # Two of the three convolutions read INT8; the depthwise one does not.
    ops = {op.get_type_name(): op for op in int8.read_ir().get_ops()}
    assert layers(int8)["FakeQuantize"] == 2
    assert ops["GroupConvolution"].input_value(0).get_node().get_type_name() == "Clamp"
    assert (int8.folder / "model.bin").stat().st_size < (package.folder / "model.bin").stat().st_size
    # Its labels are those of fp16 up to rounding: the random network decides much by little.
    alike = agreement(pipeline(package), pipeline(int8), [image for image, _ in val])
    assert 0.9 < alike < 1.0
    assert measure(pipeline(int8), val)["pixel_accuracy"] == pytest.approx(alike, abs=1e-3)


def test_same_images_give_the_same_weights(package: ModelPackage, data: Path, tmp_path: Path) -> None:
    images = calibration_images(data / "train" / "images", 2)
    sums = [
        write_quantized(package, quantize(package, images), tmp_path / name / "x", {}).description["sha256"][
            "model.bin"
        ]
        for name in ("first", "second")
    ]
    assert sums[0] == sums[1]


def test_accuracy_control_puts_layers_back_until_the_loss_is_small(
    package: ModelPackage, data: Path, val: list[tuple[U8, U8]], tmp_path: Path
) -> None:
    images = calibration_images(data / "train" / "images", 3)
    plain = write_quantized(package, quantize(package, images), tmp_path / "plain", {})
    controlled = write_quantized(package, quantize_controlled(package, images, val, 0.1), tmp_path / "controlled", {})
    assert layers(controlled)["FakeQuantize"] < layers(plain)["FakeQuantize"]
    assert 1 - measure(pipeline(controlled), val)["miou"] <= 0.1 < 1 - measure(pipeline(plain), val)["miou"]


def test_network_that_does_not_stand_int8_is_refused(
    package: ModelPackage, data: Path, val: list[tuple[U8, U8]]
) -> None:
    images = calibration_images(data / "train" / "images", 3)
    with pytest.raises(ModelError, match="tiny: accuracy control returned every layer to float"):
        quantize_controlled(package, images, val, -1.0)


def test_calibration_images_are_spread_over_the_folder(data: Path, tmp_path: Path) -> None:
    folder = data / "train" / "images"
    everything = calibration_images(folder, 100)
    assert len(everything) == 3
    first, last = calibration_images(folder, 2)
    assert np.array_equal(first, everything[0]) and np.array_equal(last, everything[1])
    with pytest.raises(DatasetError, match="no images in"):
        calibration_images(tmp_path, 2)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"a\.png cannot be decoded"):
        calibration_images(tmp_path, 2)


@pytest.mark.parametrize("size", [(96, 160), (70, 200)])
def test_calibration_sees_what_the_compiled_graph_hands_the_network(
    package: ModelPackage, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    # Compared after the first convolution: OpenVINO may swap the colours in its weights instead of in the image.
    slot = np.empty((1, *slot_shape(network_size(package, *size), "bgr8")), np.uint8)
    write_pixels(Frame("c", 0, image), slot[0])
    expected = _first_convolution(build(package, [GraphKey(*network_size(package, *size), "bgr8")]), slot)
    found = _first_convolution(package.read_ir(), network_input(package, image))
    np.testing.assert_allclose(found, expected, atol=1e-2)


def _first_convolution(model: ov.Model, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    convolution = next(op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution")
    until = ov.Model([convolution.output(0)], model.get_parameters(), "until")
    return ov.Core().compile_model(until, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


def test_nncf_reports_nothing(tmp_path: Path) -> None:
    """Its reporter is OpenVINO's, which would write an id to ~/intel before it sends anything."""
    environment = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("NNCF")}
    code = "import cmt_seg_ros.deploy.quantize, sys; assert sys.modules['openvino_telemetry'] is None"
    subprocess.run(
        [sys.executable, "-c", code], env={**environment, "HOME": str(tmp_path)}, check=True, timeout=DEADLINE_S
    )
    assert not (tmp_path / "intel").exists()
