"""Instance networks of other people become packages; their instances are those of the bare model, decoded by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from support.foreign_models import CLASSES, write_ir, write_mask_rcnn, write_yolo

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.deploy.importing.classes import named
from cmt_seg_ros.deploy.importing.original import Wishes
from cmt_seg_ros.deploy.importing.package import import_model
from cmt_seg_ros.errors import ConfigError, ModelError
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import Frame, Segmentation

FIVE = named([f"class {k}" for k in range(CLASSES)])
WISHES = Wishes(labels=FIVE, mean=(0.0,), scale=(1.0,))
IMAGE = cv2.resize(StreetScene(320, 180, frames=1, seed=5).frame(0).pixels, (96, 64))


def bare(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([np.ascontiguousarray(image[:, :, ::-1].astype(np.float32).transpose(2, 0, 1)[None])])
    return {min(port.get_names()): found[port] for port in compiled.outputs}


def segment(package: ModelPackage, image: np.ndarray, **config: Any) -> Segmentation:
    settings = SegmentationConfig(model=str(package.folder), device="CPU", precision="f32", **config)
    return Pipeline(settings).process([Frame("c", 1, image)])[0]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    wide, high = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0)
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(wide * high / (sum(area) - wide * high))


def by_hand(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, mask_of: Any) -> tuple[np.ndarray, list[Any]]:
    """Greedy suppression one by one, then each instance over the whole image; the better one is in front."""
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        if scores[k] >= 0.5 and all(labels[j] != labels[k] or iou(boxes[j], boxes[k]) <= 0.7 for j in kept):
            kept.append(int(k))
    ids, found = np.zeros((64, 96), np.uint16), []
    y, x = np.mgrid[:64, :96] + 0.5
    for k in kept:
        left, top, right, bottom = boxes[k]
        here = mask_of(k) & (x >= left) & (x < right) & (y >= top) & (y < bottom) & (ids == 0)
        if here.any():
            found.append((int(labels[k]), float(scores[k]), int(here.sum())))
            ids[here] = len(found)
    return ids, found


def check(found: Segmentation, ids: np.ndarray, instances: list[Any]) -> None:
    assert len(instances) >= 4, "the test would show nothing"
    assert found.instance_ids is not None and found.instances is not None
    assert np.mean(found.instance_ids == ids) >= 0.999
    assert [i.instance_id for i in found.instances] == list(range(1, len(instances) + 1))
    for instance, (label, score, area) in zip(found.instances, instances, strict=True):
        assert (instance.class_id, instance.score) == (label, pytest.approx(score, abs=1e-4))
        assert abs(instance.area_px - area) <= 3
    classes = np.array([255, *(label for label, _, _ in instances)], np.uint8)[ids]
    assert np.mean(found.class_ids == classes) >= 0.999
    assert found.objectness is not None and np.array_equal(found.objectness != 0, found.class_ids != 255)


@pytest.mark.parametrize("suppressed", [False, True])
def test_yolo_seg(tmp_path: Path, suppressed: bool) -> None:
    info = {"task": "segment", "names": str(dict(enumerate(FIVE.names))), "stride": "32", "imgsz": "[64, 96]"}
    path = write_yolo(tmp_path / "net.xml", suppressed, info)
    package, said = import_model(path, Wishes(mean=(0.0,), scale=(1.0,)), tmp_path / "net")
    assert package.labels.names == FIVE.names and package.labels.object_ids == tuple(range(CLASSES))
    assert package.resize == "letterbox" and "instances as of YOLO-seg" in said[0]
    given = bare(path, IMAGE)
    table, prototypes = given["output0"][0], given["output1"][0]
    if suppressed:
        boxes, scores, labels, coefficients = table[:, :4], table[:, 4], table[:, 5], table[:, 6:]
    else:
        table = table.T
        boxes = np.hstack([table[:, :2] - table[:, 2:4] / 2, table[:, :2] + table[:, 2:4] / 2])
        scores, labels = table[:, 4 : 4 + CLASSES].max(1), table[:, 4 : 4 + CLASSES].argmax(1)
        coefficients = table[:, 4 + CLASSES :]

    def mask_of(k: int) -> np.ndarray:
        plane = np.tensordot(coefficients[k], prototypes, 1)
        return np.asarray(cv2.resize(plane, (96, 64)) > 0)

    check(segment(package, IMAGE), *by_hand(boxes, scores, labels, mask_of))


@pytest.mark.parametrize("kind", ["detectron2", "shares", "omz", "logits"])
def test_mask_rcnn(tmp_path: Path, kind: str) -> None:
    path = write_mask_rcnn(tmp_path / "net.xml", kind)
    package, said = import_model(path, WISHES, tmp_path / "net")
    assert "instances as of Mask R-CNN" in said[0] and ("shares" in said[0]) == (kind == "shares")
    assert package.max_batch == 1 and ("sigmoid" in said[0]) == (kind == "logits")
    given = bare(path, IMAGE)
    if kind == "logits":
        given["masks"] = 1 / (1 + np.exp(-given["masks"]))
    boxes = given["boxes"] * ([96, 64, 96, 64] if kind == "shares" else [1] * given["boxes"].shape[1])
    scores, boxes = (boxes[:, 4] if kind == "omz" else given["scores"]), boxes[:, :4]
    labels, masks = given["classes" if kind == "shares" else "labels"], given["masks"].reshape(-1, 28, 28)
    y, x = (grid.astype(np.float32) + 0.5 for grid in np.mgrid[:64, :96])

    def mask_of(k: int) -> np.ndarray:
        left, top, right, bottom = boxes[k]
        across, down = (x - left) * 28 / (right - left) - 0.5, (y - top) * 28 / (bottom - top) - 0.5
        place = [np.floor(across).astype(int), np.floor(down).astype(int)]
        padded, total = np.pad(masks[k], 2), np.zeros((64, 96))
        for dy in (0, 1):
            for dx in (0, 1):
                weight = (1 - abs(across - place[0] - dx)) * (1 - abs(down - place[1] - dy))
                total += weight * padded[(place[1] + dy + 2).clip(0, 31), (place[0] + dx + 2).clip(0, 31)]
        return np.asarray(total >= 0.5)

    check(segment(package, IMAGE), *by_hand(boxes, scores, labels, mask_of))


def pairs(found: Segmentation, expected: Segmentation) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes of the instances of one class and score, which no other has, in both; at least three."""
    sides = []
    for result in (found, expected):
        keys = [(i.class_id, round(i.score, 3)) for i in result.instances or ()]
        boxes = zip(keys, result.instances or (), strict=True)
        sides.append({key: np.array(i.box_px) for key, i in boxes if keys.count(key) == 1})
    made = [(sides[0][key], sides[1][key]) for key in sides[0].keys() & sides[1].keys()]
    assert len(made) >= 3, "the test would show nothing"
    return made


def test_instances_follow_a_letterboxed_image(tmp_path: Path) -> None:
    path = write_yolo(tmp_path / "net.xml")
    package, _ = import_model(path, Wishes(FIVE, mean=(0.0,), scale=(1.0,), resize="letterbox"), tmp_path / "net")
    wide = cv2.resize(IMAGE, (192, 64), interpolation=cv2.INTER_NEAREST)  # fills 32x96 of 64x96
    canvas = np.full((64, 96, 3), 114, np.uint8)
    canvas[:32] = cv2.resize(wide, (96, 32), interpolation=cv2.INTER_AREA)
    found, alone = segment(package, wide), segment(package, canvas)
    assert found.class_ids.shape == (64, 192)
    for box, small in pairs(found, alone):  # what lies beside the image is cut off
        assert box == pytest.approx(np.minimum(2 * small, [192, 64, 192, 64]), abs=0.1)


def test_shares_of_the_sides_hold_for_images_of_every_shape(tmp_path: Path) -> None:
    path = write_mask_rcnn(tmp_path / "net.xml", "any-size")
    wishes = replace(WISHES, size=(64, 96))
    package, _ = import_model(path, wishes, tmp_path / "net")
    assert (package.resize, package.height, package.width) == ("stretch", 64, 96)
    tall = cv2.resize(IMAGE, (96, 128), interpolation=cv2.INTER_NEAREST)
    for box, small in pairs(segment(package, tall), segment(package, IMAGE)):
        assert box == pytest.approx(small * [1, 2, 1, 2], abs=0.1)
    with pytest.raises(ConfigError, match="takes 96x64 only; use stretch or letterbox"):
        import_model(path, replace(wishes, resize="keep-aspect"), tmp_path / "other")


def test_frames_of_two_cameras_keep_their_own_instances(tmp_path: Path) -> None:
    package, _ = import_model(write_mask_rcnn(tmp_path / "net.xml", "omz"), WISHES, tmp_path / "net")
    images = [IMAGE, IMAGE[::-1].copy()]
    pipeline = Pipeline(SegmentationConfig(model=str(package.folder), device="CPU", precision="f32", max_batch_size=2))
    results = pipeline.process([Frame(str(k), 1, image) for k, image in enumerate(images)])
    for result, image in zip(results, images, strict=True):
        for box, other in pairs(result, segment(package, image)):
            assert box == pytest.approx(other, abs=0.01)


def test_nothing_found_and_everything_left_out(tmp_path: Path) -> None:
    package, _ = import_model(write_mask_rcnn(tmp_path / "net.xml", "omz"), WISHES, tmp_path / "net")
    found = segment(package, IMAGE, instance_threshold=1.0)
    assert found.instances == () and found.instance_ids is not None and not found.instance_ids.any()
    assert (found.class_ids == 255).all() and found.objectness is not None and not found.objectness.any()
    pipeline = Pipeline(SegmentationConfig(model=str(package.folder), device="CPU"))
    alone = pipeline.process([Frame("c", 1, IMAGE)], [("class_ids",)])[0]
    assert alone.instance_ids is None and alone.instances is None and alone.objectness is None
    with pytest.raises(ConfigError, match="top_k is 2; model net gives instances alone"):
        Pipeline(SegmentationConfig(model=str(package.folder), device="CPU", top_k=2))


def test_what_is_wrong_is_said_of_the_model(tmp_path: Path) -> None:
    path = write_mask_rcnn(tmp_path / "net.xml", "detectron2")
    for kind, match in {
        "per-class": r"masks? .*\(96, 5, 28, 28\)|no output is understood",
        "pasted": "masks of the size of the image, as torchvision pastes them",
        "scores": "the scores of the boxes are .*; 0 to 1 are needed",
    }.items():
        with pytest.raises(ModelError, match=match):
            import_model(write_mask_rcnn(tmp_path / f"{kind}.xml", kind), WISHES, tmp_path / kind)
    for name, role in (("bxs", "boxes"), ("typo", "ignore")):
        with pytest.raises(ModelError, match=f"--output {name}={role}: the model has no such output; the model gives"):
            import_model(path, replace(WISHES, outputs={name: role}), tmp_path / name)
    _, said = import_model(write_mask_rcnn(tmp_path / "nothing.xml", "nothing"), WISHES, tmp_path / "nothing")
    assert "no instance was found in the trial images" in said[-1]
    few = Wishes(named(["a", "b"]), mean=(0.0,), scale=(1.0,))
    with pytest.raises(ConfigError, match=r"output `labels` has the class id \d; 2 classes were given, .*`background`"):
        import_model(path, few, tmp_path / "few")
    with pytest.raises(ModelError, match=r"instances need outputs that are boxes, .* the model gives `boxes`"):
        import_model(path, Wishes(FIVE, mean=(0.0,), scale=(1.0,), outputs={"masks": "ignore", "labels": "box_labels"}),
                     tmp_path / "no-masks")  # fmt: skip
    with pytest.raises(ConfigError, match=r"output `output0` is \(1, 17, 96\), 5 classes; 3 classes were given"):
        import_model(write_yolo(tmp_path / "yolo.xml"), Wishes(named(list("abc")), mean=(0.0,), scale=(1.0,)),
                     tmp_path / "three")  # fmt: skip
    plain = write_ir(tmp_path / "plain.xml", "fixed")
    model = ov.Core().read_model(plain)
    model.set_rt_info("MaskRCNN", ["model_info", "model_type"])
    ov.save_model(model, tmp_path / "said.xml", compress_to_fp16=False)
    with pytest.raises(ModelError, match="finds instances, but not in a known way"):
        import_model(tmp_path / "said.xml", WISHES, tmp_path / "said")
