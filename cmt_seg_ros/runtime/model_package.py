"""ModelPackage: a folder with model.yaml, model.xml and model.bin, verified before it is used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov
import yaml

from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.files import is_hidden, openable, refuse_lfs_pointer, shared
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.runtime import devices

FORMAT_VERSION = 1
RUNTIME_FILES = ("model.xml", "model.bin")


@dataclass(frozen=True, eq=False)
class ModelPackage:
    """Verified model package.

    Attributes:
        folder: its folder.
        name: its name.
        labels: what its class ids mean.
        height, width: image size the network was trained for, pixels.
        mean, scale: the network's input is (value - mean) / scale, red-green-blue.
        precision: of its weights: "fp16" or "int8".
        description: all of model.yaml.
    """

    folder: Path
    name: str
    labels: LabelSet
    height: int
    width: int
    mean: float
    scale: float
    precision: str
    description: dict[str, Any]

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
            size, labels = description["input"], LabelSet.from_list(description["classes"])
            package = cls(
                folder=folder,
                name=str(description["name"]),
                labels=labels,
                height=int(size["height"]),
                width=int(size["width"]),
                mean=float(size["mean"]),
                scale=float(size["scale"]),
                precision=str(description.get("precision", "fp16")),
                description=description,
            )
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ModelError(f"{folder / 'model.yaml'}: {error!r}; restore the package or export it again") from error
        if min(package.height, package.width) < 32 or package.scale == 0 or size.get("color") != "rgb":
            raise ModelError(f"{folder / 'model.yaml'}: input is {size}; expected sides >= 32, color rgb, scale not 0")
        return package

    def read_ir(self) -> ov.Model:
        """Read the network and check that it has as many classes as model.yaml.

        Raises:
            ModelError: OpenVINO cannot read it, or its classes do not match.
        """
        try:
            with openable(self.folder) as folder:
                model = ov.Core().read_model(folder / "model.xml")
            classes = model.output("probabilities").get_partial_shape()[1].get_length()
        except RuntimeError as error:
            path = self.folder / "model.xml"
            raise ModelError(f"{path} cannot be read: {devices.reason(error)}; export the model again") from error
        if classes != len(self.labels):
            raise ModelError(
                f"{self.folder}: the network has {classes} classes but model.yaml lists {len(self.labels)}; "
                "restore the package or export it again"
            )
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
        description = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"{path} cannot be read: {error}; restore the package or export it again") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT_VERSION:
        found = description.get("format") if isinstance(description, dict) else type(description).__name__
        raise ModelError(f"{path}: format is {found!r}; this version reads format {FORMAT_VERSION}; export it again")
    return description


def _verify_files(folder: Path, description: dict[str, Any]) -> None:
    sums = description.get("sha256")
    for name in RUNTIME_FILES:
        expected = sums.get(name) if isinstance(sums, dict) else None
        path = folder / name
        if expected is None or not path.is_file():
            what = "has no checksum in model.yaml" if path.is_file() else "is missing"
            raise ModelError(f"{path} {what}; restore the package (git checkout) or export it again")
        refuse_lfs_pointer(path, ModelError)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise ModelError(
                f"{path} is damaged: its sha256 is {found[:12]}..., model.yaml says {str(expected)[:12]}...; "
                "restore the package (git checkout) or export it again"
            )
