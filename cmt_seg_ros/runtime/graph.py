"""Graph: one OpenVINO model from u8 images to u8 masks; all arithmetic on pixels except scaling is in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor, PreProcessSteps

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.runtime.model_package import ModelPackage

# Encodings that a graph reads; every other one is converted to bgr8 on its way into the input tensor (pixels.py).
COLOR_FORMATS = {
    "bgr8": ColorFormat.BGR,
    "rgb8": ColorFormat.RGB,
    "bgra8": ColorFormat.BGRX,
    "rgba8": ColorFormat.RGBX,
    "mono8": ColorFormat.GRAY,
    "mono16": ColorFormat.GRAY,
}
# Outputs of a graph and fields of Segmentation, by the same names and in this order.
MASKS = ("class_ids", "objectness", "confidence", "top_ids", "top_scores")


@dataclass(frozen=True, order=True)
class GraphKey:
    """One image of a graph: size in pixels, one of COLOR_FORMATS, and which of MASKS are made of it."""

    height: int
    width: int
    encoding: str
    masks: tuple[str, ...] = MASKS[:3]


def network_size(package: ModelPackage, height: int, width: int) -> tuple[int, int]:
    """Return the (height, width) at which the network sees an image: scaled to the area it was trained for.

    An image within 2 % of that size is not scaled at all.
    """
    scale = math.sqrt(package.height * package.width / (height * width))
    if abs(scale - 1) < 0.02:
        return height, width
    return max(32, round(height * scale)), max(32, round(width * scale))


def largest_image_px(classes: int) -> int:
    """Return the pixels of the largest image of which a graph can give masks.

    The graph holds a float for each pixel and class, and for objectness, in one tensor. OpenVINO's CPU plugin addresses
    2 GiB of it: above that it ends in a segmentation fault, or the last classes are wrong.
    """
    return 2**31 // (4 * (classes + 1))


def build(package: ModelPackage, keys: Sequence[GraphKey], config: SegmentationConfig) -> ov.Model:
    """Build the graph for one or several images, which go through the network as one batch.

    Inputs: one an image, (1, h, w, C) uint8 in its key's encoding (mono16: uint16), scaled to the size at which the
    network sees it (:func:`network_size`; pixels.py says why that is not part of the graph). Outputs: for each image
    its masks in the order of the key, (H, W) uint8: ``class_ids`` (255 = unlabelled), ``objectness`` (0 or 255),
    ``confidence`` (0-255 for 0-1); and (k, H, W) uint8: ``top_ids`` and ``top_scores`` (0-255 for 0-1), the
    ``config.top_k`` most probable classes, most probable first, whatever the score threshold. All shapes are fixed.

    Raises:
        ValueError: the network would see the images at different sizes.
    """
    sizes = {network_size(package, key.height, key.width) for key in keys}
    if len(sizes) != 1:
        raise ValueError(f"images that become {sorted(sizes)} do not fit into one batch")
    (size,) = sizes
    model = package.read_ir()
    model.reshape([len(keys), 3, *size])
    parameters = _one_input_an_image(model, keys, size)
    outputs = _masks(model, keys, config)
    pre = PrePostProcessor(ov.Model(outputs, parameters, "cmt_seg"))
    for i, key in enumerate(keys):
        tensor = pre.input(i).tensor()
        tensor.set_element_type(ov.Type.u16 if key.encoding == "mono16" else ov.Type.u8)
        tensor.set_layout(ov.Layout("NHWC")).set_color_format(COLOR_FORMATS[key.encoding])
        _preprocess(pre.input(i).preprocess(), key, package)
        pre.input(i).model().set_layout(ov.Layout("NCHW"))
    return _named(pre.build())


def _named(model: ov.Model) -> ov.Model:
    """Name all nodes the same way each time: OpenVINO finds compiled networks in its cache by these names."""
    for i, op in enumerate(model.get_ordered_ops()):
        op.set_friendly_name(f"{op.get_type_name()}_{i}")
        for k, port in enumerate(op.outputs()):
            port.get_tensor().set_names({f"{i}_{k}"})
    return model


def _preprocess(steps: PreProcessSteps, key: GraphKey, package: ModelPackage) -> None:
    """Convert colours and normalise values as the network was trained (step 3 of pipeline.py)."""
    steps.convert_element_type(ov.Type.f32)
    if key.encoding == "mono16":
        steps.scale(257.0)  # 65535 becomes 255
    steps.mean(package.mean).scale(package.scale)
    if COLOR_FORMATS[key.encoding] not in (ColorFormat.RGB, ColorFormat.GRAY):
        steps.convert_color(ColorFormat.RGB)


def _one_input_an_image(model: ov.Model, keys: Sequence[GraphKey], size: tuple[int, int]) -> list[ov.Node]:
    """Give the network one input an image; grey images have one channel, seen as equal red, green and blue."""
    parameters, images = [], []
    for i, key in enumerate(keys):
        channels = 1 if COLOR_FORMATS[key.encoding] == ColorFormat.GRAY else 3
        parameters.append(ops.parameter([1, channels, *size], ov.Type.f32, name=f"image_{i}"))
        images.append(parameters[i] if channels == 3 else ops.concat([parameters[i]] * 3, axis=1))
    batch = images[0] if len(images) == 1 else ops.concat(images, axis=0)
    for reader in list(model.get_parameters()[0].output(0).get_target_inputs()):
        reader.replace_source_output(batch.output(0))
    return parameters


def _masks(model: ov.Model, keys: Sequence[GraphKey], config: SegmentationConfig) -> list[ov.Output]:
    """Append up-sampling, arg-max and thresholds to the network; its own scores are fused already (step 4)."""
    names = ("probabilities", "object_probability")
    classes, objects = (model.output(name).get_node().input_value(0) for name in names)
    # One up-sampling for both: alone, the single channel of the objects would cost as much as all classes.
    both = ops.concat([classes, objects], axis=1)
    images = [both.output(0)] if len(keys) == 1 else ops.split(both, 0, len(keys)).outputs()
    outputs = []
    for image, key in zip(images, keys, strict=True):
        found = _image_masks(image, key, classes.get_partial_shape()[1].get_length(), config)
        outputs += [found[name].output(0) for name in key.masks]
    return outputs


def _image_masks(scores: ov.Output, key: GraphKey, classes: int, config: SegmentationConfig) -> dict[str, ov.Node]:
    """Compute all masks of one image; the compiler removes those that are not outputs of the graph."""
    size = ops.constant(np.array([key.height, key.width], np.int64))
    # Step 5: up-sample to the size of the image; bilinear, as the network was trained (half-pixel centres).
    full = ops.interpolate(scores, size, "linear_onnx", "sizes", coordinate_transformation_mode="half_pixel",
                           axes=ops.constant(np.array([2, 3], np.int64)))  # fmt: skip
    probabilities, is_object = ops.variadic_split(full, 1, [classes, 1]).outputs()
    # Step 6: arg-max, the most probable classes of the fused classification; pixels below the threshold are unlabelled.
    count = ops.constant(config.top_k)
    best = ops.topk(probabilities, count, axis=1, mode="max", sort="value", index_element_type="i32")
    first, axis = ops.constant(0), ops.constant(1)
    score, ids = ops.gather(best.output(0), first, axis), ops.gather(best.output(1), first, axis)
    if config.score_threshold > 0:
        ids = ops.select(ops.less(score, _f32(config.score_threshold)), ops.constant(IGNORE_ID, ov.Type.i32), ids)
    # Objectness from its own scores.
    above = ops.greater(is_object, _f32(config.object_threshold))
    objectness = ops.select(above, ops.constant(255, ov.Type.u8), ops.constant(0, ov.Type.u8))
    one, many = [key.height, key.width], [config.top_k, key.height, key.width]
    return {
        "class_ids": ops.reshape(ops.convert(ids, "u8"), one, False),
        "objectness": ops.reshape(objectness, one, False),
        "confidence": ops.reshape(_as_u8(score), one, False),
        "top_ids": ops.reshape(ops.convert(best.output(1), "u8"), many, False),
        "top_scores": ops.reshape(_as_u8(best.output(0)), many, False),
    }


def _as_u8(probability: ov.Output) -> ov.Node:
    """Scale 0-1 to 0-255, rounded to the nearest."""
    return ops.convert(ops.round(ops.multiply(probability, _f32(255)), "half_to_even"), "u8")


def _f32(value: float) -> ov.Node:
    return ops.constant(np.float32(value))
