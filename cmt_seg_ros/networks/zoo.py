"""Zoo: a table of every network that the package can build and deploy, one row each.

A network takes (N, 3, H, W) float images. Calling it returns the Scores that training compares with labels;
``deployed`` returns those that masks are made from. ``config`` holds everything needed to rebuild it.
Any row can be trained: a recipe names it (``training/recipe.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig
from cmt_seg_ros.networks.unet import UNet, UNetConfig

FAMILIES: dict[str, tuple[Any, Any]] = {"cmt_mchh": (CmtMchhConfig, CmtMchh), "unet": (UNetConfig, UNet)}


@dataclass(frozen=True)
class Row:
    """One network of the zoo.

    Attributes:
        paper: name and reference.
        family: key of FAMILIES: its code.
        choices: changes to the defaults of the family's configuration.
    """

    paper: str
    family: str
    choices: Mapping[str, Any] = field(default_factory=dict)


VGG_WIDTHS = {"widths": [256, 128, 64]}  # those of the stages, so that stages are summed as they are
ZOO = {
    "cmt-mchh-lite": Row("CMT-MCHH; encoder: EfficientNet-Lite0 (Tan and Le 2019)", "cmt_mchh"),
    "cmt-mchh-vgg": Row(
        "CMT-MCHH; encoder: VGG-16 (Simonyan and Zisserman 2015)",
        "cmt_mchh",
        {"encoder": "vgg", "semantic": VGG_WIDTHS, "objectness": VGG_WIDTHS},
    ),
    "unet": Row("U-Net (Ronneberger et al. 2015)", "unet"),
}


def build(name: str, num_classes: int, object_ids: tuple[int, ...]) -> nn.Module:
    """Build a network of the zoo with initial weights.

    Raises:
        ConfigError: no row has that name.
    """
    return rebuild(described_row(name, num_classes, object_ids))


def described_row(name: str, num_classes: int, object_ids: tuple[int, ...]) -> dict[str, Any]:
    """Return the plain values from which :func:`rebuild` makes a row of the zoo.

    Raises:
        ConfigError: no row has that name.
    """
    if name not in ZOO:
        raise ConfigError(f"network is {name!r}; known: {', '.join(ZOO)}")
    row = ZOO[name]
    return {"family": row.family, **merged(FAMILIES[row.family][0](num_classes, object_ids).to_dict(), row.choices)}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes``; a value that is a mapping changes only the keys it names."""
    result = dict(base)
    for key, value in changes.items():
        there = result.get(key)
        result[key] = {**there, **value} if isinstance(there, Mapping) and isinstance(value, Mapping) else value
    return result


def describe(network: nn.Module) -> dict[str, Any]:
    """Return plain values from which :func:`rebuild` makes the same network."""
    family = next(name for name, (_, cls) in FAMILIES.items() if type(network) is cls)
    return {"family": family, **network.config.to_dict()}  # type: ignore[operator,union-attr]


def rebuild(values: Mapping[str, Any]) -> nn.Module:
    """Build the network that :func:`describe` described, with initial weights.

    Raises:
        ConfigError: an unknown family, or a configuration that it does not know.
    """
    config = config_of(values)
    return FAMILIES[values["family"]][1](config)


def config_of(values: Mapping[str, Any]) -> Any:
    """Return the configuration that :func:`describe` described, of the class of its family.

    Raises:
        ConfigError: an unknown family, or a configuration that it does not know.
    """
    family = values.get("family")
    if family not in FAMILIES:
        raise ConfigError(f"network family is {family!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[family][0].from_dict({k: v for k, v in values.items() if k != "family"})
