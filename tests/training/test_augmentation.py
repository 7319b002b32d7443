"""Crops: image and labels stay together, chance follows the seed, rare classes are seen more often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmt_seg_ros.structures import U8
from cmt_seg_ros.training.appearance import dusk, recolour, restyle, shade
from cmt_seg_ros.training.augmentation import Augmentation, augment
from cmt_seg_ros.training.copy_paste import cut_outs, paste
from cmt_seg_ros.training.datasets import AS_LABELS, Sample

PLAIN = Augmentation(restyle=0, dusk=0, shade=0, paste=0, rare_first=0)


def two_halves(height: int = 120, width: int = 160) -> Sample:
    labels = np.zeros((height, width), np.uint8)
    labels[:, width // 2 :] = 1
    return Sample("s", np.where(labels[..., None] == 1, np.uint8(220), np.uint8(30)).repeat(3, 2), labels)


@pytest.mark.parametrize("how", [PLAIN, Augmentation(dusk=1), Augmentation(restyle=1), Augmentation(rare_first=1)])
def test_augmented_image_and_labels_stay_together(how: Augmentation) -> None:
    sample = two_halves()
    for seed in range(15):
        rng = np.random.default_rng(seed)
        crop = augment(sample, (96, 128), rng, how, 120.0 * 160, [sample], {}, (1,))
        image, found = crop.image, crop.labels
        assert image.shape == (96, 128, 3) and found.shape == (96, 128) and image.dtype == found.dtype == np.uint8
        if (found == 1).any() and (found == 0).any():
            assert image[found == 1].mean() > 1.3 * image[found == 0].mean()


def test_augmentation_follows_its_seed() -> None:
    sample = two_halves()
    pool = cut_outs([sample], (1,))
    first, second = (
        augment(sample, (64, 64), np.random.default_rng(3), Augmentation(), 1e4, [sample], pool, (1,)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_objectness_labels_stay_with_the_others() -> None:
    sample = two_halves()
    with_objects = replace(sample, objects=(1 - sample.labels).astype(np.uint8))
    pool = cut_outs([sample], (1,))
    how = replace(PLAIN, paste=1, rare_first=0.5)
    for seed in range(5):
        plain, crop = (
            augment(s, (96, 128), np.random.default_rng(seed), how, 120.0 * 160, [sample], pool, (1,))
            for s in (sample, with_objects)
        )
        np.testing.assert_array_equal(crop.labels, plain.labels)
        objects = crop.objects
        assert objects is not None and (objects[crop.labels == 255] == 255).all()
        pasted = objects == AS_LABELS
        assert pasted.any() and (crop.labels[pasted] == 1).all()
        own = ~pasted & (crop.labels != 255)
        np.testing.assert_array_equal(objects[own], 1 - crop.labels[own])


def test_small_images_are_brought_to_the_area_of_the_others() -> None:
    how = Augmentation(scale=(1, 1), restyle=0, dusk=0, shade=0, paste=0, rare_first=0)
    crop = augment(two_halves(60, 80), (120, 160), np.random.default_rng(0), how, 120.0 * 160)
    assert (crop.labels != 255).all()  # scaled by two: nothing had to be filled


def test_crops_are_laid_around_rare_classes() -> None:
    labels = np.zeros((400, 400), np.uint8)
    labels[300:312, 40:52] = 7
    sample = Sample("s", np.zeros((400, 400, 3), np.uint8), labels)
    how = Augmentation(scale=(1, 1), restyle=0, dusk=0, shade=0, paste=0, rare_first=1)
    crops = [augment(sample, (64, 64), np.random.default_rng(k), how, 160000.0, rare=(7,)).labels for k in range(20)]
    assert all((c == 7).any() for c in crops)


def test_cut_outs_are_pasted_with_their_labels() -> None:
    image, labels = np.full((100, 100, 3), 10, np.uint8), np.zeros((100, 100), np.uint8)
    image[40:60, 10:20], labels[40:60, 10:20] = 200, 5
    labels[0:2, 0:2] = 5  # too small to be an object
    pool = cut_outs([Sample("s", image, labels)], (5, 6))
    assert list(pool) == [5] and [(c.x, c.y, c.mask.sum()) for c in pool[5]] == [(10, 40, 200)]
    empty = np.zeros((100, 100), np.uint8)
    made = paste(Sample("s", np.full_like(image, 10), empty), pool, np.random.default_rng(1))
    pasted, found = made.image, made.labels
    assert not empty.any() and (found == 5).sum() >= 200
    np.testing.assert_array_equal(found == 5, pasted[..., 0] == 200)
    assert set(np.nonzero(found)[0]) <= set(range(40, 60))  # at its height
    small = np.zeros((50, 100), np.uint8)
    low = Sample("s", np.zeros((50, 100, 3), np.uint8), small)
    assert not paste(low, pool, np.random.default_rng(1)).labels.any()


def test_restyling_moves_towards_the_other_image() -> None:
    rng = np.random.default_rng(0)
    image: U8 = rng.integers(90, 160, (60, 80, 3)).astype(np.uint8)
    other: U8 = np.clip(rng.normal(60, 8, (50, 50, 3)), 0, 255).astype(np.uint8)
    assert abs(restyle(image, other, 1.0).mean() - other.mean()) < 8
    np.testing.assert_allclose(restyle(image, other, 0.0).astype(int), image.astype(int), atol=4)


@pytest.mark.parametrize("change", [recolour, dusk, shade])
def test_changes_of_light_keep_shape_and_type(change: object) -> None:
    image = np.full((40, 60, 3), 120, np.uint8)
    results = [change(image, np.random.default_rng(k)) for k in range(5)]  # type: ignore[operator]
    assert all(r.shape == image.shape and r.dtype == np.uint8 for r in results) and (image == 120).all()
    if change is dusk:
        assert all(r.mean() < 120 for r in results)
