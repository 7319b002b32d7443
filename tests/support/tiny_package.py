"""A model package with three layers of random weights: quantized in seconds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import yaml
from openvino import opset13 as ops

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.runtime.model_package import FORMAT_VERSION, RUNTIME_FILES, ModelPackage
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame

HEIGHT, WIDTH = 96, 160


def write_package(folder: Path, outlier: float = 1.0) -> ModelPackage:
    """Write 3x3 convolution, depthwise 3x3 convolution, 1x1 convolution to the classes, softmax.

    Args:
        folder: becomes the package.
        outlier: one channel before the last convolution is that many times as large as the others, and its weights
            that many times as small: the same network in float, but INT8 has few steps left for the other channels.
    """
    random = np.random.default_rng(0)

    def weights(*shape: int) -> ov.Node:
        return ops.constant(random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32))

    ones, same = [1, 1], [1, 1]
    x = ops.parameter([-1, 3, -1, -1], ov.Type.f32, name="x")
    y = ops.clamp(ops.convolution(x, weights(16, 3, 3, 3), ones, same, same, ones), 0.0, 6.0)
    y = ops.clamp(ops.group_convolution(y, weights(16, 1, 1, 3, 3), ones, same, same, ones), 0.0, 6.0)
    gain = np.ones((1, 16, 1, 1), np.float32)
    gain[0, 0] = outlier
    last = ops.constant(weights(len(CAMVID), 16, 1, 1).get_data() / gain)
    scores = ops.convolution(ops.multiply(y, gain), last, ones, [0, 0], [0, 0], ones)
    probabilities = ops.softmax(ops.multiply(scores, np.float32(4)), 1)
    objects = ops.gather(probabilities, list(CAMVID.object_ids), ops.constant(1))
    model = ov.Model([probabilities, ops.reduce_sum(objects, [1], keep_dims=True)], [x], "tiny")
    for port, name in zip(model.outputs, ("probabilities", "object_probability"), strict=True):
        port.get_tensor().set_names({name})
    folder.mkdir(parents=True)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=True)
    description = {
        "format": FORMAT_VERSION,
        "name": folder.name,
        "input": {"height": HEIGHT, "width": WIDTH, "color": "rgb", "mean": 127.0, "scale": 128.0},
        "classes": CAMVID.to_list(),
        "data": [{"name": "nothing", "source": "random numbers", "terms": "none"}],
        "terms": "None.",
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in RUNTIME_FILES},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    return ModelPackage.load(str(folder))


def write_data(package: ModelPackage, folder: Path) -> Path:
    """Frames of the synthetic street; the labels of val are what the package itself says of them."""
    pipeline = Pipeline(SegmentationConfig(model=str(package.folder), device="CPU"))
    for split, seed, count in (("train", 1, 3), ("val", 2, 2)):
        for name in ("images", "labels"):
            (folder / split / name).mkdir(parents=True)
        scene = StreetScene(WIDTH, HEIGHT, frames=40, seed=seed)
        for k in range(count):
            image = scene.frame(k * 15).pixels
            cv2.imwrite(str(folder / split / "images" / f"{k}.png"), image)
            labels = pipeline.process([Frame("c", k, image)])[0].class_ids
            cv2.imwrite(str(folder / split / "labels" / f"{k}.png"), labels)
    return folder
