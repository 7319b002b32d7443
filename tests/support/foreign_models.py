"""Networks as other people make them: files with tiny random weights, and what each gives, by numpy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from cmt_seg_ros.deploy.importing.original import Wishes
from cmt_seg_ros.deploy.importing.package import import_model
from cmt_seg_ros.labels import LabelClass, LabelSet
from cmt_seg_ros.runtime.model_package import ModelPackage

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(0, 1, (19, 3, 3, 3)).astype(np.float32)
CLASSES = 5


def network(x: Any, classes: int, stride: int = 1) -> Any:
    """Scores of NCHW: two blurs, so that neighbours are alike, then one convolution."""
    box = np.full((3, 1, 1, 5, 5), 0.04, np.float32)
    for _ in range(2):
        x = ops.group_convolution(x, box, [1, 1], [2, 2], [2, 2], [1, 1])
    return ops.convolution(x, WEIGHTS[:classes], [stride, stride], [1, 1], [1, 1], [1, 1])


def save(path: Path, parameter: Any, outputs: dict[str, Any], info: dict[str, dict[str, str]] | None = None) -> Path:
    """Write an OpenVINO IR with named outputs."""
    for name, node in outputs.items():
        port = node if isinstance(node, ov.Output) else node.output(0)
        port.get_tensor().set_names({name})
    model = ov.Model([*outputs.values()], [parameter], "foreign")
    for section, values in (info or {}).items():
        for key, value in values.items():
            model.set_rt_info(value, [section, key])
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def image_input(shape: list[int], kind: ov.Type = ov.Type.f32) -> Any:
    """Input named ``image``."""
    parameter = ops.parameter(shape, kind, name="image")
    parameter.output(0).get_tensor().set_names({"image"})
    return parameter


def write_ir(path: Path, kind: str) -> Path:
    """Write one of the IRs that the tests import; the size is 64x96 where it is fixed."""
    fixed, last = [1, 3, 64, 96], [1, 64, 96, 3]
    if kind == "nhwc":
        x = image_input(last)
        scores = network(ops.transpose(x, ops.constant([0, 3, 1, 2])), CLASSES)
        return save(path, x, {"y": ops.softmax(ops.transpose(scores, ops.constant([0, 2, 3, 1])), 3)})
    if kind == "u8":
        x = image_input(last, ov.Type.u8)
        values = ops.multiply(ops.transpose(ops.convert(x, "f32"), ops.constant([0, 3, 1, 2])), np.float32(1 / 255))
        return save(path, x, {"y": network(values, CLASSES)})
    x = image_input([-1, 3, -1, -1] if kind in ("dynamic", "quarter", "auxiliary") else fixed)
    if kind == "quarter":
        return save(path, x, {"logits": network(x, 19, stride=4)})
    if kind in ("sigmoid", "one-logit"):
        score = network(x, 1)
        return save(path, x, {"y": ops.sigmoid(score) if kind == "sigmoid" else score})
    if kind == "auxiliary":
        return save(path, x, {"out": network(x, CLASSES), "aux": network(x, CLASSES, stride=2)})
    if kind == "objects":
        return save(path, x, {"classes": ops.softmax(network(x, CLASSES), 1), "object": ops.sigmoid(network(x, 1))})
    if kind == "ids":  # as DeepLab has them: up-sampled and ranked in the graph
        best = ops.topk(network(x, CLASSES), ops.constant(1), 1, "max", "value", index_element_type="i64")
        return save(path, x, {"ids": ops.squeeze(best.output(1), ops.constant([1]))})
    if kind == "flat":
        return save(path, x, {"y": ops.reshape(network(x, CLASSES), ops.constant([1, CLASSES, -1]), False)})
    if kind == "sigmoids":
        return save(path, x, {"y": ops.sigmoid(network(x, CLASSES))})
    if kind == "not-finite":
        return save(path, x, {"y": ops.log(ops.subtract(network(x, CLASSES), np.float32(1e6)))})
    return save(path, x, {"y": network(x, CLASSES)})


def write_onnx(path: Path, ids: bool, metadata: dict[str, str] | None = None) -> Path:
    """Write an ONNX of any size: logits NCHW, or int64 class ids (1, h, w)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(WEIGHTS[:CLASSES], "weights")
    box = numpy_helper.from_array(np.full((3, 1, 5, 5), 0.04, np.float32), "box")
    nodes = [
        helper.make_node("Conv", ["pixel_values", "box"], ["blurred"], group=3, pads=[2, 2, 2, 2]),
        helper.make_node("Conv", ["blurred", "box"], ["smooth"], group=3, pads=[2, 2, 2, 2]),
        helper.make_node("Conv", ["smooth", "weights"], ["logits"], pads=[1, 1, 1, 1]),
    ]
    result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES, "h", "w"])
    if ids:
        nodes.append(helper.make_node("ArgMax", ["logits"], ["ids"], axis=1, keepdims=0))
        result = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "h", "w"])
    image = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, "h", "w"])
    graph = helper.make_graph(nodes, "foreign", [image], [result], [box, weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


PROTOTYPES = 8


def _instance_maps(x: Any, cell: int) -> tuple[Any, Any, Any]:
    """Class scores (1, CLASSES, h, w), box sides (1, 4, h, w) and coefficients (1, P, h, w), one candidate a cell."""
    smooth = ops.avg_pool(x, [cell, cell], [0, 0], [0, 0], [cell, cell], False)
    rng = np.random.default_rng(7)

    def scores(count: int, spread: float) -> Any:
        weights = rng.normal(0, spread, (count, 3, 1, 1)).astype(np.float32)
        shade = ops.subtract(ops.divide(smooth, np.float32(255)), np.float32(0.4))
        found = ops.convolution(shade, weights, [1, 1], [0, 0], [0, 0], [1, 1])
        return ops.add(found, rng.normal(0, spread / 3, (1, count, 8, 12)).astype(np.float32))

    return scores(CLASSES, 6), scores(4, 1), scores(PROTOTYPES, 2)


def write_yolo(path: Path, suppressed: bool = False, info: dict[str, str] | None = None) -> Path:
    """Write a YOLO-seg IR for 64x96: (1, 4 + C + P, N), or (1, K, 6 + P) with duplicates suppressed; and prototypes."""
    x, cell, (rows, columns) = image_input([1, 3, 64, 96]), 8, (8, 12)
    classes, sides, coefficients = _instance_maps(x, cell)
    count = rows * columns
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), 0).reshape(1, 2, count).astype(np.float32)
    centres = ops.constant((grid + 0.5) * cell)

    def flat(node: Any, channels: int) -> Any:
        return ops.reshape(node, ops.constant([1, channels, count]), False)

    extents = ops.add(ops.multiply(ops.sigmoid(flat(sides, 4)), np.float32(30)), np.float32(6))
    extents = ops.gather(extents, ops.constant([0, 1]), ops.constant(1))
    scores = ops.sigmoid(flat(classes, CLASSES))
    mask = flat(coefficients, PROTOTYPES)
    prototypes = network(ops.subtract(ops.divide(x, np.float32(255)), np.float32(0.4)), PROTOTYPES, stride=4)
    if not suppressed:
        table = ops.concat([centres, extents, scores, mask], 1)
        return save(path, x, {"output0": table, "output1": prototypes}, {"framework": info} if info else None)
    half = ops.multiply(extents, np.float32(0.5))
    best = ops.topk(scores, ops.constant(1), 1, "max", "none")
    boxes = ops.concat([ops.subtract(centres, half), ops.add(centres, half)], 1)
    table = ops.concat([boxes, best.output(0), ops.convert(best.output(1), "f32"), mask], 1)
    keep = ops.constant(np.arange(0, count, 5))  # as if the others had been suppressed
    table = ops.gather(ops.transpose(table, ops.constant([0, 2, 1])), keep, ops.constant(1))
    return save(path, x, {"output0": table, "output1": prototypes}, {"framework": info} if info else None)


def write_mask_rcnn(path: Path, kind: str) -> Path:
    """Write an instance IR for 64x96: kinds detectron2, shares (of the sides) and omz (five columns).

    Others: any-size (shares, of images of any size), logits (masks before the sigmoid), per-class (a mask for
    each class), pasted (masks at the size of the image), nothing (no score is high), scores (raw ones).
    """
    x, cell, (rows, columns) = image_input([1, 3, 64, 96]), 8, (8, 12)
    inner = x
    if kind == "any-size":
        x = image_input([1, 3, -1, -1])
        inner = ops.interpolate(x, ops.constant(np.array([64, 96])), "linear", "sizes", axes=ops.constant([2, 3]))
    classes, sides, coefficients = _instance_maps(inner, cell)
    count = rows * columns
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(count, 2).astype(np.float32)

    def flat(node: Any, channels: int) -> Any:
        return ops.reshape(ops.transpose(node, ops.constant([0, 2, 3, 1])), ops.constant([count, channels]), False)

    extents = ops.add(ops.multiply(ops.sigmoid(flat(sides, 4)), np.float32(20)), np.float32(3))
    extents = ops.gather(extents, ops.constant([0, 1]), ops.constant(1))
    centres = ops.constant((grid + 0.5) * cell)
    boxes = ops.concat([ops.subtract(centres, extents), ops.add(centres, extents)], 1)
    raw = flat(classes, CLASSES)
    sure = raw if kind == "scores" else ops.sigmoid(raw)
    best = ops.topk(ops.multiply(sure, np.float32(0.3 if kind == "nothing" else 1)), ops.constant(1), 1, "max", "none")
    score = ops.squeeze(best.output(0), ops.constant([1]))
    label = ops.squeeze(best.output(1), ops.constant([1]))
    base = np.random.default_rng(3).normal(0, 1, (PROTOTYPES, 28, 28)).astype(np.float32)
    for axis in (1, 2):  # smooth
        base = sum(np.roll(base, k, axis) for k in range(-4, 5)) / 3
    mask = ops.matmul(flat(coefficients, PROTOTYPES), base.reshape(PROTOTYPES, -1), False, False)
    mask = mask if kind == "logits" else ops.sigmoid(mask)
    if kind == "omz":
        masks = ops.reshape(mask, ops.constant([count, 28, 28]), False)
        table = ops.concat([boxes, ops.unsqueeze(score, ops.constant([1]))], 1)
        return save(path, x, {"boxes": table, "labels": label, "masks": masks})
    masks = ops.reshape(mask, ops.constant([count, 1, 28, 28]), False)
    if kind == "per-class":
        masks = ops.concat([masks] * CLASSES, 1)
    if kind == "pasted":
        masks = ops.interpolate(masks, ops.constant(np.array([64, 96])), "linear", "sizes", axes=ops.constant([2, 3]))
    if kind in ("shares", "any-size"):
        boxes = ops.divide(boxes, np.array([96, 64, 96, 64], np.float32))
        named = {"boxes": boxes, "classes": label, "masks": masks, "scores": score}
    else:
        named = {"boxes": boxes, "labels": label, "scores": score, "masks": masks}
    return save(path, x, named)


def instance_package(folder: Path) -> ModelPackage:
    """Make a package of the YOLO-seg network; it finds several instances in most images."""
    labels = LabelSet(tuple(LabelClass(k, f"class {k}", (40 * k, 0, 90), True) for k in range(CLASSES)))
    wishes = Wishes(labels, mean=(0.0,), scale=(1.0,))
    return import_model(write_yolo(folder / "yolo.xml"), wishes, folder / "yolo")[0]
