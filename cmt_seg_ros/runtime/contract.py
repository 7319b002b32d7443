"""Contract: the outputs that a network may have, which of them go together, and whether a network keeps its word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import openvino as ov

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.text import printable, shortened

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
_ONE_CHANNEL = ("object_probability", "edges", "distance")
_RANKS = {"class_ids": 3, "boxes": 3, "box_scores": 2, "box_labels": 2, "box_coefficients": 3}  # of others: 4


def read_outputs(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the outputs that model.yaml has, of OUTPUTS.

    Raises:
        ConfigError: another name, or outputs that do not go together.
    """
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


def fault_of(model: ov.Model, outputs: Sequence[str], num_classes: int) -> str:
    """Say what of a network does not fit the outputs and classes that model.yaml promises; empty if all does."""
    if len(model.inputs) != 1:
        return f"the network has {len(model.inputs)} inputs; it must have one, the image"
    shape = model.input().get_partial_shape()
    if shape.rank.is_static and (len(shape) != 4 or not shape[1].compatible(ov.Dimension(3))):
        return f"the network's input is {shape}; it must be (N, 3, H, W)"
    for name in outputs:
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
        channels = num_classes if name == "probabilities" else int(name in _ONE_CHANNEL)
        if channels and found.rank.is_static and not found[1].compatible(ov.Dimension(channels)):
            what = (
                "it must have one channel" if name in _ONE_CHANNEL else f"{channels} classes are listed in model.yaml"
            )
            return f"output {name} is {found}; {what}"
    return _fault_of_instances(model, outputs)


def _fault_of_instances(model: ov.Model, outputs: Sequence[str]) -> str:
    """Say what of the outputs of instances does not fit together; empty if all does."""
    shapes = {name: model.output(name).get_partial_shape() for name in outputs}
    shapes = {name: shape for name, shape in shapes.items() if shape.rank.is_static}
    if "boxes" in shapes and not shapes["boxes"][2].compatible(ov.Dimension(4)):
        return f"output boxes is {shapes['boxes']}; it must be (N, K, 4)"
    rows = {name: shapes[name][1] for name in (*BOXES, *BOX_MASKS, PROTOTYPES[0]) if name in shapes}
    for name, count in rows.items():
        first, expected = next(iter(rows.items()))
        if not count.compatible(expected):
            return f"output {name} is {shapes[name]}, and {first} {shapes[first]}; both must be of as many objects"
    if set(PROTOTYPES) <= set(shapes) and not shapes[PROTOTYPES[0]][2].compatible(shapes[PROTOTYPES[1]][1]):
        of = " and ".join(f"{name} {shapes[name]}" for name in PROTOTYPES)
        return f"outputs are {of}; each prototype needs a coefficient"
    return ""
