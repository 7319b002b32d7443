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
from cmt_seg_ros.runtime import contract, devices
from cmt_seg_ros.text import printable, shortened

FORMAT_VERSION = 1
RUNTIME_FILES = ("model.xml", "model.bin")
CARD = "README.md"
SIDES_PX = 32, 4096
"""Shortest and longest side of the images that a network may be trained for."""
PRECISIONS = ("fp16", "int8")
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
        outputs: names of its outputs, of ``contract.OUTPUTS``.
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
                outputs=contract.read_outputs(description),
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
            fault = contract.fault_of(model, self.outputs, len(self.labels))
        except Exception as error:  # of a file that is cut or forged, OpenVINO raises whatever it stumbles over
            raise ModelError(f"{path} cannot be read: {devices.reason(error)}; export the model again") from error
        if fault:
            raise ModelError(f"{path}: {fault}; make a package of the original model with cmt-seg import")
        return model


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
