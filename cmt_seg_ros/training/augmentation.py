"""Random scale, crop, flip and colour of one sample."""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import U8
from cmt_seg_ros.training.datasets import Sample


def augment(sample: Sample, crop: tuple[int, int], rng: np.random.Generator) -> tuple[U8, U8]:
    """Cut one training crop.

    Args:
        sample: image and labels of any size.
        crop: (height, width) in pixels.
        rng: source of all chance.

    Returns:
        (image, labels): crop-sized; pixels outside the image are grey and ignored.
    """
    image, labels = _scale(sample, crop, float(np.exp(rng.uniform(np.log(0.5), np.log(2.0)))))
    image, labels = _cut(image, labels, crop, rng)
    if rng.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return _recolour(np.ascontiguousarray(image), rng), np.ascontiguousarray(labels)


def _scale(sample: Sample, crop: tuple[int, int], factor: float) -> tuple[U8, U8]:
    height, width = sample.labels.shape
    size = (round(width * factor), round(height * factor))
    how = cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA
    image = cv2.resize(sample.image, size, interpolation=how)
    labels = cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST)
    right, below = max(crop[1] - size[0], 0), max(crop[0] - size[1], 0)
    if right or below:
        image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        labels = cv2.copyMakeBorder(labels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(IGNORE_ID,))
    return image.astype(np.uint8, copy=False), labels.astype(np.uint8, copy=False)


def _cut(image: U8, labels: U8, crop: tuple[int, int], rng: np.random.Generator) -> tuple[U8, U8]:
    """A random window; of two tries the one with more classes, so that rare ones are seen more often."""
    best: tuple[int, int, int] | None = None
    for _ in range(2):
        top = int(rng.integers(0, image.shape[0] - crop[0] + 1))
        left = int(rng.integers(0, image.shape[1] - crop[1] + 1))
        window = labels[top : top + crop[0], left : left + crop[1]]
        variety = np.count_nonzero(np.bincount(window[::4, ::4].ravel(), minlength=256)[:IGNORE_ID])
        if best is None or variety > best[0]:
            best = (int(variety), top, left)
    assert best is not None
    rows, columns = slice(best[1], best[1] + crop[0]), slice(best[2], best[2] + crop[1])
    return image[rows, columns], labels[rows, columns]


def _recolour(image: U8, rng: np.random.Generator) -> U8:
    """Gain per channel, gamma, contrast, saturation, and now and then blur or noise."""
    gain = rng.uniform(0.7, 1.35) * rng.uniform(0.9, 1.1, 3)
    gamma = np.exp(rng.uniform(-0.4, 0.4))
    ramp = np.linspace(0, 1, 256)[:, None] ** gamma
    contrast = rng.uniform(0.75, 1.3)
    lut = np.clip(((ramp - 0.5) * contrast + 0.5) * gain * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, lut[None]).astype(np.uint8, copy=False)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    saturation = rng.uniform(0.5, 1.4)
    image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0).astype(np.uint8, copy=False)
    chance = rng.random()
    if chance < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.2))).astype(np.uint8, copy=False)
    elif chance < 0.3:
        noise = rng.normal(0, rng.uniform(2, 8), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image
