"""Hints: what a model's file, and the files beside it, say of its classes and of how it sees an image.

Sources: ``config.json`` and ``preprocessor_config.json`` (Hugging Face), ``model_info`` in an IR's rt_info (Model API,
Geti), and the metadata that Ultralytics puts into an ONNX file. Whatever is missing or malformed there is no hint.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import openvino as ov

Channels = tuple[float, ...]
MAX_JSON_BYTES = 10_000_000
# What reading raises of files that anybody may have written.
_MALFORMED = ValueError, TypeError, KeyError, AttributeError, SyntaxError, OSError, RecursionError
_RESIZE = {"standard": "stretch", "fit_to_window": "letterbox", "fit_to_window_letterbox": "letterbox"}


@dataclass(frozen=True)
class Hints:
    """What is known of a model before it is run; empty where nothing is.

    Attributes:
        names: of its classes, by id.
        size: (height, width) of its input, pixels.
        mean, scale: its input is (value - mean) / scale of values 0-255; one number, or one a channel.
        color: "rgb" or "bgr".
        resize: one of ``model_package.RESIZE``.
        multiple: sides of its input are multiples of this.
        instances: it finds instances.
        sources: where this was found.
    """

    names: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    mean: Channels | None = None
    scale: Channels | None = None
    color: str = ""
    resize: str = ""
    multiple: int = 0
    instances: bool = False
    sources: tuple[str, ...] = ()


def read_hints(path: Path, model: ov.Model) -> Hints:
    """Collect the hints of a model; what several sources say counts as the first of them says it.

    Args:
        path: its file.
        model: what OpenVINO read from it.
    """
    readers: dict[str, Callable[[], dict[str, Any]]] = {
        "model_info": lambda: _model_api(_section(model, "model_info")),
        "metadata of Ultralytics": lambda: _ultralytics(_section(model, "framework")),
        "config.json": lambda: _classes(_json(path.parent / "config.json")),
        "preprocessor_config.json": lambda: _preprocessor(_json(path.parent / "preprocessor_config.json")),
    }
    found: dict[str, Any] = {}
    sources = []
    for name, read in readers.items():
        hints: dict[str, Any] = {}
        with suppress(*_MALFORMED):
            hints = read()
        if hints:
            sources.append(name)
        found = {**hints, **found}
    allowed = {field.name for field in fields(Hints)}
    return Hints(**{key: value for key, value in found.items() if key in allowed}, sources=tuple(sources))


def _section(model: ov.Model, name: str) -> dict[str, str]:
    """Return the texts of a section of the rt_info."""
    info = model.get_rt_info()
    return {key: value.astype(str) for key, value in info[name].items()} if name in info else {}


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > MAX_JSON_BYTES:
        return {}
    with path.open(encoding="utf-8") as file:
        found = json.load(file)
    return found if isinstance(found, dict) else {}


def _classes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Read Hugging Face's config.json: the classes."""
    return {"names": _by_id(config["id2label"])} if "id2label" in config else {}


def _preprocessor(config: Mapping[str, Any]) -> dict[str, Any]:
    """Read Hugging Face's preprocessor_config.json: size and normalisation, there in shares of 255."""
    hints: dict[str, Any] = {}
    white = 1 / float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    if config.get("do_normalize", "image_mean" in config):
        hints["mean"] = tuple(white * float(value) for value in config["image_mean"])
        hints["scale"] = tuple(white * float(value) for value in config["image_std"])
    elif "do_normalize" in config:
        hints["mean"], hints["scale"] = (0.0,), (white,)
    size = config.get("size")
    if isinstance(size, dict) and {"height", "width"} <= set(size):
        hints["size"] = int(size["height"]), int(size["width"])
    elif isinstance(size, int):
        hints["size"] = size, size
    return hints


def _ultralytics(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read what Ultralytics writes into an ONNX: classes, size, and the task; its networks see RGB of 0-1."""
    if not {"task", "names", "stride"} <= set(metadata):
        return {}
    hints: dict[str, Any] = {
        "names": _by_id(ast.literal_eval(metadata["names"])),
        "mean": (0.0,),
        "scale": (255.0,),
        "color": "rgb",
        "resize": "letterbox",
        "multiple": int(metadata["stride"]),
        "instances": metadata["task"] == "segment",
    }
    if "imgsz" in metadata:
        height, width = ast.literal_eval(metadata["imgsz"])
        hints["size"] = int(height), int(width)
    return hints


def _model_api(info: Mapping[str, str]) -> dict[str, Any]:
    """Read the section of the rt_info that Model API and Geti write."""
    hints: dict[str, Any] = {}
    if labels := info.get("labels", "").split():
        hints["names"] = tuple(label.replace("_", " ") for label in labels)
    for key, name in (("mean_values", "mean"), ("scale_values", "scale")):
        if values := info.get(key, "").replace(",", " ").split():
            hints[name] = tuple(map(float, values))
    if info:  # what is not said there is not done
        hints = {"mean": (0.0,), "scale": (1.0,), **hints}
    if "reverse_input_channels" in info:  # of images that are blue-green-red
        hints["color"] = "rgb" if info["reverse_input_channels"].lower() in ("yes", "true", "1") else "bgr"
    if info.get("resize_type") in _RESIZE:
        hints["resize"] = _RESIZE[info["resize_type"]]
    hints["instances"] = "maskrcnn" in info.get("model_type", "").lower().replace("_", "")
    return hints if info else {}


def _by_id(names: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return names whose ids are 0, 1, 2, ..."""
    ordered = {int(key): str(name) for key, name in names.items()}
    if sorted(ordered) != list(range(len(ordered))):
        raise ValueError("ids with gaps")
    return tuple(ordered[k] for k in range(len(ordered)))
