"""Panoptic quality by hand, against the definition written out, and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.labels import CAMVID, LabelClass, LabelSet
from cmt_seg_ros.metrics.panoptic import Part, panoptic_parts, panoptic_quality
from cmt_seg_ros.structures import F64, U8, U16

ROAD, CAR, MAN = 0, 1, 2
LABELS = LabelSet(
    (
        LabelClass(ROAD, "road", (0, 0, 0)),
        LabelClass(CAR, "car", (1, 0, 0), is_object=True),
        LabelClass(MAN, "man", (2, 0, 0), is_object=True),
    )
)
Frame = tuple[U8, U16]


def frame(*objects: tuple[int, int, int, int], unlabelled: tuple[int, int] = (0, 0)) -> Frame:
    """One row of 100 pixels of road, with objects (class, instance, from, to), and unlabelled from-to."""
    ids, instances = np.zeros((1, 100), np.uint8), np.zeros((1, 100), np.uint16)
    for class_id, instance, left, right in objects:
        ids[:, left:right], instances[:, left:right] = class_id, instance
    ids[:, slice(*unlabelled)] = 255
    return ids, instances


def parts(truth: Frame, prediction: Frame) -> dict[int, Part]:
    return {part[0]: part for part in panoptic_parts(*truth, *prediction, LABELS)}


def totals(rows: list[Part], num_classes: int) -> F64:
    table = np.zeros((num_classes, 4))
    for class_id, *values in rows:
        table[class_id] += values
    return table


def test_a_perfect_frame_with_other_ids() -> None:
    truth, prediction = frame((CAR, 1, 10, 20), (CAR, 2, 20, 30)), frame((CAR, 65535, 10, 20), (CAR, 7, 20, 30))
    assert panoptic_parts(*truth, *prediction, LABELS) == [(ROAD, 1.0, 1, 0, 0), (CAR, 2.0, 2, 0, 0)]
    quality = panoptic_quality(totals(panoptic_parts(*truth, *prediction, LABELS), 3))
    assert (quality.pq, quality.sq, quality.rq) == (1, 1, 1)
    np.testing.assert_array_equal(quality.class_pq, [1, 1, np.nan])


def test_two_objects_in_one_track_match_the_larger_or_none() -> None:
    truth = frame((CAR, 1, 10, 22), (CAR, 2, 22, 30))
    assert parts(truth, frame((CAR, 5, 10, 30)))[CAR] == (CAR, 12 / 20, 1, 0, 1)
    truth = frame((CAR, 1, 10, 20), (CAR, 2, 20, 30))  # IoU 0.5 is no match
    assert parts(truth, frame((CAR, 5, 10, 30)))[CAR] == (CAR, 0.0, 0, 1, 2)


def test_a_track_is_of_the_class_that_most_of_its_pixels_have() -> None:
    truth = frame((CAR, 1, 10, 30))
    found = parts(truth, frame((CAR, 5, 10, 22), (MAN, 5, 22, 30)))
    assert found[CAR] == (CAR, 1.0, 1, 0, 0) and MAN not in found
    # Road under a track stays road.
    assert parts(truth, frame((CAR, 5, 10, 22), (ROAD, 5, 22, 60)))[CAR] == (CAR, 12 / 20, 1, 0, 0)


def test_a_true_instance_of_two_classes_is_two_segments() -> None:
    found = parts(frame((CAR, 1, 10, 20), (MAN, 1, 20, 30)), frame((CAR, 1, 10, 20), (MAN, 2, 20, 30)))
    assert found[CAR] == (CAR, 1.0, 1, 0, 0) and found[MAN] == (MAN, 1.0, 1, 0, 0)


def test_object_pixels_without_an_instance_are_one_segment_of_each_class() -> None:
    truth = frame((CAR, 0, 10, 20), (CAR, 0, 50, 60), (MAN, 0, 70, 80))
    assert parts(truth, truth)[CAR] == (CAR, 1.0, 1, 0, 0) and parts(truth, truth)[MAN] == (MAN, 1.0, 1, 0, 0)
    assert parts(truth, frame((CAR, 1, 10, 20)))[CAR] == (CAR, 0.0, 0, 1, 1)


def test_what_is_unlabelled_in_the_truth_does_not_count() -> None:
    truth = frame((CAR, 1, 10, 20), unlabelled=(20, 60))
    assert parts(truth, frame((CAR, 3, 10, 40)))[CAR] == (CAR, 1.0, 1, 0, 0)  # IoU without those pixels
    assert CAR not in parts(frame(unlabelled=(20, 60)), frame((CAR, 3, 15, 40)))  # more than half on them
    assert parts(frame(unlabelled=(20, 60)), frame((CAR, 3, 10, 30)))[CAR] == (CAR, 0.0, 0, 1, 0)  # just half
    nothing = frame(unlabelled=(0, 100))
    with np.errstate(all="raise"):
        assert parts(nothing, frame((CAR, 3, 10, 40))) == {} and parts(nothing, nothing) == {}


def test_what_is_unlabelled_in_the_prediction_is_missed() -> None:
    truth = frame((CAR, 1, 10, 20))
    assert parts(truth, frame((CAR, 3, 10, 20), unlabelled=(16, 20)))[CAR] == (CAR, 0.6, 1, 0, 0)
    assert parts(truth, frame(unlabelled=(0, 100))) == {ROAD: (ROAD, 0.0, 0, 0, 1), CAR: (CAR, 0.0, 0, 0, 1)}


def test_quality_by_hand_and_over_frames() -> None:
    rows: list[Part] = [(ROAD, 0.9, 1, 0, 0), (CAR, 1.5, 2, 1, 0), (CAR, 0.7, 1, 0, 3), (MAN, 0.0, 0, 2, 0)]
    quality = panoptic_quality(totals(rows, 4))
    np.testing.assert_allclose(quality.class_pq, [0.9, 2.2 / 5, 0, np.nan])
    np.testing.assert_allclose(quality.class_sq, [0.9, 2.2 / 3, 0, np.nan])
    np.testing.assert_allclose(quality.class_rq, [1, 3 / 5, 0, np.nan])
    assert quality.pq == pytest.approx((0.9 + 2.2 / 5) / 3) and quality.rq == pytest.approx(1.6 / 3)
    assert np.isnan(panoptic_quality(np.zeros((4, 4))).pq)


def test_refuses_other_size() -> None:
    ids, instances = frame()
    with pytest.raises(ValueError, match=r"\(1, 99\)"):
        panoptic_parts(ids, instances, ids, instances[:, 1:], LABELS)


def street(seed: int, unlabelled: float) -> tuple[U8, U16, U8, U16]:
    """Truth and a prediction much like it, classes of CamVid in blocks; each track of one class."""
    rng = np.random.default_rng(seed)

    def blocks(values: np.ndarray, size: int) -> np.ndarray:
        return values[rng.integers(0, len(values), (60 // size, 80 // size))].repeat(size, 0).repeat(size, 1)

    truth = blocks(np.array([*range(11), 8, 8, 9, 10], np.uint8), 10)
    instances = np.where(truth >= 8, blocks(np.array([0, 3, 40, 600], np.uint16), 20), 0).astype(np.uint16)
    change = rng.random(truth.shape) < rng.choice([0.02, 0.6], (6, 8)).repeat(10, 0).repeat(10, 1)
    ids = np.where(change, blocks(np.arange(11, dtype=np.uint8), 2), truth)
    tracks = np.where(ids >= 8, np.roll(instances, seed % 2, axis=1) + 10 * ids, 0).astype(np.uint16)
    tracks[(ids >= 8) & (rng.random(ids.shape) < 0.03)] = 0
    truth[blocks(np.arange(10), 5) < 10 * unlabelled] = 255
    ids[blocks(np.arange(10), 5) < 5 * unlabelled] = 255
    return truth, instances, ids, tracks


def slow_parts(truth: U8, instances: U16, ids: U8, tracks: U16) -> list[Part]:
    """The paper's definition, a segment at a time."""

    def segments(classes: U8, numbers: U16) -> list[tuple[int, np.ndarray]]:
        keys = {
            (c, n if c >= 8 else 0) for c, n in zip(classes.ravel().tolist(), numbers.ravel().tolist(), strict=True)
        }
        return [(c, (classes == c) & ((numbers == n) | (c < 8))) for c, n in sorted(keys) if c != 255]

    ignored = truth == 255
    table = np.zeros((11, 4))
    predicted, matched = segments(ids, tracks), set()
    for class_id, mask in segments(truth, instances):
        hit = False
        for i, (other, found) in enumerate(predicted):
            iou = (mask & found).sum() / (mask | (found & ~ignored)).sum()
            if other == class_id and iou > 0.5:
                table[class_id] += [iou, 1, 0, 0]
                matched.add(i)
                hit = True
        table[class_id, 3] += not hit
    for i, (class_id, found) in enumerate(predicted):
        table[class_id, 2] += i not in matched and (found & ignored).sum() / found.sum() <= 0.5
    return [(c, iou, int(tp), int(fp), int(fn)) for c, (iou, tp, fp, fn) in enumerate(table) if tp + fp + fn]


@pytest.mark.parametrize("unlabelled", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_definition(seed: int, unlabelled: float) -> None:
    images = street(seed, unlabelled)
    found, expected = panoptic_parts(*images, CAMVID), slow_parts(*images)
    assert [(c, *counts) for c, _, *counts in found] == [(c, *counts) for c, _, *counts in expected]
    np.testing.assert_allclose([part[1] for part in found], [part[1] for part in expected])
    assert all(sum(part[i] for part in found) > 0 for i in (2, 3, 4))


def test_equals_torchmetrics() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")
    theirs = pytest.importorskip("torchmetrics.detection", reason="torchmetrics is not installed")
    # There pixels that the prediction leaves unlabelled are taken out of the truth; as a class of their own they
    # are missed, as here.
    metric = theirs.PanopticQuality(
        things={8, 9, 10}, stuffs={*range(8), 99}, return_sq_and_rq=True, return_per_class=True
    )
    rows: list[Part] = []
    for seed in range(6):
        truth, instances, ids, tracks = street(seed, 0.2)
        rows += panoptic_parts(truth, instances, ids, tracks, CAMVID)
        pair = [np.stack([np.where(ids == 255, 99, ids), tracks], axis=-1), np.stack([truth, instances], axis=-1)]
        metric.update(*(torch.from_numpy(image.astype(np.int64))[None] for image in pair))
    quality = panoptic_quality(totals(rows, 11))
    # Its order: objects first.
    for column, ours in enumerate((quality.class_pq, quality.class_sq, quality.class_rq)):
        expected = metric.compute()[:, column].numpy()
        np.testing.assert_allclose(ours, [*expected[3:11], *expected[:3]])
