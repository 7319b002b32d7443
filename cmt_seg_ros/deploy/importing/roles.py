"""Roles: what each output of a foreign model is, found out from its shape and from its values in trial runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from openvino import Output, Type
from openvino import opset13 as ops

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.runtime.contract import BOX_MASKS, BOXES
from cmt_seg_ros.structures import U8
from cmt_seg_ros.text import printable

INSTANCE_ROLES = (*BOXES, *BOX_MASKS)
ROLES = ("logits", "probabilities", "class_ids", "object_probability", *INSTANCE_ROLES, "ignore")
"""Roles of outputs that the user may name."""
Values = npt.NDArray[Any]
_SUM_TOLERANCE = 0.02


@dataclass(frozen=True)
class Role:
    """One output and what is made of it.

    Attributes:
        name: of the output, as the model has it.
        role: one of ROLES.
        axis: of the classes; -1: there is none.
        classes: how many; 0: class ids, whose number is not known.
    """

    name: str
    role: str
    axis: int = -1
    classes: int = 0


@dataclass(frozen=True)
class PixelLayout:
    """How to read the outputs of a network that labels every pixel.

    Attributes:
        roles: of the output that masks are made of and, where there is one, of that of objectness.
    """

    roles: tuple[Role, ...]
    objects_only = False

    @property
    def name(self) -> str:
        """Name of the output that masks are made of."""
        return self.roles[0].name

    @property
    def classes(self) -> int:
        """Number of classes; 0: not known."""
        return 2 if self.is_foreground else self.roles[0].classes

    @property
    def is_foreground(self) -> bool:
        """Whether it tells one class from all else."""
        return self.roles[0].classes == 1

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that the package gets."""
        main = "class_ids" if self.roles[0].role == "class_ids" else "probabilities"
        return main, *("object_probability" for _ in self.roles[1:])

    @property
    def words(self) -> str:
        """What the output has."""
        role = self.roles[0]
        if role.classes == 1:
            words = "one channel: " + ("sigmoid added" if role.role == "logits" else "0-1")
        else:
            words = {"logits": "scores, to which a softmax was added", "class_ids": "class ids"}.get(
                role.role, role.role
            )
        return f"output `{role.name}` has {words}"

    def rows(self, outputs: Mapping[str, Sequence[Values]]) -> int:
        """Return how many rows the output has."""
        role = self.roles[0]
        sides = [side for side in outputs[role.name][0].shape if side != 1]
        return sides[0 if role.axis != 1 or role.classes == 1 else 1]

    def highest_id(self, outputs: Mapping[str, Sequence[Values]]) -> int:
        """Return the highest class id that the model gave."""
        return max(int(v.max()) for v in outputs[self.name]) if self.roles[0].role == "class_ids" else 0

    def adapted(self, ports: Mapping[str, Output], size: tuple[int, int]) -> dict[str, Output]:
        """Return the outputs of the package, made of those of the model."""
        return {name: to_package(ports[role.name], role) for role, name in zip(self.roles, self.outputs, strict=True)}

    def by_hand(
        self, values: Mapping[str, Values], size: tuple[int, int], labels: LabelSet, config: SegmentationConfig
    ) -> U8:
        """Return (H, W) uint8 class ids of what the bare model gave for one image."""
        role, given = self.roles[0], values[self.name]
        if role.role == "class_ids":
            plane = given.reshape([side for side in given.shape if side != 1]).astype(np.uint8)
            return np.asarray(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
        scores = (given[0] if role.axis == 3 else given[0].transpose(1, 2, 0)).astype(np.float32)
        if role.role == "logits":
            grown = np.exp(scores - scores.max(axis=2, keepdims=True))
            scores = grown / grown.sum(axis=2, keepdims=True) if role.classes > 1 else 1 / (1 + np.exp(-scores))
        planes = [cv2.resize(np.ascontiguousarray(scores[:, :, k]), size[::-1]) for k in range(scores.shape[2])]
        found = np.argmax(planes, axis=0) if len(planes) > 1 else planes[0] > 0.5
        return np.asarray(found).astype(np.uint8)


def find_pixel_layout(
    outputs: Mapping[str, Sequence[Values]], given: Mapping[str, str], size: tuple[int, int], names: int
) -> PixelLayout:
    """Find the output that masks are made of, and that of objectness where there is one.

    Args:
        outputs: by name, its values in each of several trial runs.
        given: roles that the user has named, by output.
        size: (height, width) of the input in these runs.
        names: how many classes are known by name; 0: unknown.

    Raises:
        ModelError: none is understood, or several might be meant.
    """
    found = []
    for name, values in outputs.items():
        role = _role(name, values, given.get(name, ""), size, names)
        if role is not None and role.role != "ignore":
            found.append(role)
    objects = [role for role in found if role.role == "object_probability"]
    masks = [role for role in found if role not in objects]
    if names and len(masks) > 1:
        masks = [role for role in masks if role.classes == names] or masks
    if len(masks) > 1 and len({role.classes for role in masks}) == 1 and "out" in (role.name for role in masks):
        masks = [role for role in masks if role.name == "out"]  # torchvision's; the other one is auxiliary
    if not masks:
        allowed = "|".join(ROLES)
        raise ModelError(
            f"no output is understood; {described(outputs)}; class scores are (1, C, h, w) or (1, h, w, C), class ids "
            f"(1, h, w), for an image of {size[1]}x{size[0]}; say what one is: --output NAME={allowed}"
        )
    if len(masks) > 1 or len(objects) > 1:
        several = ", ".join(f"{role.name} ({role.role})" for role in found)
        raise ModelError(
            f"several outputs might be meant: {printable(several)}; put others aside: --output NAME=ignore"
        )
    return PixelLayout((*masks, *objects))


def check_given(outputs: Mapping[str, Sequence[Values]], given: Mapping[str, str]) -> None:
    """Refuse roles of outputs that a model does not have.

    Raises:
        ModelError: says which, and what there is.
    """
    for name, wanted in given.items():
        if name not in outputs:
            raise ModelError(f"--output {name}={wanted}: the model has no such output; {described(outputs)}")


def described(outputs: Mapping[str, Sequence[Values]]) -> str:
    """List outputs with their shapes."""
    words = [f"`{name}` {tuple(values[0].shape)} {values[0].dtype}" for name, values in outputs.items()]
    return f"the model gives {printable(', '.join(words))}"


def _role(name: str, values: Sequence[Values], given: str, size: tuple[int, int], names: int) -> Role | None:
    """Return what an output is; None: nothing that masks are made of."""
    if given == "ignore":
        return Role(name, given)
    shape, floats = values[0].shape, np.issubdtype(values[0].dtype, np.floating)
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    whole = all(bool(np.equal(np.mod(v, 1), 0).all()) for v in values) and low >= 0 and high < IGNORE_ID
    plane = [side for side in shape if side != 1]
    ids = whole and len(plane) == 2 and len(shape) <= 4 and fits(plane[0], plane[1], size)
    # One channel of 0 and 1 in float is a mask of one class; all other whole numbers are ids.
    if given == "class_ids" or (not given and ids and (high > 1 or not floats)):
        if not ids:
            what = f"{tuple(shape)}, values from {low:g} to {high:g}"
            raise ModelError(f"--output {name}=class_ids: it is {what}; ids are (1, h, w), whole numbers from 0 to 254")
        extra = [axis for axis in range(1, len(shape)) if shape[axis] == 1]
        return Role(name, "class_ids", extra[0] if len(shape) == 4 else -1)
    planes = {1: shape[2:], 3: shape[1:3]} if len(shape) == 4 and shape[0] == 1 else {}
    axes = [axis for axis, (rows, columns) in planes.items() if fits(rows, columns, size)]
    if len(axes) == 2:  # both might be: the one whose classes are known by name, else the shorter one
        axes = [axis for axis in axes if shape[axis] == names] or sorted(axes, key=lambda axis: shape[axis])
    if not axes:
        if given:
            raise ModelError(f"--output {name}={given}: it is {tuple(shape)}; scores are (1, C, h, w) or (1, h, w, C)")
        return None
    axis = axes[0]
    if given == "object_probability" and shape[axis] != 1:
        raise ModelError(f"--output {name}={given}: it is {tuple(shape)}; one channel is needed")
    kind = given or ("probabilities" if low >= 0 and high <= 1 else "logits")
    if not given and kind == "probabilities" and shape[axis] > 1:
        sums = [v.sum(axis=axis, dtype=np.float64) for v in values]
        if any(np.abs(total - 1).max() > _SUM_TOLERANCE for total in sums):
            raise ModelError(
                f"output `{name}` has values from {low:g} to {high:g} that do not add up to 1 over the classes; say "
                f"what they are: --output {name}=probabilities (a sigmoid for each class) or {name}=logits"
            )
    return Role(name, kind, axis, shape[axis])


def fits(rows: int, columns: int, size: tuple[int, int]) -> bool:
    """Tell whether a plane has the shape of the image, at most twice as large, with room for rounding."""
    down, across = size[0] / rows, size[1] / columns
    return min(rows, columns) > 1 and abs(across - down) <= 0.2 * max(across, down) and down >= 0.5


def to_package(port: Output, role: Role) -> Output:
    """Append what makes an output of a package of one of the model: (N, C, h, w) probabilities or (N, h, w) ids."""
    scores = ops.convert(port, Type.f32).output(0)
    if role.role == "class_ids":
        if len(port.get_partial_shape()) == 2:
            return ops.unsqueeze(scores, ops.constant(0)).output(0)
        return scores if role.axis < 0 else ops.squeeze(scores, ops.constant([role.axis])).output(0)
    if role.axis == 3:
        scores = ops.transpose(scores, ops.constant([0, 3, 1, 2])).output(0)
    if role.classes > 1:
        return ops.softmax(scores, 1).output(0) if role.role == "logits" else scores
    positive = ops.sigmoid(scores).output(0) if role.role == "logits" else scores
    if role.role == "object_probability":
        return positive
    rest = ops.subtract(ops.constant(np.float32(1)), positive)
    return ops.concat([rest.output(0), positive], axis=1).output(0)
