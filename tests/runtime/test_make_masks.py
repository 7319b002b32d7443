"""Masks of a network's scores, against the same done plane by plane and without any short cut."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.labels import LabelClass, LabelSet
from cmt_seg_ros.runtime.masks import MASKS, make_masks, possible_classes
from cmt_seg_ros.structures import U8

CONFIG = SegmentationConfig()
SIZES = [((45, 60), (45, 60)), ((45, 60), (180, 320)), ((20, 33), (97, 161)), ((60, 80), (16, 40))]


def scores(classes: int, size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth probabilities as of a softmax, and those of object; the last third of the classes is nowhere likely."""
    rng = np.random.default_rng(seed)
    logits = np.stack([cv2.GaussianBlur(rng.normal(size=size), (0, 0), 3) for _ in range(classes)]) * 60
    logits[classes - classes // 3 :] -= 12
    grown = np.exp(logits - logits.max(axis=0))
    return (grown / grown.sum(axis=0)).astype(np.float32), rng.random(size, np.float32)


def labels(classes: int, objects: tuple[int, ...] = (1,)) -> LabelSet:
    return LabelSet(tuple(LabelClass(k, f"class {k}", (k, 0, 0), k in objects) for k in range(classes)))


def masks_of(
    probabilities: np.ndarray,
    objects: np.ndarray,
    size: tuple[int, int],
    masks: tuple[str, ...] = MASKS[:3],
    config: SegmentationConfig = CONFIG,
) -> dict[str, U8]:
    outputs = {"probabilities": probabilities, "object_probability": objects[None]}
    return make_masks(outputs, size, masks, config, labels(len(probabilities)))


def in_steps(planes: np.ndarray) -> np.ndarray:
    return np.rint(planes.astype(float) * 65535).astype(np.uint16)


def full_size(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The planes in steps of 1/65535, scaled one by one."""
    return np.stack([cv2.resize(plane, size[::-1]) for plane in in_steps(planes)])


@pytest.mark.parametrize("classes", [2, 11, 40, 255])
@pytest.mark.parametrize(("size", "image"), SIZES)
def test_masks_are_those_of_all_planes_at_full_size(
    classes: int, size: tuple[int, int], image: tuple[int, int]
) -> None:
    probabilities, objects = scores(classes, size)
    found = masks_of(probabilities, objects, image)
    planes = full_size(probabilities, image)
    np.testing.assert_array_equal(found["class_ids"], planes.argmax(axis=0))
    np.testing.assert_array_equal(found["confidence"], np.rint(planes.max(axis=0) / 257).astype(np.uint8))
    np.testing.assert_array_equal(found["objectness"] == 255, full_size(objects[None], image)[0] > 65535 // 2)
    assert {(mask.shape, mask.dtype, mask.flags.owndata) for mask in found.values()} == {
        (image, np.dtype(np.uint8), True)
    }
    exact = np.stack([cv2.resize(plane, image[::-1]) for plane in probabilities])
    assert np.mean(found["class_ids"] == exact.argmax(axis=0)) > 0.999


@pytest.mark.parametrize("seed", range(5))
def test_no_class_is_skipped_that_is_the_best_somewhere(seed: int) -> None:
    # Noise of a few pixels: many classes are the best only between pixels where others are.
    rough = np.random.default_rng(seed).dirichlet(np.full(40, 0.3), (5, 6)).transpose(2, 0, 1).astype(np.float32)
    for probabilities in (rough, scores(40, (24, 32), seed)[0]):
        planes = in_steps(probabilities)
        possible = possible_classes(planes)
        best = np.unique(full_size(probabilities, (301, 407)).argmax(axis=0))
        assert set(best) <= set(possible)
        if probabilities is rough:
            assert len(best) > len(np.unique(planes.argmax(axis=0))), "the test would show nothing"
        else:
            assert len(possible) < 35


@pytest.mark.parametrize("score", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("objects", [0.0, 0.25, 1.0])
def test_thresholds(score: float, objects: float) -> None:
    probabilities, is_object = scores(11, (45, 60))
    config = replace(CONFIG, score_threshold=score, object_threshold=objects)
    found = masks_of(probabilities, is_object, (180, 240), config=config)
    planes, plane = full_size(probabilities, (180, 240)), full_size(is_object[None], (180, 240))[0]
    below = planes.max(axis=0) < score * 65535
    np.testing.assert_array_equal(found["class_ids"], np.where(below, 255, planes.argmax(axis=0)))
    np.testing.assert_array_equal(found["confidence"], np.rint(planes.max(axis=0) / 257).astype(np.uint8))
    np.testing.assert_array_equal(found["objectness"] == 255, plane > objects * 65535)


@pytest.mark.parametrize("count", [2, 3, 11])
def test_most_probable_classes_come_in_their_order(count: int) -> None:
    probabilities, objects = scores(11, (45, 60))
    config = replace(CONFIG, top_k=count, score_threshold=0.6)
    found = masks_of(probabilities, objects, (90, 120), MASKS, config)
    planes = full_size(probabilities, (90, 120))
    order = np.argsort(-planes.astype(int), axis=0, kind="stable")[:count]
    np.testing.assert_array_equal(found["top_ids"], order)
    in_order = np.take_along_axis(planes, order, axis=0)
    np.testing.assert_array_equal(found["top_scores"], np.rint(in_order / 257).astype(np.uint8))
    np.testing.assert_array_equal(found["class_ids"], np.where(in_order[0] < 0.6 * 65535, 255, order[0]))
    np.testing.assert_array_equal(found["confidence"], found["top_scores"][0])


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_labels_may_be_gated_by_objectness(threshold: float) -> None:
    probabilities, objects = scores(6, (45, 60))
    size, of = (90, 120), (1, 2)
    config = replace(CONFIG, score_threshold=threshold)
    made = {
        gate: make_masks(
            {"probabilities": probabilities, "object_probability": objects[None]},
            size,
            MASKS[:3],
            replace(config, gate_labels=gate),
            labels(6, of),
        )
        for gate in ("none", "unlabelled", "background")
    }
    nowhere = made["none"]["objectness"] == 0
    assert 0.1 < nowhere.mean() < 0.9
    np.testing.assert_array_equal(made["unlabelled"]["class_ids"], np.where(nowhere, 255, made["none"]["class_ids"]))
    planes = full_size(probabilities, size)
    others = np.array([0, 3, 4, 5])
    best = others[planes[others].argmax(axis=0)]
    best[planes[others].max(axis=0) < threshold * 65535] = 255
    np.testing.assert_array_equal(made["background"]["class_ids"], np.where(nowhere, best, made["none"]["class_ids"]))
    for name in ("objectness", "confidence"):
        np.testing.assert_array_equal(made["background"][name], made["none"][name])


def test_edges_and_distance_are_made_where_the_network_has_them() -> None:
    probabilities, plane = scores(4, (20, 30))
    outputs = {"probabilities": probabilities, "edges": plane[None], "distance": 1 - plane[None]}
    found = make_masks(outputs, (40, 60), ("edges", "distance"), CONFIG, labels(4))
    assert set(found) == {"edges", "distance"}
    expected = cv2.resize(plane, (60, 40)) * 255
    assert np.abs(found["edges"] - expected).max() <= 1 and np.abs(found["distance"] - (255 - expected)).max() <= 1
    assert set(make_masks({"probabilities": probabilities}, (40, 60), MASKS, CONFIG, labels(4))) == set(MASKS[:5])


@pytest.mark.parametrize("masks", [("objectness",), ("confidence",), ("class_ids", "objectness"), ("top_ids",)])
def test_only_what_is_wanted_is_made(masks: tuple[str, ...]) -> None:
    assert tuple(masks_of(*scores(4, (20, 30)), (40, 60), masks, replace(CONFIG, top_k=2))) == masks


def test_without_scores_of_their_own_objects_are_the_sum_of_their_classes() -> None:
    probabilities, _ = scores(5, (45, 60))
    found = make_masks({"probabilities": probabilities}, (90, 120), MASKS[:3], CONFIG, labels(5, (1, 3)))
    expected = masks_of(probabilities, probabilities[1] + probabilities[3], (90, 120))
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask)
    none = make_masks({"probabilities": probabilities}, (90, 120), MASKS[:3], CONFIG, labels(5, ()))
    assert not none["objectness"].any()


def test_class_ids_without_scores_have_no_confidence() -> None:
    ids = np.random.default_rng(0).integers(0, 6, (45, 60), np.uint8)
    found = make_masks({"class_ids": ids}, (45, 60), MASKS[:3], CONFIG, labels(5, (1, 3)))
    assert set(found) == {"class_ids", "objectness"}
    np.testing.assert_array_equal(found["class_ids"], np.where(ids == 5, 255, ids))
    np.testing.assert_array_equal(found["objectness"] == 255, np.isin(ids, (1, 3)))
    large = make_masks({"class_ids": ids}, (90, 120), MASKS[:1], CONFIG, labels(6))["class_ids"]
    np.testing.assert_array_equal(large, ids.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("value", [-3.0, 5.2, np.nan, np.inf])
@pytest.mark.parametrize("output", [0, 1])
def test_what_is_no_probability_is_said(value: float, output: int) -> None:
    outputs = [plane.copy() for plane in scores(4, (20, 30))]
    outputs[output][..., 3, 3] = value
    name = ("probabilities", "object_probability")[output]
    with pytest.raises(ModelError, match=rf"output {name} has values from .* to .*; probabilities are 0 to 1"):
        masks_of(outputs[0], outputs[1], (40, 60))


def test_rounding_beyond_one_is_one() -> None:
    probabilities = np.stack([np.full((20, 30), 1.004, np.float32), np.full((20, 30), -0.004, np.float32)])
    found = masks_of(probabilities, probabilities[0], (40, 60))
    assert not found["class_ids"].any() and (found["confidence"] == 255).all() and found["objectness"].all()
