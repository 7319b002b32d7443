"""ModelPackage: a folder with model.yaml, model.xml and model.bin, verified before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from cmt_seg_ros.documents import read_yaml
from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.files import is_hidden, openable, refuse_lfs_pointer, shared
from cmt_seg_ros.labels import MAX_NAME, LabelSet
from cmt_seg_ros.runtime import devices
from cmt_seg_ros.text import printable, shortened

FORMAT_VERSION = 1
RUNTIME_FILES = ("model.xml", "model.bin")
CARD = "README.md"
SIDES_PX = 32, 4096
"""Shortest and longest side of the images that a network may be trained for."""
PRECISIONS = ("fp16", "int8")
SCORES = ("probabilities", "object_probability")
"""Outputs of a network whose model.yaml names none: (N, C, h, w) and (N, 1, h, w), 0-1."""
BOXES = ("boxes", "box_scores", "box_labels")
"""Outputs of a network that finds instances: (N, K, 4), (N, K) and (N, K), see :func:`instances.find_instances`."""
BOX_MASKS = ("box_masks",)
"""Beside BOXES: (N, K, m, m), the mask of each box."""
PROTOTYPES = ("box_coefficients", "prototypes")
"""Or: (N, K, P) and (N, P, h, w), of which the masks are made."""
DENSE = (*SCORES, "edges", "distance", "prototypes")
"""Outputs of (N, channels, h, w): planes that lie over the image."""
OUTPUTS = (*SCORES, "class_ids", "edges", "distance", *BOXES, *BOX_MASKS, *PROTOTYPES)
"""All outputs that a network may have; ``class_ids`` (N, h, w) takes the place of probabilities where it gives none.
``edges`` and ``distance`` (N, 1, h, w) are 0-1; a distance of 1 is 10 pixels or more."""
_RANKS = {"class_ids": 3, "boxes": 3, "box_scores": 2, "box_labels": 2, "box_coefficients": 3}  # of others: 4
RESIZE = ("keep-aspect", "stretch", "letterbox")
"""How an image gets to the network's size, see :func:`graph.network_size`; the first is the default."""
COLORS = ("rgb", "bgr")
MAX_MULTIPLE = 256
_MAX_CARD_BYTES = 1_000_000

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ModelPackage:
    """Verified model package.

    Attributes:
        folder: its folder.
        name: its name.
        labels: what its class ids mean.
        height, width: image size the network was trained for, pixels.
        color: order of its input's channels, one of COLORS.
        mean, scale: (3, 1, 1) float32; the network's input is (value - mean) / scale of each channel, in that order.
        resize: one of RESIZE.
        multiple: sides of its input are multiples of this, pixels.
        max_batch: images that it takes at a time at most; 0: any number.
        outputs: names of its outputs, of OUTPUTS.
        precision: of its weights: "fp16" or "int8".
        description: all of model.yaml.
    """

    folder: Path
    name: str
    labels: LabelSet
    height: int
    width: int
    color: str
    mean: F32
    scale: F32
    resize: str
    multiple: int
    max_batch: int
    outputs: tuple[str, ...]
    precision: str
    description: dict[str, Any]

    @property
    def has_scores(self) -> bool:
        """Whether it gives a probability for each class of each pixel."""
        return "probabilities" in self.outputs

    @property
    def has_instances(self) -> bool:
        """Whether it tells objects of one class apart."""
        return "boxes" in self.outputs

    @classmethod
    def load(cls, model: str) -> ModelPackage:
        """Find a package by name or path and verify its files.

        Raises:
            ModelError: not found, a file is missing, a checksum differs, or model.yaml is wrong.
        """
        folder = find(model)
        description = _read_description(folder)
        _verify_files(folder, description)
        try:
            size = _mapping(description, "input")
            return cls(
                folder=folder,
                name=_name(description),
                labels=LabelSet.from_list(description.get("classes", ())),
                height=int(_number(size, "height", *SIDES_PX, whole=True)),
                width=int(_number(size, "width", *SIDES_PX, whole=True)),
                color=_choice(size, "color", COLORS),
                mean=_by_channel(size, "mean", -1e6, 1e6),
                scale=_by_channel(size, "scale", 1e-6, 1e6),
                resize=_choice({"resize": RESIZE[0], **size}, "resize", RESIZE),
                multiple=int(_number({"multiple": 1, **size}, "multiple", 1, MAX_MULTIPLE, whole=True)),
                max_batch=int(_number({"max_batch": 0, **size}, "max_batch", 0, 1024, whole=True)),
                outputs=_outputs(description),
                precision=_precision(description),
                description=description,
            )
        except ConfigError as error:
            raise ModelError(f"{folder / 'model.yaml'}: {error}; restore the package or export it again") from error

    def read_card(self) -> str:
        """Read the card, Markdown.

        Raises:
            ModelError: there is none, or it is no text.
        """
        path = self.folder / CARD
        if not path.is_file():
            raise ModelError(f"{path} does not exist; this package has no card")
        try:
            with path.open("rb") as file:
                return file.read(_MAX_CARD_BYTES).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path} is not text in UTF-8: {error}; restore the package") from error

    def read_ir(self) -> ov.Model:
        """Read the network and check that it is what model.yaml says.

        Raises:
            ModelError: OpenVINO cannot read it, or its input or an output does not fit.
        """
        path = self.folder / "model.xml"
        try:
            with path.open("rb") as file:
                if not file.read(100).lstrip().startswith(b"<"):  # OpenVINO would try it as a model of any other kind
                    raise ValueError("it is no XML")
            with openable(self.folder) as folder:
                model = ov.Core().read_model(folder / "model.xml")
            fault = self._fault(model)
        except Exception as error:  # of a file that is cut or forged, OpenVINO raises whatever it stumbles over
            raise ModelError(f"{path} cannot be read: {devices.reason(error)}; export the model again") from error
        if fault:
            raise ModelError(f"{path}: {fault}; make a package of the original model with cmt-seg import")
        return model

    def _fault(self, model: ov.Model) -> str:
        """Say what of a network does not fit model.yaml; empty if all does."""
        if len(model.inputs) != 1:
            return f"the network has {len(model.inputs)} inputs; it must have one, the image"
        shape = model.input().get_partial_shape()
        if shape.rank.is_static and (len(shape) != 4 or not shape[1].compatible(ov.Dimension(3))):
            return f"the network's input is {shape}; it must be (N, 3, H, W)"
        for name in self.outputs:
            port = next((port for port in model.outputs if name in port.get_names()), None)
            if port is None:
                there = ", ".join(
                    f"{next(iter(port.get_names()), '?')} {port.get_partial_shape()}" for port in model.outputs
                )
                without = ", or say outputs: [probabilities] in model.yaml" if name == "object_probability" else ""
                return f"the network has no output {name}; it has {printable(there)}{without}"
            found, ranks = port.get_partial_shape(), _RANKS.get(name, 4)
            if found.rank.is_static and len(found) != ranks:
                return f"output {name} is {found}; it must have {ranks} dimensions"
            channels = {"probabilities": len(self.labels)}.get(name, 1 if name in DENSE[1:4] else 0)
            if channels and found.rank.is_static and not found[1].compatible(ov.Dimension(channels)):
                what = f"{channels} classes are listed in model.yaml" if channels > 1 else "it must have one channel"
                return f"output {name} is {found}; {what}"
        return self._box_fault(model)

    def _box_fault(self, model: ov.Model) -> str:
        """Say what of the outputs of instances does not fit together; empty if all does."""
        shapes = {name: model.output(name).get_partial_shape() for name in self.outputs}
        shapes = {name: shape for name, shape in shapes.items() if shape.rank.is_static}
        if "boxes" in shapes and not shapes["boxes"][2].compatible(ov.Dimension(4)):
            return f"output boxes is {shapes['boxes']}; it must be (N, K, 4)"
        rows = {name: shapes[name][1] for name in (*BOXES, *BOX_MASKS, PROTOTYPES[0]) if name in shapes}
        for name, count in rows.items():
            if not count.compatible(next(iter(rows.values()))):
                return f"output {name} is {shapes[name]}, and boxes {shapes['boxes']}; both must be of as many objects"
        if set(PROTOTYPES) <= set(shapes) and not shapes[PROTOTYPES[0]][2].compatible(shapes[PROTOTYPES[1]][1]):
            of = " and ".join(f"{name} {shapes[name]}" for name in PROTOTYPES)
            return f"outputs are {of}; each prototype needs a coefficient"
        return ""


def search_path() -> list[Path]:
    """List the folders that hold packages: of the source checkout, then of ROS prefixes, then of this environment."""
    return shared("models")


def available() -> dict[str, Path]:
    """Return name and folder of every package on the search path; of equal names the first counts."""
    found: dict[str, Path] = {}
    for root in search_path():
        for description in sorted(root.glob("*/model.yaml")):
            if not is_hidden(description.parent.name):
                found.setdefault(description.parent.name, description.parent)
    return found


def find(model: str) -> Path:
    """Return the folder of a package given by name or path.

    Raises:
        ModelError: there is no such package; the message lists the installed ones.
    """
    path = Path(model).expanduser()
    if (path / "model.yaml").is_file():
        return path.resolve()
    packages = available()
    if model in packages:
        return packages[model]
    known = ", ".join(packages) or "none"
    raise ModelError(f"model {model!r} not found; installed: {known}; or give a folder that holds a model.yaml")


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "model.yaml"
    refuse_lfs_pointer(path, ModelError)
    try:
        description = read_yaml(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; restore the package or export it again") from error
    except ConfigError as error:
        raise ModelError(f"{error}; restore the package or export it again") from error
    found = description.get("format") if isinstance(description, dict) else type(description).__name__
    if type(found) is not int or found != FORMAT_VERSION:  # true is 1, but no version
        what = f"format is {shortened(found)}; this version reads format {FORMAT_VERSION}"
        raise ModelError(f"{path}: {what}; export it again")
    return dict(description)


def _mapping(description: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = description.get(key)
    if not isinstance(found, dict):
        raise ConfigError(f"{key} is {shortened(found)}; it must be a mapping")
    return found


def _number(values: Mapping[str, Any], key: str, low: float, high: float, whole: bool = False) -> float:
    """Return a number of the description's ``input`` that is finite and in a range."""
    found = values.get(key)
    if isinstance(found, bool) or not isinstance(found, int if whole else int | float) or not low <= found <= high:
        kind = "whole number" if whole else "number"
        raise ConfigError(f"input.{key} is {shortened(found)}; it must be a {kind} from {low:g} to {high:g}")
    return found


def _by_channel(values: Mapping[str, Any], key: str, low: float, high: float) -> F32:
    """Return a number of the description's ``input``, or three of them, as (3, 1, 1)."""
    found = values.get(key)
    if isinstance(found, list) and len(found) != 3:
        raise ConfigError(f"input.{key} is {shortened(found)}; it must be a number, or three: one for each channel")
    numbers = found if isinstance(found, list) else [found] * 3
    return np.array([_number({key: one}, key, low, high) for one in numbers], np.float32).reshape(3, 1, 1)


def _choice(values: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    found = values.get(key)
    if found not in allowed:
        raise ConfigError(f"input.{key} is {shortened(found)}; allowed: {', '.join(allowed)}")
    return str(found)


def _outputs(description: Mapping[str, Any]) -> tuple[str, ...]:
    found = description.get("outputs", list(SCORES))
    if not isinstance(found, list) or not all(name in OUTPUTS for name in found) or len(set(found)) != len(found):
        raise ConfigError(f"outputs is {shortened(found)}; it must be a list of some of {', '.join(OUTPUTS)}")
    given = set(found)
    if {"probabilities", "class_ids"} <= given or not given & {"probabilities", "class_ids", "boxes"}:
        raise ConfigError(
            f"outputs is {shortened(found)}; it must have either probabilities or class_ids, or boxes, of which "
            "class ids are made"
        )
    instances = given & {*BOXES, *BOX_MASKS, *PROTOTYPES}
    if instances not in (set(), {*BOXES, *BOX_MASKS}, {*BOXES, *PROTOTYPES}):
        raise ConfigError(
            f"outputs is {shortened(found)}; instances need {', '.join(BOXES)}, and either {BOX_MASKS[0]} or "
            f"{' and '.join(PROTOTYPES)}"
        )
    return tuple(found)


def _name(description: Mapping[str, Any]) -> str:
    found = description.get("name")
    if not isinstance(found, str) or not 0 < len(found) <= MAX_NAME:
        raise ConfigError(f"name is {shortened(found)}; it must be a text of 1 to {MAX_NAME} characters")
    return printable(found)


def _precision(description: Mapping[str, Any]) -> str:
    found = description.get("precision", PRECISIONS[0])
    if found not in PRECISIONS:
        raise ConfigError(f"precision is {shortened(found)}; allowed: {', '.join(PRECISIONS)}")
    return str(found)


def _verify_files(folder: Path, description: dict[str, Any]) -> None:
    sums = description.get("sha256")
    if isinstance(sums, dict) and not all(isinstance(text, str) for one in sums.items() for text in one):
        sums = None
    for name in RUNTIME_FILES:
        expected = sums.get(name) if isinstance(sums, dict) else None
        path = folder / name
        if expected is None or not path.is_file():
            what = "has no checksum in model.yaml" if path.is_file() else "is missing"
            raise ModelError(f"{path} {what}; restore the package (git checkout) or export it again")
        refuse_lfs_pointer(path, ModelError)
        try:
            found = _sha256(path)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}; restore the package") from error
        if found != expected:
            raise ModelError(
                f"{path} is damaged: its sha256 is {found[:12]}..., model.yaml says {expected[:12]}...; "
                "restore the package (git checkout) or export it again"
            )


def _sha256(path: Path) -> str:
    """Return the checksum of a file, which may be larger than the memory."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()
