"""Graph: one OpenVINO model from u8 images to scores, both at the size of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor, PreProcessSteps

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
# Outputs of a graph, in this order; the package has them by the same names.
SCORES = ("probabilities", "object_probability")


@dataclass(frozen=True, order=True)
class GraphKey:
    """One image of a graph: size at which the network sees it, pixels, and one of COLOR_FORMATS."""

    height: int
    width: int
    encoding: str


def network_size(package: ModelPackage, height: int, width: int) -> tuple[int, int]:
    """Return the (height, width) at which the network sees an image: scaled to the area it was trained for.

    An image within 2 % of that size is not scaled at all.
    """
    scale = math.sqrt(package.height * package.width / (height * width))
    if abs(scale - 1) < 0.02:
        return height, width
    return max(32, round(height * scale)), max(32, round(width * scale))


def build(package: ModelPackage, keys: Sequence[GraphKey]) -> ov.Model:
    """Build the graph for one or several images, which go through the network as one batch.

    Inputs: one an image, (1, h, w, C) uint8 in its key's encoding (mono16: uint16). Outputs, one row an image:
    ``probabilities`` (N, classes, h', w') and ``object_probability`` (N, 1, h', w') float32, 0-1, at the size at which
    the network gives them; masks.py makes masks of them. All shapes are fixed.

    Raises:
        ValueError: the images are of different sizes.
    """
    sizes = {(key.height, key.width) for key in keys}
    if len(sizes) != 1:
        raise ValueError(f"images of {sorted(sizes)} do not fit into one batch")
    (size,) = sizes
    model = package.read_ir()
    model.reshape([len(keys), 3, *size])
    parameters = _one_input_an_image(model, keys, size)
    outputs = [model.output(name).get_node().input_value(0) for name in SCORES]
    pre = PrePostProcessor(ov.Model(outputs, parameters, "cmt_seg"))
    for i, key in enumerate(keys):
        tensor = pre.input(i).tensor()
        tensor.set_element_type(ov.Type.u16 if key.encoding == "mono16" else ov.Type.u8)
        tensor.set_layout(ov.Layout("NHWC")).set_color_format(COLOR_FORMATS[key.encoding])
        _preprocess(pre.input(i).preprocess(), key, package)
        pre.input(i).model().set_layout(ov.Layout("NCHW"))
    for i in range(len(outputs)):
        pre.output(i).tensor().set_element_type(ov.Type.f32)
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
