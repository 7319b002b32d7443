"""One OpenVINO graph from u8 images to u8 masks: everything that happens to pixels happens here."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor, ResizeAlgorithm

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.runtime.model_package import ModelPackage

# ROS encoding -> colour order of the pixels.
COLOR_FORMATS = {
    "bgr8": ColorFormat.BGR,
    "8UC3": ColorFormat.BGR,
    "rgb8": ColorFormat.RGB,
    "bgra8": ColorFormat.BGRX,
    "rgba8": ColorFormat.RGBX,
    "mono8": ColorFormat.GRAY,
}


@dataclass(frozen=True)
class GraphKey:
    """What a compiled graph is made for: image size in pixels, and ROS encoding."""

    height: int
    width: int
    encoding: str


def network_size(package: ModelPackage, height: int, width: int) -> tuple[int, int]:
    """Size at which the network sees an image: same shape, scaled to the area it was trained for.

    An image within 2 % of that size is not scaled at all.
    """
    scale = math.sqrt(package.height * package.width / (height * width))
    if abs(scale - 1) < 0.02:
        return height, width
    return max(32, round(height * scale)), max(32, round(width * scale))


def build(package: ModelPackage, key: GraphKey, config: SegmentationConfig) -> ov.Model:
    """Build the graph.

    Input: (N, H, W, C) uint8 in the key's encoding. Outputs, all (N, H, W) uint8: ``class_ids``
    (255 = unlabelled), ``objectness`` (0 or 255), ``confidence`` (0-255 for 0-1). With ``top_k`` above 1 also
    ``top_ids`` and ``top_scores`` (0-255 for 0-1), both (N, k, H, W) uint8, most probable class first, whatever
    the score threshold.
    """
    model = package.read_ir()
    height, width = network_size(package, key.height, key.width)
    model.reshape([-1, 3, height, width])
    if key.encoding == "mono8":
        model = _with_grey_input(model, height, width)
    model = _with_masks(model, key, config)

    pre = PrePostProcessor(model)
    tensor = pre.input().tensor()
    tensor.set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(COLOR_FORMATS[key.encoding])
    tensor.set_spatial_static_shape(key.height, key.width)
    steps = pre.input().preprocess()
    if COLOR_FORMATS[key.encoding] not in (ColorFormat.RGB, ColorFormat.GRAY):
        steps.convert_color(ColorFormat.RGB)
    steps.convert_element_type(ov.Type.f32)
    if (height, width) != (key.height, key.width):
        steps.resize(ResizeAlgorithm.RESIZE_LINEAR)
    steps.mean(package.mean).scale(package.scale)
    pre.input().model().set_layout(ov.Layout("NCHW"))
    return pre.build()


def _with_grey_input(model: ov.Model, height: int, width: int) -> ov.Model:
    """Give the network one channel to read: it sees grey as equal red, green and blue."""
    grey = ops.parameter([-1, 1, height, width], ov.Type.f32, name="grey")
    color = ops.concat([grey, grey, grey], axis=1)
    old = model.get_parameters()[0]
    for reader in list(old.output(0).get_target_inputs()):
        reader.replace_source_output(color.output(0))
    return ov.Model(model.get_results(), [grey], "grey")


def _with_masks(model: ov.Model, key: GraphKey, config: SegmentationConfig) -> ov.Model:
    """Put up-sampling, arg-max and thresholds behind the network."""
    probabilities = _resized(model.output("probabilities"), key)
    # 1. Most probable classes of the fused classification, and their probabilities.
    count = ops.constant(config.top_k)
    best = ops.topk(probabilities, count, axis=1, mode="max", sort="value", index_element_type="i32")
    first, axis = ops.constant(0), ops.constant(1)
    score, ids = ops.gather(best.output(0), first, axis), ops.gather(best.output(1), first, axis)
    if config.score_threshold > 0:
        ids = ops.select(ops.less(score, _f32(config.score_threshold)), ops.constant(IGNORE_ID, ov.Type.i32), ids)
    # 2. Objectness from its own scores.
    object_probability = ops.gather(_resized(model.output("object_probability"), key), first, axis)
    is_object = ops.greater(object_probability, _f32(config.object_threshold))
    objectness = ops.select(is_object, ops.constant(255, ov.Type.u8), ops.constant(0, ov.Type.u8))
    outputs = {"class_ids": ops.convert(ids, "u8"), "objectness": objectness, "confidence": _as_u8(score)}
    if config.top_k > 1:
        outputs |= {"top_ids": ops.convert(best.output(1), "u8"), "top_scores": _as_u8(best.output(0))}
    for name, node in outputs.items():
        node.output(0).get_tensor().set_names({name})
    return ov.Model([node.output(0) for node in outputs.values()], model.get_parameters(), "cmt_seg")


def _resized(port: ov.Output, key: GraphKey) -> ov.Node:
    """Bilinear up-sampling to the image's size, as the network was trained (half-pixel centres)."""
    size = ops.constant(np.array([key.height, key.width], np.int64))
    source = port.get_node().input_value(0)  # what the Result node of the output reads
    return ops.interpolate(source, size, "linear_onnx", "sizes", coordinate_transformation_mode="half_pixel",
                           axes=ops.constant(np.array([2, 3], np.int64)))  # fmt: skip


def _as_u8(probability: ov.Output) -> ov.Node:
    """0-1 as 0-255, to the nearest."""
    return ops.convert(ops.round(ops.multiply(probability, _f32(255)), "half_to_even"), "u8")


def _f32(value: float) -> ov.Node:
    return ops.constant(value, ov.Type.f32)
