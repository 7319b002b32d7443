"""Training data: images with class ids, held in memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cmt_seg_ros.errors import DatasetError, FrameError, SourceError
from cmt_seg_ros.images.files import MASK_SUFFIXES, list_files, read_image
from cmt_seg_ros.images.label_images import byte_labels, read_labels
from cmt_seg_ros.images.pairing import check_distinct, check_paired, first_of, pair
from cmt_seg_ros.labels import IGNORE_ID, LabelSet, class_entries, classes_file
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import U8
from cmt_seg_ros.training.label_check import LabelCounts

log = logging.getLogger(__name__)

AS_LABELS = 2
"""In objectness labels: whether the pixel is an object follows from its class."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Labelled image.

    Attributes:
        name: of the image, without suffix.
        image: (H, W, 3) uint8 blue-green-red.
        labels: (H, W) uint8 ids of its data set, 255 = ignored.
        objects: (H, W) uint8 objectness labels of their own: 0 no object, 1 object, 255 = ignored, AS_LABELS = what the
            class says; None: it says so everywhere.
    """

    name: str
    image: U8
    labels: U8
    objects: U8 | None = None

    def changed(self, image: U8, maps: Callable[[U8], U8]) -> Sample:
        """Return the sample with another image, and the same change of all its maps of labels."""
        return replace(
            self,
            image=image,
            labels=maps(self.labels),
            objects=maps(self.objects) if self.objects is not None else None,
        )


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples of one data set, and the classes that their ids stand for.

    Attributes:
        name: of the folder.
        samples: the images with their labels.
        sets: for each id of the labels, the network's classes it stands for: one, or, where the
            labels are coarser than the network's classes, several.
    """

    name: str
    samples: list[Sample]
    sets: tuple[tuple[int, ...], ...]


def read_unions(root: Path, labels: LabelSet) -> tuple[tuple[int, ...], ...]:
    """Read which of the network's classes each id of a data set stands for.

    Args:
        root: folder with classes.yaml (or one known by its name). Its ``unions`` list id, name and
            ``is``: names of the network's classes. A file with ``classes`` is matched by name.
        labels: the network's classes.

    Raises:
        DatasetError: ids with gaps, or a name that the network does not have.
    """
    path, values = classes_file(root)
    rows = class_entries(path, values, "unions" if isinstance(values, dict) and "unions" in values else "classes")
    if [row.get("id") for row in rows] != list(range(len(rows))):
        raise DatasetError(f"{path}: ids are {[row.get('id') for row in rows]}; they must be 0, 1, 2, ... in order")
    return tuple(_union(path, row.get("is", [row.get("name")]), labels) for row in rows)


def _union(path: Path, names: Any, labels: LabelSet) -> tuple[int, ...]:
    unknown = [name for name in names if name not in labels.names] if isinstance(names, list) and names else names
    if unknown:
        raise DatasetError(f"{path}: {unknown} is not among the network's classes {list(labels.names)}")
    return tuple(sorted(labels.names.index(name) for name in names))


def read_folder(root: Path, num_ids: int, counts: LabelCounts | None = None) -> list[Sample]:
    """Read ``root/images/*`` with ``root/labels/*``, which are paired by name or number; see :func:`pairing.pair`.

    Args:
        root: folder with images/, labels/ and, where objectness has labels of its own, objectness/: a file for each
            image, with 0 for no object, 1 for object, 255 to ignore.
        num_ids: ids of this number and more are ignored.
        counts: is told of the labels as they are stored.

    Raises:
        DatasetError: a folder is missing or empty, an image has no labels, their sizes differ, two images or two
            label files differ in their suffix only, or an objectness label has another value.
    """
    images = list_files(root / "images")
    if not images:
        raise DatasetError(f"no images in {root / 'images'}; expected images/*.png|jpg|webp and labels/<same name>.png")
    try:
        check_distinct(images)
    except SourceError as error:
        raise DatasetError(f"{root}: {error}") from error
    pairs = _pairs(root, images, "labels", "label file")
    objects = _pairs(root, images, "objectness", "objectness file") if (root / "objectness").is_dir() else {}
    samples = []
    disable = os.environ.get("RANK", "0") != "0"  # of several processes one shows it
    bar = tqdm(images, desc=f"reading {root.name}", unit="image", delay=2, leave=False, disable=disable)
    for place, path in enumerate(bar):
        sample = _read_pair(path, pairs[place])
        if place in objects:
            sample = replace(sample, objects=_read_objects(objects[place], sample))
        if counts is not None:
            counts.add(sample.labels)
        ids = np.where(sample.labels < num_ids, sample.labels, np.uint8(IGNORE_ID))
        samples.append(replace(sample, labels=ids))
    return samples


def _pairs(root: Path, images: Sequence[Path], folder: str, what: str) -> dict[int, Path]:
    """Return the file of each image in a folder, by the image's place; every image must have one."""
    files, names = list_files(root / folder, MASK_SUFFIXES), [path.stem for path in images]
    try:
        pairs = pair(names, files)
        check_paired(pairs, names, [], what)
    except SourceError as error:
        raise DatasetError(f"{root}: {error}") from error
    if unused := sorted(set(files) - set(pairs.values())):
        names = [path.name for path in unused]
        log.warning("%d of %d %ss in %s have no image: %s", len(unused), len(files), what, root, first_of(names))
    return pairs


def _read_objects(path: Path, sample: Sample) -> U8:
    """Read the objectness labels of an image."""
    try:
        objects = byte_labels(read_labels(path))
    except (SourceError, FrameError) as error:
        raise DatasetError(f"objectness labels {path} cannot be used: {error}") from error
    if objects.shape != sample.labels.shape:
        raise DatasetError(f"{path} is {objects.shape} but its image is {sample.labels.shape}; sizes must be equal")
    if others := sorted(set(np.unique(objects).tolist()) - {0, 1, IGNORE_ID}):
        raise DatasetError(
            f"{path} has the values {', '.join(map(str, others[:6]))}; objectness labels are 0 for no object, 1 for "
            f"object, {IGNORE_ID} to ignore"
        )
    return objects


def _read_pair(image_path: Path, label_path: Path) -> Sample:
    """Read an image and its labels as they are stored."""
    try:
        image = read_image(image_path)
        ids = byte_labels(read_labels(label_path))
    except SourceError as error:
        raise DatasetError(str(error)) from error
    except FrameError as error:
        raise DatasetError(f"labels {label_path} cannot be used: {error}") from error
    if image.shape[:2] != ids.shape:
        raise DatasetError(f"{label_path} is {ids.shape} but its image is {image.shape[:2]}; sizes must be equal")
    return Sample(image_path.stem, image, ids)


def render_scenes(count: int, first_seed: int, width: int = 480, height: int = 360) -> Iterator[Sample]:
    """Render ``count`` synthetic frames, six of each street, 25 frames (about 15 m) apart.

    The demo and the tests use seeds below 1000, training those from ``first_seed``: it never sees them.
    """
    for i in range(count):
        street, place = divmod(i, 6)
        if place == 0:
            scene = StreetScene(width, height, fps=15.0, frames=400, seed=first_seed + street)
        frame = scene.frame(street * 37 % 200 + place * 25)
        assert frame.truth is not None and frame.truth.class_ids is not None  # true of every synthetic scene
        yield Sample(f"scene{first_seed + street}_{frame.name}", frame.pixels, frame.truth.class_ids)


def class_weights(samples: list[Sample], num_classes: int) -> list[float]:
    """Return the weight of each class in the loss: inverse square root of its frequency, 0.4-4 times the mean."""
    counts = np.zeros(num_classes)
    for sample in samples:
        counts += np.bincount(sample.labels.ravel(), minlength=256)[:num_classes]
    weights = 1.0 / np.sqrt(np.maximum(counts / max(counts.sum(), 1), 1e-4))
    return [float(w) for w in np.clip(weights / weights.mean(), 0.4, 4.0)]


class LabelSpace:
    """One numbering for the labels of several data sets: the network's classes first, then unions of them.

    Args:
        num_classes: number of classes of the network.
        data: data sets whose labels are to be numbered.

    Attributes:
        num_classes: as given.
        sets: for each number, the classes it stands for.
    """

    def __init__(self, num_classes: int, data: Sequence[DataSet]) -> None:
        self.num_classes = num_classes
        self.sets: list[tuple[int, ...]] = [(i,) for i in range(num_classes)]
        for union in (s for d in data for s in d.sets):
            if union not in self.sets:
                self.sets.append(union)

    def renumbered(self, data: DataSet) -> list[Sample]:
        """Return the samples with labels in this numbering."""
        lut = np.full(256, IGNORE_ID, np.uint8)
        lut[: len(data.sets)] = [self.sets.index(s) for s in data.sets]
        return [replace(s, labels=lut[s.labels]) for s in data.samples]
