"""Augmentation of one sample into a training crop: paste, scale, crop, flip, change the appearance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import U8
from cmt_seg_ros.training.appearance import defocus_or_noise, dusk, recolour, restyle, shade
from cmt_seg_ros.training.checks import check_numbers, is_number
from cmt_seg_ros.training.copy_paste import CutOut, paste
from cmt_seg_ros.training.datasets import Sample


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the augmentation; probabilities are 0-1.

    Attributes:
        scale: smallest and largest factor on the image's size.
        restyle: probability of taking the colours of another training image.
        dusk: probability of low light.
        shade: probability of uneven light.
        recolour: probability of changing light, contrast and saturation, where there is no dusk.
        defocus: probability of blur or noise.
        paste: probability of pasting cut-outs of rare classes.
        rare_first: probability of placing the crop around a pixel of a rare class.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    restyle: float = 0.4
    dusk: float = 0.15
    shade: float = 0.2
    recolour: float = 1.0
    defocus: float = 0.3
    paste: float = 0.5
    rare_first: float = 0.5

    def __post_init__(self) -> None:
        chances = {f.name: (float, 0, 1) for f in fields(self) if f.name != "scale"}
        check_numbers("augmentation", self, chances)
        scale = self.scale
        if not isinstance(scale, tuple) or len(scale) != 2 or not all(is_number(v, float, 0.01, 100) for v in scale):
            raise ConfigError(f"augmentation: scale is {scale!r}; it must be two factors, from 0.01 to 100")
        if scale[0] > scale[1]:
            raise ConfigError(f"augmentation: scale is {list(scale)}; the smaller factor comes first")


def augment(
    sample: Sample,
    crop: tuple[int, int],
    rng: np.random.Generator,
    how: Augmentation,
    area_px: float,
    styles: Sequence[Sample] = (),
    cut_outs: Mapping[int, Sequence[CutOut]] | None = None,
    rare: Sequence[int] = (),
) -> Sample:
    """Cut one training crop.

    Args:
        sample: image and labels of any size.
        crop: (height, width) in pixels.
        rng: random generator.
        how: strengths of the augmentation.
        area_px: area at which the network sees images; the scale is relative to it.
        styles: images whose colours may be taken.
        cut_outs: objects that may be pasted, by label.
        rare: labels around which crops may be placed.

    Returns:
        The sample at the size of the crop; pixels outside the image are grey and ignored.
    """
    if cut_outs and rng.random() < how.paste:
        sample = paste(sample, cut_outs, rng)
    factor = np.exp(rng.uniform(*np.log(how.scale))) * np.sqrt(area_px / sample.labels.size)
    sample = _scale(sample, crop, float(factor))
    sample = _cut(sample, crop, rng, rare if rng.random() < how.rare_first else ())
    if rng.random() < 0.5:
        sample = sample.changed(sample.image[:, ::-1], lambda labels: labels[:, ::-1])
    image = _look(np.ascontiguousarray(sample.image), rng, how, styles)
    return sample.changed(image, np.ascontiguousarray)


def _look(image: U8, rng: np.random.Generator, how: Augmentation, styles: Sequence[Sample]) -> U8:
    if styles and rng.random() < how.restyle:
        image = restyle(image, styles[int(rng.integers(len(styles)))].image, float(rng.uniform(0.3, 1)))
    if rng.random() < how.shade:
        image = shade(image, rng)
    if rng.random() < how.dusk:
        image = dusk(image, rng)
    elif how.recolour == 1 or rng.random() < how.recolour:  # no random number where it is certain, as in 0.1
        image = recolour(image, rng)
    return defocus_or_noise(image, rng, how.defocus)


def _scale(sample: Sample, crop: tuple[int, int], factor: float) -> Sample:
    height, width = sample.labels.shape
    size = (round(width * factor), round(height * factor))
    how = cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA
    right, below = max(crop[1] - size[0], 0), max(crop[0] - size[1], 0)

    def resized(plane: U8, interpolation: int, outside: int) -> U8:
        plane = cv2.resize(plane, size, interpolation=interpolation).astype(np.uint8, copy=False)
        if right or below:
            plane = cv2.copyMakeBorder(plane, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(outside,) * 3)  # type: ignore[assignment]
        return plane

    return sample.changed(resized(sample.image, how, 127), lambda labels: resized(labels, cv2.INTER_NEAREST, IGNORE_ID))


def _cut(sample: Sample, crop: tuple[int, int], rng: np.random.Generator, rare: Sequence[int]) -> Sample:
    """Crop around a random pixel of a rare class, else the one of two random windows that has more classes."""
    image, labels = sample.image, sample.labels
    room = (image.shape[0] - crop[0], image.shape[1] - crop[1])
    corner = _around_rare(labels, crop, room, rng, rare)
    if corner is None:
        tries = [(int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1))) for _ in range(2)]
        corner = max(tries, key=lambda c: _variety(labels[c[0] : c[0] + crop[0], c[1] : c[1] + crop[1]]))
    rows, columns = slice(corner[0], corner[0] + crop[0]), slice(corner[1], corner[1] + crop[1])
    return sample.changed(image[rows, columns], lambda labels: labels[rows, columns])


def _variety(window: U8) -> int:
    return int(np.count_nonzero(np.bincount(window[::4, ::4].ravel(), minlength=256)[:IGNORE_ID]))


def _around_rare(
    labels: U8, crop: tuple[int, int], room: tuple[int, int], rng: np.random.Generator, rare: Sequence[int]
) -> tuple[int, int] | None:
    grid = labels[::4, ::4]
    present = [r for r in rare if (grid == r).any()]
    if not present:
        return None
    places = np.argwhere(grid == present[int(rng.integers(len(present)))])
    y, x = (4 * int(v) for v in places[int(rng.integers(len(places)))])
    # Anywhere but near the crop's edge.
    top = y - int(rng.uniform(0.2, 0.8) * crop[0])
    left = x - int(rng.uniform(0.2, 0.8) * crop[1])
    return min(max(top, 0), room[0]), min(max(left, 0), room[1])
