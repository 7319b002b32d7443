"""Semantic map and instances become one: the examples of the specification, properties, and what it brings."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet
from cmt_seg_ros.metrics.panoptic import panoptic_parts, panoptic_quality
from cmt_seg_ros.runtime.fusion import fuse, panoptic_image
from cmt_seg_ros.runtime.masks import make_masks
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import F64, U8, U16, Frame, Instance

ROAD, SKY, CAR, TRUCK, PERSON = range(5)
LABELS = LabelSet(
    (
        LabelClass(ROAD, "road", (0, 0, 0)),
        LabelClass(SKY, "sky", (0, 0, 1)),
        LabelClass(CAR, "car", (0, 0, 2), True, category="vehicle"),
        LabelClass(TRUCK, "truck", (0, 0, 3), True, category="vehicle"),
        LabelClass(PERSON, "person", (0, 0, 4), True),
    )
)


def grid(text: str) -> np.ndarray:
    return np.array([[0 if c == "." else int(c) for c in row.split()] for row in text.strip().splitlines()])


def fused(semantic: str, instances: str, classes: list[int]) -> tuple[np.ndarray, np.ndarray, tuple[Instance, ...]]:
    listed = [Instance(k, c, 1 - k / 10, (0, 0, 1, 1), 1) for k, c in enumerate(classes, 1)]
    return fuse(grid(semantic).astype(np.uint8), grid(instances).astype(np.uint16), listed, LABELS, min_area_px=2)


def test_the_worked_example() -> None:
    semantic = """
        1 1 1 1 1 1
        1 2 2 1 4 4
        0 2 3 2 4 0
        0 3 3 2 0 0
        0 2 2 2 0 3
        0 0 0 0 0 0"""
    mask = """
        . . . . . .
        1 1 1 . . .
        1 1 1 1 . .
        1 1 1 . . .
        . . . . . .
        . . . . . ."""
    classes, ids, instances = fused(semantic, mask, [CAR])
    expected = """
        . . . . . .
        . 1 1 . 2 2
        . 1 1 1 2 .
        . 1 1 1 . .
        . 1 1 1 . .
        . . . . . ."""
    np.testing.assert_array_equal(ids, grid(expected))
    expected = """
        1 1 1 1 1 1
        1 2 2 1 4 4
        0 2 2 2 4 0
        0 2 2 2 0 0
        0 2 2 2 0 3
        0 0 0 0 0 0"""
    np.testing.assert_array_equal(classes, grid(expected))
    assert instances == (
        Instance(1, CAR, 0.9, (1.0, 1.0, 4.0, 5.0), 11),
        Instance(2, PERSON, 0.0, (4.0, 1.0, 6.0, 3.0), 3),
    )


def test_contested_and_blocked_paths() -> None:
    classes, ids, _ = fused("2 2 2 2 2 2 2", "1 . . . . . 2", [CAR, TRUCK])
    assert ids.tolist() == [[1, 1, 1, 1, 2, 2, 2]] and classes.tolist() == [[2, 2, 2, 2, 3, 3, 3]]
    classes, ids, _ = fused("2 2 2 0 2 2 2", "1 . . . . . .", [TRUCK])
    assert ids.tolist() == [[1, 1, 1, 0, 2, 2, 2]] and classes.tolist() == [[3, 3, 3, 0, 2, 2, 2]]


def test_a_mask_on_background_vanishes_and_numbers_have_no_gaps() -> None:
    classes, ids, instances = fused("0 0 2 2 4 4", "1 1 2 2 3 3", [CAR, CAR, PERSON])
    assert ids.tolist() == [[0, 0, 1, 1, 2, 2]] and classes.tolist() == [[0, 0, 2, 2, 4, 4]]
    assert [(i.instance_id, i.class_id, i.score) for i in instances] == [(1, CAR, 0.8), (2, PERSON, 0.7)]


def disturbed(frame: Frame, rng: np.random.Generator) -> tuple[U8, U16, list[Instance]]:
    """What networks give of a frame: people and riders mistaken in blocks; masks coarse, shifted, some missing."""
    assert frame.truth is not None and frame.truth.class_ids is not None and frame.truth.instance_ids is not None
    classes, truth = frame.truth.class_ids.copy(), frame.truth.instance_ids
    blocks = (
        (rng.random((18, 30)) < 0.25).astype(np.uint8).repeat(20, 0).repeat(20, 1)[: len(classes), : classes.shape[1]]
    )
    swap = (blocks > 0) & np.isin(classes, (9, 10))
    classes[swap] = 19 - classes[swap]
    ids, listed = np.zeros_like(truth), list[Instance]()
    for number in np.unique(truth)[1:].tolist():
        whole = (truth == number).astype(np.uint8)
        x, y, w, h = cv2.boundingRect(whole)
        if rng.random() < 0.15 or w * h < 40:
            continue
        small = cv2.resize(whole[y : y + h, x : x + w].astype(np.float32), (28, 28), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(small, (w, h)) > 0.5
        dx, dy = rng.integers(-3, 4, 2)
        mask = cv2.warpAffine(
            np.pad(mask.astype(np.uint8), ((y, classes.shape[0] - y - h), (x, classes.shape[1] - x - w))),
            np.float32([[1, 0, dx], [0, 1, dy]]),  # type: ignore[arg-type]
            classes.shape[::-1],
        )
        true_class = int(np.bincount(frame.truth.class_ids[whole > 0]).argmax())
        listed.append(Instance(len(listed) + 1, true_class, 0.9, (0, 0, 1, 1), 1))
        ids[(mask > 0) & (ids == 0)] = len(listed)
    return classes, ids, listed


def quality(frames: list[Frame], results: list[tuple[U8, U16]]) -> F64:
    totals = np.zeros((len(LABELS_OF_SCENE), 4))
    for frame, (classes, ids) in zip(frames, results, strict=True):
        assert frame.truth is not None
        for class_id, *part in panoptic_parts(
            frame.truth.class_ids,
            frame.truth.instance_ids,
            classes,
            ids,
            LABELS_OF_SCENE,  # type: ignore[arg-type]
        ):
            totals[class_id] += part
    return panoptic_quality(totals).class_pq


LABELS_OF_SCENE = LabelSet(
    tuple(
        LabelClass(c.id, c.name, c.color, c.is_object, category="human" if c.id in (9, 10) else "")
        for c in CAMVID.classes
    )
)


def test_what_it_brings_and_what_always_holds() -> None:
    rng = np.random.default_rng(0)
    frames = [StreetScene(480, 360, frames=60, seed=seed).frame(30) for seed in (3, 4, 5)]
    before, after = list[tuple[U8, U16]](), list[tuple[U8, U16]]()
    for frame in frames:
        classes, ids, listed = disturbed(frame, rng)
        pasted = np.where(ids > 0, np.array([0, *(i.class_id for i in listed)], np.uint8)[ids], classes)
        before.append((pasted.astype(np.uint8), ids))
        new, numbers, instances = fuse(classes, ids, listed, LABELS_OF_SCENE)
        after.append((new, numbers))
        background = ~np.isin(classes, LABELS_OF_SCENE.object_ids)
        np.testing.assert_array_equal(new[background], classes[background])
        assert not numbers[background].any()
        assert [i.instance_id for i in instances] == list(range(1, int(numbers.max()) + 1))
        for instance in instances:
            mine = numbers == instance.instance_id
            assert mine.sum() == instance.area_px and set(new[mine]) == {instance.class_id}
        again = fuse(new, numbers, instances, LABELS_OF_SCENE)
        np.testing.assert_array_equal(again[0], new)
        np.testing.assert_array_equal(again[1], numbers)
    things = list(LABELS_OF_SCENE.object_ids)
    gain = np.nanmean(quality(frames, after)[things]) - np.nanmean(quality(frames, before)[things])
    assert gain > 0.1


def test_without_instances_the_components_are_objects_and_nothing_is_nothing() -> None:
    classes, ids, instances = fused("2 2 0 3 3 3", ". . . . . .", [])
    assert ids.tolist() == [[1, 1, 0, 2, 2, 2]] and [i.class_id for i in instances] == [CAR, TRUCK]
    classes, ids, instances = fused("0 1 1 0", "1 1 . .", [CAR])
    assert classes.tolist() == [[0, 1, 1, 0]] and not ids.any() and instances == ()


def test_a_network_that_gives_both_has_them_fused() -> None:
    probabilities = np.zeros((5, 20, 30), np.float32)
    probabilities[ROAD] = 1
    probabilities[:, 5:15, 5:25] = 0
    probabilities[CAR, 5:15, 5:15] = probabilities[TRUCK, 5:15, 15:25] = 1
    outputs = {
        "probabilities": probabilities,
        "boxes": np.array([[4 / 30, 0.2, 18 / 30, 0.8]], np.float32),
        "box_scores": np.array([0.8], np.float32),
        "box_labels": np.array([TRUCK], np.float32),
        "box_masks": np.ones((1, 28, 28), np.float32),
    }
    config = SegmentationConfig()
    whole = make_masks(outputs, (20, 30), ("class_ids", "objectness", "instance_ids"), config, LABELS)
    assert (whole["class_ids"][5:15, 5:25] == TRUCK).all() and (whole["instance_ids"][5:15, 5:25] == 1).all()
    assert [(i.class_id, i.area_px) for i in whole["instances"]] == [(TRUCK, 200)]
    alone = make_masks(outputs, (20, 30), ("class_ids",), config, LABELS)
    np.testing.assert_array_equal(alone["class_ids"], whole["class_ids"])
    assert set(alone) == {"class_ids"}
    only = make_masks(outputs, (20, 30), ("instance_ids",), config, LABELS)
    assert set(only) == {"instance_ids", "instances"}
    assert set(make_masks(outputs, (20, 30), ("objectness",), config, LABELS)) == {"objectness"}


def test_panoptic_image_counts_the_objects_of_each_class() -> None:
    ids = np.arange(301, dtype=np.uint16)[None]
    classes = np.where(ids == 0, 255, np.where(ids % 300 == 1, PERSON, CAR)).astype(np.uint8)
    listed = [Instance(k, int(classes[0, k]), 1.0, (0, 0, 1, 1), 1) for k in range(1, 301)]
    image, left_out = panoptic_image(classes, ids, listed)
    assert image[0, :4].tolist() == [0xFF00, PERSON << 8 | 1, CAR << 8 | 1, CAR << 8 | 2]
    assert image[0, 256].item() == (CAR << 8 | 255) and image[0, 257].item() == CAR << 8
    assert left_out == 299 - 255 and image.dtype == np.uint16


@pytest.mark.parametrize("row", [{"category": 3}, {"category": "x" * 101}])
def test_categories_are_texts(row: dict[str, object]) -> None:
    from cmt_seg_ros.errors import ConfigError

    assert LabelSet.from_list(LABELS.to_list()) == LABELS
    assert "category" not in LABELS.to_list()[PERSON]
    with pytest.raises(ConfigError, match="category must be a text"):
        LabelSet.from_list([{"id": 0, "name": "a", "color": [1, 2, 3], **row}])
