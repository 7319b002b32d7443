"""Original: a foreign network as its file has it, and how it sees an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov

from cmt_seg_ros.deploy.importing.hints import Channels, Hints
from cmt_seg_ros.deploy.importing.roles import Values
from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.runtime.model_package import SIDES_PX
from cmt_seg_ros.structures import U8

SUFFIXES = (".onnx", ".xml", ".tflite", ".pdmodel", ".pb")
_IMAGENET = "--mean 123.675,116.28,103.53 --scale 58.395,57.12,57.375"


@dataclass(frozen=True)
class Wishes:
    """What the user says of a model; empty where he says nothing.

    Attributes:
        labels: its classes.
        size, mean, scale, color, resize: as in :class:`hints.Hints`.
        layout: "nchw" or "nhwc", of its input.
        outputs: role by name of an output, see :data:`roles.ROLES`.
        objects: names of the classes that are objects; None: the usual ones.
    """

    labels: LabelSet | None = None
    size: tuple[int, int] | None = None
    mean: Channels | None = None
    scale: Channels | None = None
    color: str = ""
    layout: str = ""
    resize: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    objects: Sequence[str] | None = None


@dataclass(frozen=True, eq=False)
class Original:
    """The model as it was given, and how it sees an image.

    Attributes:
        path: its file.
        model: as OpenVINO reads it.
        size: (height, width) of its input, pixels.
        any_size: it takes other sizes, too.
        batches: it takes several images at a time.
        channel_axis: of its input.
        channels: 3, or 1 for grey.
        mean, scale: one value a channel.
        color: "rgb" or "bgr".
    """

    path: Path
    model: ov.Model
    size: tuple[int, int]
    any_size: bool
    batches: bool
    channel_axis: int
    channels: int
    mean: Channels
    scale: Channels
    color: str

    def infer(self, compiled: ov.CompiledModel, image: U8) -> dict[str, Values]:
        """Return what the bare model gives for a (H, W, 3) uint8 blue-green-red image of its size, by output."""
        seen = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if self.color == "rgb" else image
        values = (seen.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.scale, np.float32)
        if self.channels == 1:
            values = values @ np.array(grey_weights(self.color), np.float32)[:, None]
        if self.channel_axis == 1:
            values = values.transpose(2, 0, 1)
        kind = compiled.input().element_type
        values = values if kind.is_real() else np.clip(np.rint(values), 0, 255)
        found = compiled([np.ascontiguousarray(values[None]).astype(kind.to_dtype())])
        return {port_name(port, i): np.array(found[port]) for i, port in enumerate(compiled.outputs)}


def read_model(path: Path) -> ov.Model:
    """Read a file with OpenVINO.

    Raises:
        ModelError: there is none, or it is of another kind, or damaged.
    """
    if not path.is_file():
        raise ModelError(f"{path} does not exist or is no file; give one ending in {', '.join(SUFFIXES)}")
    if path.suffix not in SUFFIXES:
        raise ModelError(f"{path} ends in {path.suffix!r}; can be read: {', '.join(SUFFIXES)}")
    if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
        raise ModelError(f"{path.with_suffix('.bin')} is missing: an OpenVINO IR is two files")
    try:
        return ov.Core().read_model(path)
    except Exception as error:  # of a file that is cut or forged, OpenVINO raises whatever it stumbles over
        raise ModelError(f"{path} cannot be read: {devices.reason(error)}") from error


def open_original(path: Path, model: ov.Model, wishes: Wishes, hints: Hints) -> Original:
    """Find out how a model sees an image."""
    if len(model.inputs) != 1:
        there = ", ".join(f"{port_name(port, i)} {port.get_partial_shape()}" for i, port in enumerate(model.inputs))
        raise ModelError(f"{path} has {len(model.inputs)} inputs ({there}); a network with one, the image, is needed")
    port = model.input()
    shape = port.get_partial_shape()
    kind = port.element_type
    if shape.rank.is_dynamic or len(shape) != 4:
        raise ModelError(f"the input of {path} is {shape}; it must have four dimensions")
    if not kind.is_real() and kind != ov.Type.u8:
        raise ModelError(f"the input of {path} is {kind.to_string()}; floating point or u8 is needed")
    axis, channels = _channel_axis(path, shape, wishes.layout)
    rows, columns = (shape[i] for i in ((2, 3) if axis == 1 else (1, 2)))
    said = wishes.size or hints.size
    if rows.is_static and columns.is_static:
        size = rows.get_length(), columns.get_length()
        if wishes.size and wishes.size != size:
            raise ConfigError(f"--size {size_text(wishes.size)}: {path} takes {size_text(size)} only; leave it out")
    elif said is None:
        raise ConfigError(f"{path} takes images of any size; say for which it was trained: --size 512x512 (WxH)")
    else:
        size = said
    if not all(SIDES_PX[0] <= side <= SIDES_PX[1] for side in size):
        raise ConfigError(
            f"{path} takes {size_text(size)}; sides from {SIDES_PX[0]} to {SIDES_PX[1]} pixels are allowed"
        )
    mean, scale = wishes.mean or hints.mean, wishes.scale or hints.scale
    if kind == ov.Type.u8 and mean is None and scale is None:
        mean, scale = (0.0,), (1.0,)
    if mean is None or scale is None:
        raise ConfigError(
            f"{path} does not say how its input is normalised; say it: {_IMAGENET} (most networks), --mean 0 --scale "
            "255 (values 0-1), --mean 127.5 --scale 127.5 (-1 to 1), --mean 0 --scale 1 (0-255)"
        )
    every = [values * 3 if len(values) == 1 else values for values in (mean, scale)]
    if any(len(values) != 3 for values in every) or not np.isfinite(every).all() or min(every[1]) <= 0:
        given = f"mean {values_text(mean)}, scale {values_text(scale)}"
        raise ConfigError(f"{given}: one number or three each, scales above 0")
    color = wishes.color or hints.color or "rgb"
    original = Original(path, model, size, not (rows.is_static and columns.is_static), False, axis, channels,
                        every[0], every[1], color)  # fmt: skip
    return replace(original, batches=takes(original, 2, size))


def _channel_axis(path: Path, shape: ov.PartialShape, layout: str) -> tuple[int, int]:
    """Return axis and number of the channels of the input."""
    found = {axis: shape[axis].get_length() for axis in (1, 3) if shape[axis].is_static}
    possible = {axis: count for axis, count in found.items() if count in (1, 3)}
    if layout:
        axis = 1 if layout == "nchw" else 3
        if axis not in possible:
            raise ConfigError(f"--layout {layout}: the input of {path} is {shape}")
        return axis, possible[axis]
    if len(possible) > 1:
        colors = {axis: count for axis, count in possible.items() if count == 3}
        possible = colors if len(colors) == 1 else {}
        if not possible:
            raise ConfigError(f"the input of {path} is {shape}; say which layout that is: --layout nchw|nhwc")
    if not possible:
        raise ModelError(
            f"the input of {path} is {shape}; an image has 1 or 3 channels, at the second or the last place"
        )
    return next(iter(possible.items()))


def takes(original: Original, batch: int, size: tuple[int, int]) -> bool:
    """Tell whether the model runs with a batch of a size; one whose file says another number is not asked."""
    shape = original.model.input().get_partial_shape()
    if shape[0].is_static and shape[0].get_length() != batch:
        return False
    try:
        model = original.model.clone()
        channels = original.channels
        model.reshape([batch, channels, *size] if original.channel_axis == 1 else [batch, *size, channels])
        compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        zeros = np.zeros(tuple(compiled.input().shape), compiled.input().element_type.to_dtype())
        found = compiled([zeros])
        return all(len(found[port]) == batch for port in compiled.outputs)
    except Exception:  # whatever OpenVINO stumbles over: it does not take that
        return False


def compile_original(original: Original) -> ov.CompiledModel:
    """Compile a network as it is, for one image of its size, on the CPU and in f32.

    Raises:
        ModelError: it cannot be run at that size.
    """
    model, channels, size = original.model.clone(), original.channels, original.size
    try:
        model.reshape([1, channels, *size] if original.channel_axis == 1 else [1, *size, channels])
        return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except Exception as error:
        raise ModelError(f"{original.path} cannot be run at {size_text(size)}: {devices.reason(error)}") from error


def port_name(port: Any, number: int) -> str:
    """Return the name of an input or output; one without a name is called by its number."""
    return min(port.get_names(), default=str(number))


def grey_weights(color: str) -> tuple[float, float, float]:
    """Return the weights of the channels in grey, BT.601."""
    red, green, blue = 0.299, 0.587, 0.114
    return (red, green, blue) if color == "rgb" else (blue, green, red)


def size_text(size: Sequence[int]) -> str:
    """Write a (height, width) as people do, width first."""
    return f"{size[1]}x{size[0]}"


def values_text(values: Sequence[float]) -> str:
    """Write the values of the channels as the options take them."""
    return ",".join(f"{value:g}" for value in (values[:1] if len(set(values)) == 1 else values))
