"""Training data: images with class ids, held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.errors import DatasetError
from cmt_seg_ros.labels import CAMVID, IGNORE_ID, LabelSet
from cmt_seg_ros.sources.scene import StreetScene
from cmt_seg_ros.structures import U8

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True, eq=False)
class Sample:
    """image: (H, W, 3) uint8 blue-green-red; labels: (H, W) uint8 class ids, 255 = ignored."""

    name: str
    image: U8
    labels: U8


def read_folder(root: Path, labels: LabelSet = CAMVID) -> list[Sample]:
    """Read ``root/images/*`` with ``root/labels/<same stem>.png``; ids outside the label set are ignored.

    Raises:
        DatasetError: a folder is missing or empty, an image has no labels, or their sizes differ.
    """
    images = sorted(p for p in (root / "images").glob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise DatasetError(f"no images in {root / 'images'}; expected images/*.png|jpg|webp and labels/<same name>.png")
    return [_read_pair(path, root / "labels" / f"{path.stem}.png", len(labels)) for path in images]


def _read_pair(image_path: Path, label_path: Path, num_classes: int) -> Sample:
    image = cv2.imread(str(image_path), cv2.IMREAD_COLOR)
    ids = cv2.imread(str(label_path), cv2.IMREAD_GRAYSCALE)
    if image is None or ids is None:
        path = image_path if image is None else label_path
        raise DatasetError(f"cannot read {path}; every image needs its label file")
    if image.shape[:2] != ids.shape:
        raise DatasetError(f"{label_path} is {ids.shape} but its image is {image.shape[:2]}; sizes must be equal")
    return Sample(image_path.stem, image, np.where(ids < num_classes, ids, IGNORE_ID).astype(np.uint8))


def render_scenes(count: int, first_seed: int, width: int = 480, height: int = 360) -> Iterator[Sample]:
    """``count`` synthetic frames, six of each street, 25 frames (about 15 m) apart.

    The demo and the tests use seeds below 1000, training those from ``first_seed``: it never sees them.
    """
    for i in range(count):
        street, place = divmod(i, 6)
        if place == 0:
            scene = StreetScene(width, height, fps=15.0, frames=400, seed=first_seed + street)
        frame = scene.frame(street * 37 % 200 + place * 25)
        assert frame.truth is not None  # a scene always knows its truth
        yield Sample(f"scene{first_seed + street}_{frame.name}", frame.pixels, frame.truth.class_ids)


def class_weights(samples: list[Sample], num_classes: int) -> list[float]:
    """Weight of each class in the loss: inverse square root of its frequency, 0.4-4, mean 1 over pixels' classes."""
    counts = np.zeros(num_classes)
    for sample in samples:
        counts += np.bincount(sample.labels.ravel(), minlength=256)[:num_classes]
    weights = 1.0 / np.sqrt(np.maximum(counts / counts.sum(), 1e-4))
    return [float(w) for w in np.clip(weights / weights.mean(), 0.4, 4.0)]
