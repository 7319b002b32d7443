"""Quantization of an fp16 package to INT8 by NNCF; with accuracy control where the loss is too large."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import nncf
import numpy as np
import numpy.typing as npt
import openvino as ov
import yaml

from cmt_seg_ros import __version__
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import DatasetError, ModelError, SourceError
from cmt_seg_ros.files import write_whole
from cmt_seg_ros.images.files import list_files, read_image
from cmt_seg_ros.images.pixels import slot_shape
from cmt_seg_ros.metrics.segmentation import confusion_matrix, mean_iou
from cmt_seg_ros.runtime.graph import network_size, write_frame
from cmt_seg_ros.runtime.masks import make_masks
from cmt_seg_ros.runtime.model_package import RUNTIME_FILES, ModelPackage
from cmt_seg_ros.structures import U8, Frame

F32 = npt.NDArray[np.float32]

# Kept in float. In INT8 they cost CMT-MCHH-Lite 2 points of mIoU on CamVid and saved no time: see docs/models.md.
# Ordinary convolutions, which remain, take most of the time.
FLOAT_LAYERS = ("GroupConvolution", "Add", "Concat", "Interpolate", "Multiply", "ReduceSum")

nncf.set_log_level(logging.WARNING)  # its progress bars stay


def calibration_images(folder: Path, count: int) -> list[U8]:
    """Read ``count`` images of a folder, evenly spaced in natural order, so always the same ones.

    Raises:
        DatasetError: no images there, or one cannot be read.
    """
    paths = list_files(folder)
    if not paths:
        raise DatasetError(f"no images in {folder}; INT8 is calibrated on the network's training images")
    count = min(count, len(paths))
    try:
        return [read_image(paths[i * len(paths) // count]) for i in range(count)]
    except SourceError as error:
        raise DatasetError(str(error)) from error


def quantize(package: ModelPackage, images: Sequence[U8]) -> ov.Model:
    """Quantize weights and activations of the ordinary convolutions.

    Args:
        package: the fp16 package.
        images: (H, W, 3) uint8 blue-green-red, to calibrate on.
    """
    return nncf.quantize(package.read_ir(), _calibration(package, images), **_settings(images))


def quantize_controlled(
    package: ModelPackage, images: Sequence[U8], samples: Sequence[tuple[U8, U8]], max_loss: float
) -> ov.Model:
    """Quantize, then return the costliest layers to float until the loss is small enough. Takes many minutes.

    Args:
        package: the fp16 package.
        images: (H, W, 3) uint8 blue-green-red, to calibrate on.
        samples: images like those with (H, W) uint8 class ids, 255 = ignored, to measure the loss on.
        max_loss: largest allowed loss of mIoU, 0-1.

    Raises:
        ModelError: the loss is small enough only with all layers in float.
    """

    def miou(network: ov.CompiledModel, chosen: Iterable[tuple[U8, U8]]) -> float:
        matrices = [
            confusion_matrix(sample[1], _labels(package, network, sample), len(package.labels)) for sample in chosen
        ]
        return mean_iou(np.sum(matrices, axis=0))

    model = nncf.quantize_with_accuracy_control(
        package.read_ir(),
        calibration_dataset=_calibration(package, images),
        validation_dataset=nncf.Dataset(samples, lambda sample: network_input(package, sample[0])),
        validation_fn=miou,
        max_drop=max_loss,
        advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(num_ranking_workers=1),
        **_settings(images),
    )
    if all(op.get_type_name() != "FakeQuantize" for op in model.get_ops()):
        raise ModelError(
            f"{package.name}: accuracy control returned every layer to float, so nothing is left in INT8; "
            "calibrate on more images, or on images more like those used for measuring"
        )
    return model


def _settings(images: Sequence[U8]) -> dict[str, Any]:
    return {
        "preset": nncf.QuantizationPreset.PERFORMANCE,
        "subset_size": len(images),
        "fast_bias_correction": False,  # the slow one: half a minute, 0.4 points of mIoU
        "ignored_scope": nncf.IgnoredScope(types=list(FLOAT_LAYERS), validate=False),
    }


def _calibration(package: ModelPackage, images: Sequence[U8]) -> nncf.Dataset:
    return nncf.Dataset(images, lambda image: network_input(package, image))


def network_input(package: ModelPackage, image: U8) -> F32:
    """Prepare an image as the compiled graph does: (1, 3, h, w) float32, normalised, in the network's order of colours.

    Args:
        package: gives size, colours and normalisation.
        image: (H, W, 3) uint8 blue-green-red.
    """
    pixels = np.empty(slot_shape(network_size(package, *image.shape[:2]), "bgr8"), np.uint8)
    write_frame(package, Frame("calibration", 0, image), pixels)
    if package.color == "rgb":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray((pixels.astype(np.float32).transpose(2, 0, 1)[None] - package.mean) / package.scale)


def _labels(package: ModelPackage, network: ov.CompiledModel, sample: tuple[U8, U8]) -> U8:
    """Return class ids at the size of the truth."""
    image, truth = sample
    found = network(network_input(package, image))
    outputs = {name: found[name][0] for name in package.outputs}
    size = truth.shape[0], truth.shape[1]
    return make_masks(outputs, size, ("class_ids",), SegmentationConfig(), package.labels)["class_ids"]


def write_quantized(package: ModelPackage, model: ov.Model, folder: Path, settings: dict[str, Any]) -> ModelPackage:
    """Write ``model.{xml,bin,yaml}`` of the INT8 network and read them back.

    Args:
        package: the fp16 package, whose description this one inherits.
        model: its network in INT8.
        folder: becomes the package; its name is the model's name.
        settings: further keys of model.yaml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=True)
    inherited = {key: value for key, value in package.description.items() if key != "sha256"}
    description = {
        **inherited,
        "name": folder.name,
        "made_with": f"cmt_seg_ros {__version__}, nncf {nncf.__version__}",
        "precision": "int8",
        **settings,
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in RUNTIME_FILES},
    }
    write_whole(folder / "model.yaml", yaml.safe_dump(description, sort_keys=False, width=100))
    return ModelPackage.load(str(folder))
