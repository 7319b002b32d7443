"""Graph: one OpenVINO model from u8 images to scores, both at the size of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor, PreProcessSteps

from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.images.pixels import write_pixels
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import Frame

# Encodings that a graph reads; every other one is converted to bgr8 on its way into the input tensor (pixels.py).
COLOR_FORMATS = {
    "bgr8": ColorFormat.BGR,
    "rgb8": ColorFormat.RGB,
    "bgra8": ColorFormat.BGRX,
    "rgba8": ColorFormat.RGBX,
    "mono8": ColorFormat.GRAY,
    "mono16": ColorFormat.GRAY,
}
PADDING = 114  # grey beside a letterboxed image, as Ultralytics' networks are trained; close to the mean of ImageNet


@dataclass(frozen=True, order=True)
class GraphKey:
    """One image of a graph: size at which the network sees it, pixels, and one of COLOR_FORMATS."""

    height: int
    width: int
    encoding: str


def network_size(package: ModelPackage, height: int, width: int) -> tuple[int, int]:
    """Return the (height, width) of the network's input for an image.

    It follows from the package's ``resize``. keep-aspect: the image's shape, at the area the network was trained for,
    to the nearest ``multiple``; one within 2 % of that size is not scaled at all, if its sides are multiples. stretch
    and letterbox: the size of the package, whatever the image.
    """
    if package.resize != "keep-aspect":
        return package.height, package.width
    scale = math.sqrt(package.height * package.width / (height * width))
    if abs(scale - 1) < 0.02 and height % package.multiple == width % package.multiple == 0:
        return height, width
    least = math.ceil(32 / package.multiple) * package.multiple
    rows, columns = (round(side * scale / package.multiple) * package.multiple for side in (height, width))
    return max(least, rows), max(least, columns)


def content_size(package: ModelPackage, height: int, width: int) -> tuple[int, int]:
    """Return how many (rows, columns) of the network's input an image fills, from the top left: all, or letterboxed."""
    if package.resize != "letterbox":
        return network_size(package, height, width)
    scale, step = min(package.height / height, package.width / width), package.multiple
    rows, columns = (max(1, round(side * scale / step)) * step for side in (height, width))
    return min(rows, package.height), min(columns, package.width)


def write_frame(package: ModelPackage, frame: Frame, slot: Pixels) -> None:
    """Write a frame into (h, w, C) of the network's input, scaled; beside a letterboxed one everything is grey.

    Raises:
        FrameError: see :func:`pixels.write_pixels`.
    """
    rows, columns = content_size(package, *frame.size)
    if (rows, columns) != slot.shape[:2]:
        slot[...] = PADDING if slot.dtype == np.uint8 else PADDING * 257
    write_pixels(frame, slot[:rows, :columns])


def build(package: ModelPackage, keys: Sequence[GraphKey]) -> ov.Model:
    """Build the graph for one or several images, which go through the network as one batch.

    Inputs: one an image, (1, h, w, C) uint8 in its key's encoding (mono16: uint16). Outputs: those of the package in
    their order, one row an image, float32, but for ``class_ids`` in uint8: ``probabilities`` (N, classes, h', w') and
    others of ``contract.OUTPUTS`` at the size at which the network gives them; masks.py makes masks of them. All
    shapes are fixed but the number of boxes.

    Raises:
        ValueError: the images are of different sizes.
    """
    sizes = {(key.height, key.width) for key in keys}
    if len(sizes) != 1:
        raise ValueError(f"images of {sorted(sizes)} do not fit into one batch")
    (size,) = sizes
    model = package.read_ir()
    model.reshape([len(keys), 3, *size])
    parameters = _one_input_an_image(model, keys, size, package)
    outputs = [model.output(name).get_node().input_value(0) for name in package.outputs]
    pre = PrePostProcessor(ov.Model(outputs, parameters, "cmt_seg"))
    for i, key in enumerate(keys):
        tensor = pre.input(i).tensor()
        tensor.set_element_type(ov.Type.u16 if key.encoding == "mono16" else ov.Type.u8)
        tensor.set_layout(ov.Layout("NHWC")).set_color_format(COLOR_FORMATS[key.encoding])
        _preprocess(pre.input(i).preprocess(), key, ColorFormat.RGB if package.color == "rgb" else ColorFormat.BGR)
        pre.input(i).model().set_layout(ov.Layout("NCHW"))
    for i, name in enumerate(package.outputs):
        pre.output(i).tensor().set_element_type(ov.Type.u8 if name == "class_ids" else ov.Type.f32)
    return _named(pre.build())


def _named(model: ov.Model) -> ov.Model:
    """Name all nodes the same way each time: OpenVINO finds compiled networks in its cache by these names."""
    for i, op in enumerate(model.get_ordered_ops()):
        op.set_friendly_name(f"{op.get_type_name()}_{i}")
        for k, port in enumerate(op.outputs()):
            port.get_tensor().set_names({f"{i}_{k}"})
    return model


def _preprocess(steps: PreProcessSteps, key: GraphKey, color: ColorFormat) -> None:
    """Convert to float and to the network's order of colours (step 3 of pipeline.py)."""
    steps.convert_element_type(ov.Type.f32)
    if key.encoding == "mono16":
        steps.scale(257.0)  # 65535 becomes 255
    if COLOR_FORMATS[key.encoding] not in (color, ColorFormat.GRAY):
        steps.convert_color(color)


def _one_input_an_image(
    model: ov.Model, keys: Sequence[GraphKey], size: tuple[int, int], package: ModelPackage
) -> list[ov.Node]:
    """Give the network one input an image, and normalise what comes.

    Grey images have one channel, seen as equal red, green and blue.
    """
    parameters, images = [], []
    for i, key in enumerate(keys):
        channels = 1 if COLOR_FORMATS[key.encoding] == ColorFormat.GRAY else 3
        parameters.append(ops.parameter([1, channels, *size], ov.Type.f32, name=f"image_{i}"))
        images.append(parameters[i] if channels == 3 else ops.concat([parameters[i]] * 3, axis=1))
    batch = images[0] if len(images) == 1 else ops.concat(images, axis=0)
    batch = ops.divide(ops.subtract(batch, package.mean[None]), package.scale[None])
    for reader in list(model.get_parameters()[0].output(0).get_target_inputs()):
        reader.replace_source_output(batch.output(0))
    return parameters
