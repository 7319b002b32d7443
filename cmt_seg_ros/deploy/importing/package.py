"""Package of a foreign network, which is checked against the network itself."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import yaml
from openvino import opset13 as ops

from cmt_seg_ros import __version__
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.deploy.importing.classes import named
from cmt_seg_ros.deploy.importing.hints import Hints, read_hints
from cmt_seg_ros.deploy.importing.instances import InstanceLayout, find_instance_layout
from cmt_seg_ros.deploy.importing.original import (
    Original,
    Wishes,
    compile_original,
    grey_weights,
    open_original,
    port_name,
    read_model,
    size_text,
    takes,
    values_text,
)
from cmt_seg_ros.deploy.importing.roles import PixelLayout, Values, check_given, described, find_pixel_layout
from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.files import write_whole
from cmt_seg_ros.labels import LabelClass, LabelSet
from cmt_seg_ros.runtime.model_package import FORMAT_VERSION, RUNTIME_FILES, ModelPackage
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import U8, Frame

MULTIPLE = 32  # of the sides of a network's input that takes any size, unless the model says another
Layout = PixelLayout | InstanceLayout
AGREEMENT = 0.999  # share of pixels that the package must label as the bare model does


def import_model(path: Path, wishes: Wishes, folder: Path, images: Sequence[U8] = ()) -> tuple[ModelPackage, list[str]]:
    """Make a model package of a file, and check that it labels images as the bare model does.

    Args:
        path: ONNX, OpenVINO IR, TFLite, Paddle.
        wishes: what the user says; it counts more than what the file says.
        folder: becomes the package; its name is the model's name.
        images: (H, W, 3) uint8 blue-green-red, to try it on beside a synthetic street and noise.

    Returns:
        The package, and sentences about what was found out or assumed.

    Raises:
        ModelError: the file cannot be read, or is no network of this kind; says what is wrong with it.
        ConfigError: something is not known; names the option that says it.
    """
    model = read_model(path)
    hints = read_hints(path, model)
    original = open_original(path, model, wishes, hints)
    compiled = compile_original(original)
    shown = [cv2.resize(image, original.size[::-1]) for image in (*images, _street(), _noise(original.size))]
    runs = [original.infer(compiled, image) for image in shown]
    outputs = {name: [run[name] for run in runs] for name in runs[0]}
    if wrong := [name for name, values in outputs.items() if not all(np.isfinite(v).all() for v in values)]:
        raise ModelError(f"output `{wrong[0]}` of {path} is not finite on ordinary images")
    names = wishes.labels.names if wishes.labels else hints.names
    layout = _layout(original, outputs, wishes, hints, len(names))
    labels, chosen = _labels(layout, outputs, wishes, hints)
    if isinstance(layout, InstanceLayout):
        # Boxes of several images cannot be told apart, and shares become pixels of this one size.
        alone, fixed = layout.kind == "boxes", layout.shares
        original = replace(original, batches=original.batches and not alone, any_size=original.any_size and not fixed)
    resize = wishes.resize or hints.resize or ("keep-aspect" if original.any_size else "stretch")
    if resize == "keep-aspect" and not original.any_size:
        raise ConfigError(
            f"--resize keep-aspect: {path} takes {size_text(original.size)} only; use stretch or letterbox"
        )
    multiple = _multiple(original, hints, layout.rows(outputs), resize)
    adapted = _adapted(original, layout)
    package = _write(original, adapted, layout, labels, {"resize": resize, "multiple": multiple}, folder)
    _check(original, package, layout, shown, runs)
    said = [
        f"{path.name}: {layout.words}" + (f", read from {', '.join(hints.sources)}" if hints.sources else ""),
        f"input {size_text(original.size)}{' or any other size' if original.any_size else ''}, {original.color}, "
        f"mean {values_text(original.mean)}, scale {values_text(original.scale)}; images: {resize}",
        f"{len(labels)} classes{chosen}; objects: {', '.join(labels.names[k] for k in labels.object_ids) or 'none'} "
        "(--objects a,b,c changes that)",
    ]
    if isinstance(layout, InstanceLayout) and not layout.seen:
        said.append(
            "no instance was found in the trial images, so boxes and masks could not be compared with the model's own: "
            "look at --try PHOTO, with a photo that shows some"
        )
    if "class_ids" in package.outputs:
        said.append("it gives class ids without scores: there is no confidence, and score_threshold has no effect")
    return package, said


def _layout(
    original: Original, outputs: Mapping[str, Sequence[Values]], wishes: Wishes, hints: Hints, names: int
) -> Layout:
    """Find out what the outputs are."""
    check_given(outputs, wishes.outputs)
    if instances := find_instance_layout(outputs, wishes.outputs, original.size, names):
        return instances
    if hints.instances:
        raise ModelError(
            f"{original.path} finds instances, but not in a known way; {described(outputs)}; known are YOLO-seg of "
            "Ultralytics and boxes, scores, labels and masks as of Mask R-CNN (--output NAME=boxes and the like)"
        )
    return find_pixel_layout(outputs, wishes.outputs, original.size, names)


def _labels(
    layout: Layout, outputs: Mapping[str, Sequence[Values]], wishes: Wishes, hints: Hints
) -> tuple[LabelSet, str]:
    """Return the classes, and words on where they come from."""
    name, count, words = layout.name, layout.classes, ""
    if wishes.labels is not None:
        labels = wishes.labels
    elif hints.names and (not count or len(hints.names) == count):
        labels = named(hints.names)
    elif layout.is_foreground:
        labels = LabelSet((LabelClass(0, "background", (0, 0, 0)), LabelClass(1, "foreground", (0, 192, 64), True)))
        words = " (--classes FILE gives them other names)"
    else:
        what = f"{count} classes" if count else "class ids"
        but = f"; {', '.join(hints.sources)} has {len(hints.names)} names" if hints.names else ""
        raise ConfigError(f"output `{name}` has {what}{but}; say their names: --classes NAME or FILE")
    if count and len(labels) != count:
        shape = tuple(outputs[name][0].shape)
        raise ConfigError(f"output `{name}` is {shape}, {count} classes; {len(labels)} classes were given")
    highest = layout.highest_id(outputs)
    if highest >= len(labels):
        raise ConfigError(
            f"output `{name}` has the class id {highest}; {len(labels)} classes were given, and ids count from 0: "
            "where 0 means background, the first name must be `background`"
        )
    if layout.objects_only and wishes.objects is None:
        objects = tuple(replace(c, is_object=c.name.casefold() != "background") for c in labels.classes)
        return LabelSet(objects), words
    if wishes.objects is None:
        return labels, words
    unknown = [name for name in wishes.objects if name.casefold() not in {c.name.casefold() for c in labels.classes}]
    if unknown:
        raise ConfigError(f"--objects: there is no class {unknown[0]!r}; there are {', '.join(labels.names)}")
    chosen = labels.ids_named({name.casefold() for name in wishes.objects})
    return LabelSet(tuple(replace(c, is_object=c.id in chosen) for c in labels.classes)), words


def _multiple(original: Original, hints: Hints, rows: int, resize: str) -> int:
    """Return what the sides of the input, or of what is filled of it, are multiples of."""
    if resize == "stretch":
        return 1
    if resize == "keep-aspect":
        multiple = hints.multiple or MULTIPLE
        if not takes(original, 1, tuple(side + multiple for side in original.size)):  # type: ignore[arg-type]
            raise ModelError(
                f"{original.path} says that it takes any size, but runs at {size_text(original.size)} only; use "
                "--resize stretch or letterbox"
            )
        return multiple
    return max(1, math.ceil(original.size[0] / rows)) if rows else 1


def _adapted(original: Original, layout: Layout) -> ov.Model:
    """Give a model the input and the outputs of a package."""
    model = original.model.clone()
    old = model.get_parameters()[0]
    batch = -1 if original.batches else 1
    size = [-1, -1] if original.any_size else list(original.size)
    image = ops.parameter([batch, 3, *size], ov.Type.f32, name="x")
    node: ov.Node = image
    if original.channels == 1:
        weights = np.array(grey_weights(original.color), np.float32).reshape(1, 3, 1, 1)
        node = ops.reduce_sum(ops.multiply(node, weights), ops.constant([1]), keep_dims=True)
    if original.channel_axis == 3:
        node = ops.transpose(node, ops.constant([0, 2, 3, 1]))
    kind = old.get_element_type()
    if not kind.is_real():
        node = ops.round(ops.clamp(node, 0.0, 255.0), "half_to_even")
    if kind != ov.Type.f32:
        node = ops.convert(node, kind)
    for reader in list(old.output(0).get_target_inputs()):
        reader.replace_source_output(node.output(0))
    ports = {port_name(port, i): port.get_node().input_value(0) for i, port in enumerate(model.outputs)}
    results = []
    for name, port in layout.adapted(ports, original.size).items():
        port.get_tensor().set_names({name})
        results.append(ops.result(port))
    return ov.Model(results, [image], "imported")


def _write(
    original: Original, model: ov.Model, layout: Layout, labels: LabelSet, fit: Mapping[str, Any], folder: Path
) -> ModelPackage:
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)  # the weights stay as they are
    height, width = original.size
    normalised = {"mean": list(original.mean), "scale": list(original.scale)}
    description = {
        "format": FORMAT_VERSION,
        "name": folder.name,
        "made_with": f"cmt_seg_ros {__version__}",
        "precision": "fp16",
        "input": {
            "height": height, "width": width, "color": original.color, **normalised, **fit,
            "max_batch": 0 if original.batches else 1,
        },
        "outputs": list(layout.outputs),
        "classes": labels.to_list(),
        "data": [{"name": original.path.name, "source": "imported", "terms": "not stated"}],
        "terms": "Not stated: those of the model that was imported. Fill in data and terms in model.yaml before you "
        "pass this model on.",
        "reproduce": f"cmt-seg import {original.path.name}",
        "imported": {
            "file": original.path.name,
            "sha256": hashlib.sha256(original.path.read_bytes()).hexdigest(),
            "output": layout.name,
        },
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in RUNTIME_FILES},
    }  # fmt: skip
    write_whole(folder / "model.yaml", yaml.safe_dump(description, sort_keys=False, width=100))
    return ModelPackage.load(str(folder))


def _check(
    original: Original,
    package: ModelPackage,
    layout: Layout,
    images: Sequence[U8],
    runs: Sequence[Mapping[str, Values]],
) -> None:
    """Compare the package with what the bare model gave for the same images, at the model's own size.

    Raises:
        ModelError: they label too many pixels differently.
    """
    config = SegmentationConfig(model=str(package.folder), device="CPU", precision="f32")
    pipeline = Pipeline(config)
    equal = []
    for image, given in zip(images, runs, strict=True):
        expected = layout.by_hand(given, original.size, package.labels, config)
        found = pipeline.process([Frame("import", 0, image)])[0].class_ids
        equal.append(float(np.mean(found == expected)))
    if min(equal) < AGREEMENT:
        raise ModelError(
            f"the package of {original.path} labels {min(equal):.2%} of the pixels of an image as the model itself "
            f"does; {AGREEMENT:.1%} are needed"
        )


@cache
def _street() -> U8:
    return StreetScene(320, 180, frames=1, seed=1).frame(0).pixels


def _noise(size: tuple[int, int]) -> U8:
    return np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
