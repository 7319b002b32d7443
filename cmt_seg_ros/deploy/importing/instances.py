"""Instance networks: which of a foreign model's outputs are boxes, scores, classes and masks, and how to read them.

Two kinds are known. YOLO-seg of Ultralytics gives one table of candidates and prototypes of masks, with or without its
own suppression of duplicates. Mask R-CNN, as Detectron2 and Open Model Zoo export it, gives boxes, scores, labels and a
small mask of each box.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from openvino import Output, Type
from openvino import opset13 as ops

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.deploy.importing.roles import INSTANCE_ROLES, Values, described, fits
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.runtime.contract import BOX_MASKS, BOXES, PROTOTYPES
from cmt_seg_ros.runtime.instances import find_instances, masks_of_instances
from cmt_seg_ros.structures import U8

SURE = SegmentationConfig.instance_threshold
_MASK_SIDES = range(7, 129)
_TOLERANCE = 0.02


@dataclass(frozen=True)
class InstanceLayout:
    """How to read the outputs of an instance network.

    Attributes:
        kind: "table" (YOLO-seg), "suppressed" (the same with duplicates suppressed) or "boxes" (Mask R-CNN).
        ports: name of the model's output by what it is: ``table`` and ``prototypes``, or INSTANCE_ROLES.
        depth: columns of the table or of the boxes.
        classes: how many there are; 0: not known.
        prototypes: how many there are.
        mask_size: (rows, columns) of the mask of a box.
        shares: boxes are shares of the image's sides, not pixels.
        mask_logits: masks are scores, of which a sigmoid makes probabilities.
        seen: in the trial runs, instances with a score of SURE or more.
    """

    kind: str
    ports: Mapping[str, str]
    depth: int
    classes: int = 0
    prototypes: int = 0
    mask_size: tuple[int, int] = (0, 0)
    shares: bool = False
    mask_logits: bool = False
    seen: int = 0

    is_foreground = False
    objects_only = True

    @property
    def name(self) -> str:
        """Name of the output that tells the classes."""
        return self.ports["box_labels" if self.kind == "boxes" else "table"]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that the package gets."""
        return (*BOXES, *(BOX_MASKS if self.kind == "boxes" else PROTOTYPES))

    @property
    def words(self) -> str:
        """What the outputs have."""
        where = f"boxes are {'shares of the sides' if self.shares else 'pixels'}"
        kinds = {
            "table": "instances as of YOLO-seg, whose duplicates are suppressed here",
            "suppressed": "instances as of YOLO-seg",
            "boxes": f"instances as of Mask R-CNN; {where}" + ("; a sigmoid was added to masks" * self.mask_logits),
        }
        return kinds[self.kind]

    def rows(self, outputs: Mapping[str, Sequence[Values]]) -> int:
        """Return how many rows the prototypes have; 0: there are none."""
        return 0 if self.kind == "boxes" else int(outputs[self.ports["prototypes"]][0].shape[2])

    def highest_id(self, outputs: Mapping[str, Sequence[Values]]) -> int:
        """Return the highest class id that the model gave."""
        if self.kind == "table":
            return 0
        ids = [v[0, :, 5] if self.kind == "suppressed" else v for v in outputs[self.name]]
        return max((int(v.max()) for v in ids if v.size), default=0)

    def adapted(self, ports: Mapping[str, Output], size: tuple[int, int]) -> dict[str, Output]:
        """Return the outputs of the package, made of those of the model."""
        return instance_outputs(self, ports, size)

    def by_hand(
        self, values: Mapping[str, Values], size: tuple[int, int], labels: LabelSet, config: SegmentationConfig
    ) -> U8:
        """Return (H, W) uint8 class ids of what the bare model gave for one image."""
        found = find_instances(decoded(self, values, size), size, config.instance_threshold, len(labels))
        return masks_of_instances(*found, labels)["class_ids"]


def find_instance_layout(
    outputs: Mapping[str, Sequence[Values]], given: Mapping[str, str], size: tuple[int, int], names: int
) -> InstanceLayout | None:
    """Find out whether a model gives instances, and how; None: it does not, or in no way that is known.

    Args:
        outputs: by name, its values in each of several trial runs.
        given: roles that the user has named, by output.
        size: (height, width) of the input in these runs.
        names: how many classes are known by name; 0: unknown.

    Raises:
        ModelError: the outputs that the user has named do not make instances.
    """
    named = {role: name for name, role in given.items() if role in INSTANCE_ROLES}
    rest = {name: values for name, values in outputs.items() if given.get(name) != "ignore"}
    if not set(given.values()) - {"ignore"} and (layout := _yolo(rest, size, names)):
        return layout
    ports = _box_ports(rest, named)
    if ports is not None:
        return _mask_rcnn(ports, rest, size)
    if named:
        raise ModelError(
            f"instances need outputs that are {', '.join(INSTANCE_ROLES)}; {described(outputs)}; boxes are (K, 4) or, "
            "with the score, (K, 5), scores and labels (K,), masks (K, m, m)"
        )
    return None


def _yolo(outputs: Mapping[str, Sequence[Values]], size: tuple[int, int], names: int) -> InstanceLayout | None:
    floats = {name: values for name, values in outputs.items() if np.issubdtype(values[0].dtype, np.floating)}
    planes = [name for name, values in floats.items() if values[0].ndim == 4 and min(values[0].shape[2:]) > 1]
    tables = [name for name, values in floats.items() if values[0].ndim == 3]
    if len(planes) != 1 or len(tables) != 1:
        return None
    ports = {"table": tables[0], "prototypes": planes[0]}
    prototypes, (_, rows, columns) = outputs[planes[0]][0].shape[1], outputs[tables[0]][0].shape
    if fits(rows, columns, size) or prototypes == names:  # the table is a plane, or the planes are scores
        return None
    if columns == 6 + prototypes and rows != 4 + names + prototypes:
        seen = sum(int((v[0, :, 4] >= SURE).sum()) for v in outputs[tables[0]])
        return InstanceLayout("suppressed", ports, columns, prototypes=prototypes, seen=seen)
    classes = rows - 4 - prototypes
    if classes < 1:
        return None
    seen = sum(int((v[0, 4 : 4 + classes].max(axis=0) >= SURE).sum()) for v in outputs[tables[0]])
    return InstanceLayout("table", ports, rows, classes, prototypes, seen=seen)


def _mask_rcnn(
    ports: Mapping[str, str], outputs: Mapping[str, Sequence[Values]], size: tuple[int, int]
) -> InstanceLayout:
    """Read the outputs of a network like Mask R-CNN.

    Raises:
        ModelError: they do not fit together.
    """
    boxes, masks, labels = (outputs[ports[role]] for role in ("boxes", "box_masks", "box_labels"))
    depth, mask_size = int(boxes[0].shape[-1]), (int(masks[0].shape[-2]), int(masks[0].shape[-1]))
    if mask_size == size:
        raise ModelError(
            f"output `{ports['box_masks']}` has masks of the size of the image, as torchvision pastes them at the end; "
            "export the network without that step: masks of each box, such as 28x28, are needed"
        )
    scores = [b[..., 4] for b in boxes] if depth == 5 else outputs[ports["box_scores"]]
    for box, score, mask, label in zip(boxes, scores, masks, labels, strict=True):
        counts = {math.prod(box.shape[:-1]), score.size, label.size, math.prod(mask.shape[:-2])}
        if len(counts) > 1 or depth not in (4, 5):
            what = ", ".join(f"{role} `{name}` {outputs[name][0].shape}" for role, name in ports.items())
            raise ModelError(
                f"{what} do not fit together: boxes are (K, 4) or, with the score, (K, 5), scores and labels (K,), "
                "masks (K, m, m) for the same K; a mask for each class apart is not supported"
            )
        if score.size and not (score.min() >= -_TOLERANCE and score.max() <= 1 + _TOLERANCE):
            raise ModelError(f"the scores of the boxes are {score.min():g} to {score.max():g}; 0 to 1 are needed")
    extremes = [(float(v.min()), float(v.max())) for v in masks if v.size]
    logits = any(low < -_TOLERANCE or high > 1 + _TOLERANCE for low, high in extremes)
    highest = max((float(v[..., :4].max()) for v in boxes if v.size), default=0.0)
    seen = sum(int((score >= SURE).sum()) for score in scores)
    shares = 0 < highest <= 2 < min(size)
    return InstanceLayout("boxes", ports, depth, 0, 0, mask_size, shares, logits, seen)


def _box_ports(outputs: Mapping[str, Sequence[Values]], named: Mapping[str, str]) -> dict[str, str] | None:
    """Return the output of each of INSTANCE_ROLES; None: some are missing, or several might be one."""
    ports = dict(named)
    for name, values in outputs.items():
        if name not in named.values() and (role := _box_role(name, values)):
            if role in ports:
                return None
            ports[role] = name
    if "boxes" in ports and outputs[ports["boxes"]][0].shape[-1] == 5:  # the score is the fifth column
        ports.pop("box_scores", None)
        return ports if {"box_labels", "box_masks"} <= set(ports) else None
    return ports if set(INSTANCE_ROLES) <= set(ports) else None


def _box_role(name: str, values: Sequence[Values]) -> str:
    """Return which of INSTANCE_ROLES an output is, by its shape; empty: none."""
    *front, last = values[0].shape or (0,)
    if len(front) >= 2 and last in _MASK_SIDES and front[-1] in _MASK_SIDES:
        return "box_masks" if sum(side > 1 for side in front[:-1]) <= 1 else ""
    if last in (4, 5) and len(front) >= 1 and math.prod(front[:-1]) == 1:
        return "boxes"
    if len(front) > 1 or math.prod(front) != 1:
        return ""
    if "score" in name or "conf" in name:
        return "box_scores"
    if "label" in name or "class" in name or not np.issubdtype(values[0].dtype, np.floating):
        return "box_labels"
    whole = all(bool((np.mod(v, 1) == 0).all()) for v in values) and any(v.size and v.max() > 1 for v in values)
    return "box_labels" if whole else "box_scores"


def decoded(layout: InstanceLayout, values: Mapping[str, Values], size: tuple[int, int]) -> dict[str, Values]:
    """Return what :func:`instances.find_instances` needs, of what the bare model gave for one image."""
    height, width = size
    sides = np.array([width, height] * 2, np.float32)
    if layout.kind == "boxes":
        flat = {role: np.asarray(values[name], np.float32) for role, name in layout.ports.items()}
        boxes = flat["boxes"].reshape(-1, flat["boxes"].shape[-1])
        scores = boxes[:, 4] if "box_scores" not in flat else flat["box_scores"].ravel()
        masks = flat["box_masks"]
        if layout.mask_logits:
            masks = np.float32(1) / (np.float32(1) + np.exp(-masks))
        return {
            "boxes": boxes[:, :4] / (1 if layout.shares else sides),
            "box_scores": scores,
            "box_labels": flat["box_labels"].ravel(),
            "box_masks": masks.reshape(-1, *masks.shape[-2:]),
        }
    table, prototypes = (values[layout.ports[role]][0] for role in ("table", "prototypes"))
    if layout.kind == "suppressed":
        columns: list[Values] = [table[:, :4], table[:, 4], table[:, 5], table[:, 6:]]
    else:
        centres, extents, classes, coefficients = np.split(table.T, [2, 4, 4 + layout.classes], axis=1)
        corners = np.hstack([centres - extents / 2, centres + extents / 2])
        columns = [corners, classes.max(axis=1), classes.argmax(axis=1), coefficients]
    columns[0] = columns[0] / sides
    return dict(zip((*BOXES, *PROTOTYPES), [*columns, prototypes], strict=True))


def instance_outputs(layout: InstanceLayout, ports: Mapping[str, Output], size: tuple[int, int]) -> dict[str, Output]:
    """Append what makes the outputs of a package, boxes in pixels, of those of the model; see :func:`decoded`."""
    given = {role: ops.convert(ports[name], Type.f32).output(0) for role, name in layout.ports.items()}
    if layout.kind == "boxes":
        boxes = _reshaped(given["boxes"], [1, -1, layout.depth])
        corners = _columns(boxes, 0, 4)
        if layout.shares:
            corners = ops.multiply(corners, np.array([size[1], size[0]] * 2, np.float32)).output(0)
        scores = given["box_scores"] if "box_scores" in given else _columns(boxes, 4, 5)
        masks = ops.sigmoid(given["box_masks"]).output(0) if layout.mask_logits else given["box_masks"]
        return {
            "boxes": corners,
            "box_scores": _reshaped(scores, [1, -1]),
            "box_labels": _reshaped(given["box_labels"], [1, -1]),
            "box_masks": _reshaped(masks, [1, -1, *layout.mask_size]),
        }
    table, prototypes = given["table"], layout.prototypes
    if layout.kind == "suppressed":
        return {
            "boxes": _columns(table, 0, 4),
            "box_scores": _column(table, 4),
            "box_labels": _column(table, 5),
            "box_coefficients": _columns(table, 6, 6 + prototypes),
            "prototypes": given["prototypes"],
        }
    table = ops.transpose(table, ops.constant([0, 2, 1])).output(0)
    centres, halves = _columns(table, 0, 2), ops.multiply(_columns(table, 2, 4), np.float32(0.5)).output(0)
    classes = _columns(table, 4, 4 + layout.classes)
    best = ops.topk(classes, ops.constant(1), 2, "max", "none")
    return {
        "boxes": ops.concat([ops.subtract(centres, halves), ops.add(centres, halves)], 2).output(0),
        "box_scores": ops.squeeze(best.output(0), ops.constant([2])).output(0),
        "box_labels": ops.squeeze(ops.convert(best.output(1), Type.f32), ops.constant([2])).output(0),
        "box_coefficients": _columns(table, 4 + layout.classes, 4 + layout.classes + prototypes),
        "prototypes": given["prototypes"],
    }


def _reshaped(port: Output, shape: Sequence[int]) -> Output:
    return ops.reshape(port, ops.constant(list(shape)), False).output(0)


def _columns(port: Output, first: int, end: int) -> Output:
    """Return columns of a (1, K, columns) table."""
    one = ops.constant([1])
    return ops.slice(port, ops.constant([first]), ops.constant([end]), one, ops.constant([2])).output(0)


def _column(port: Output, number: int) -> Output:
    return ops.squeeze(_columns(port, number, number + 1), ops.constant([2])).output(0)
