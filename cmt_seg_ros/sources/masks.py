"""Folder of masks that another program made, read as the tracker and the evaluation take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.images.files import check_size, files_by_name, read_image
from cmt_seg_ros.labels import IGNORE_ID, LabelClass, LabelSet, data_set_of, read_classes
from cmt_seg_ros.sources.pictures import Pictures
from cmt_seg_ros.structures import U8, Segmentation

MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")  # lossless: a JPEG changes the ids

OBJECT = LabelSet((LabelClass(0, "object", (255, 160, 0), is_object=True),))
"""Classes of inputs without classes: binary masks, a detector's boxes."""

_OBJECTNESS = "_objectness"  # end of the names of the binary masks that cmt-seg predict writes
GIVE_CLASSES = (
    "Say what the values of the masks mean: --mask-classes binary (not 0 is an object), camvid, a model, or a folder "
    "with classes.yaml"
)


@dataclass(frozen=True, eq=False)
class MaskFrame:
    """One frame: its masks, and its picture where there is one ((H, W, 3) uint8, blue, green, red)."""

    segmentation: Segmentation
    image: U8 | None = None


class MaskFolder:
    """Iterates the masks of a folder in the order of their names, stamped by their number and a rate.

    A binary mask has only the values 0 and 1, or 0 and 255: not 0 is an object. Its class is that of :data:`OBJECT`,
    or the class ids given beside it. Any other mask has class ids; 255, or the number after the last class, is
    unlabelled; pixels of object classes are objects. All masks of a folder are of one kind, except in one that
    ``cmt-seg predict`` wrote: there ``*_objectness`` are binary, and the others have class ids. Which kind it is must
    be told, by ``labels`` or by the data set's classes.yaml; the values say nothing: ids 0 and 1 may be sky and
    building. Untold only 0 and 255 are taken, as objects.

    Args:
        folder: one-channel 8-bit images.
        fps: frames per second, over 0.
        class_ids: folder of masks with class ids, one for each of ``folder``, which are binary then.
        pictures: one for each mask, or None.
        labels: what class ids mean, :data:`OBJECT` for binary masks; None: as
            :func:`~cmt_seg_ros.labels.classes_beside` finds it.

    Attributes:
        labels: what the class ids of the frames mean.
        binary: whether ``folder`` has binary masks.
        told: what the values are taken for, in words.
        is_told: whether anything says so.

    Raises:
        SourceError: a folder is missing or empty, or has another number of files than ``folder``, or fps is not over 0;
            while iterating: a file cannot be read, is not one channel of 8 bits, differs in size, is not binary among
            binary masks, or has an id that is no class; or the pictures end.
    """

    def __init__(
        self,
        folder: Path,
        fps: float,
        *,
        class_ids: Path | None = None,
        pictures: Pictures | None = None,
        labels: LabelSet | None = None,
    ) -> None:
        if not 0 < fps < 1e6:
            raise SourceError(f"fps is {fps}; it must be over 0 and under 1e6")
        self._folder, self._fps, self._pictures = folder, fps, pictures
        beside = None if labels is not None else data_set_of(class_ids or folder)
        found = labels if beside is None else read_classes(beside)
        if found is None and class_ids is not None:
            raise SourceError(f"nothing says what the class ids in {class_ids} mean. {GIVE_CLASSES}")
        self.is_told = found is not None
        self.labels = found or OBJECT
        self.binary = class_ids is not None or self.labels == OBJECT
        # Beside 0, of binary masks; nobody says what 1 is, perhaps a class.
        self._allowed = (1, 255) if self.is_told else (255,)
        self.told = "binary" if self.labels == OBJECT else f"ids of {len(self.labels)} classes"
        if not self.is_told or beside is not None:
            self.told += ", values 0 and 255" if beside is None else f" of the data set {beside.name}"
        self._masks = _mask_files(folder, objectness=self.binary)
        self._ids = _mask_files(class_ids, objectness=False) if class_ids is not None else []
        others = [] if pictures is None else [(pictures.path, len(pictures))]
        for path, count in [*([] if class_ids is None else [(class_ids, len(self._ids))]), *others]:
            if count != len(self):
                raise SourceError(f"{path} has {count} frames and {folder} has {len(self)} masks; each needs its own")

    def __len__(self) -> int:
        return len(self._masks)

    def __iter__(self) -> Iterator[MaskFrame]:
        size: tuple[int, int] | None = None
        images: Iterator[U8 | None] = repeat(None)
        for index, path in enumerate(self._masks):
            mask = _read_mask(path)
            if size is None:  # of the first mask; all others must have it
                size = mask.shape[0], mask.shape[1]
                images = images if self._pictures is None else self._pictures.first(len(self), size)
            check_size(str(path), mask, size)
            ids, objectness = self._masks_of(mask, index)
            stamp_ns = round(index * 1e9 / self._fps)
            yield MaskFrame(Segmentation("camera", stamp_ns, ids, objectness, name=path.stem), next(images))

    def _masks_of(self, mask: U8, index: int) -> tuple[U8, U8]:
        """Return (H, W) uint8 class ids, and (H, W) uint8 objectness 0 or 255, of frame ``index``."""
        if not self.binary:
            ids = self._known(mask, self._masks[index])
            return ids, self.labels.is_object_lut[ids]
        if not any(_has_only(mask, value) for value in self._allowed):
            allowed = " or ".join(f"0 and {value}" for value in self._allowed)
            what = "a binary mask" if self.is_told else "as nothing says what its values mean, a mask"
            raise SourceError(
                f"{self._masks[index]} has the values {_some_values(mask)}; {what} has only {allowed}. {GIVE_CLASSES}"
            )
        objects = mask != 0
        objectness = np.where(objects, np.uint8(255), np.uint8(0))
        if not self._ids:
            return np.where(objects, np.uint8(0), np.uint8(IGNORE_ID)), objectness
        ids = _read_mask(self._ids[index])
        check_size(str(self._ids[index]), ids, (mask.shape[0], mask.shape[1]))
        return self._known(ids, self._ids[index]), objectness

    def _known(self, ids: U8, path: Path) -> U8:
        """Return the ids with 255 for unlabelled, which data sets such as CamVid number after their last class."""
        wrong = (ids > len(self.labels)) & (ids != IGNORE_ID)
        if wrong.any():
            raise SourceError(
                f"{path} has the value {ids[wrong][0]}; the classes are 0 to {len(self.labels) - 1} "
                f"({', '.join(self.labels.names)}), {len(self.labels)} or {IGNORE_ID} is unlabelled. {GIVE_CLASSES}"
            )
        return np.where(ids < len(self.labels), ids, np.uint8(IGNORE_ID))


def _mask_files(folder: Path, objectness: bool) -> list[Path]:
    """List the masks of a folder; in one that ``cmt-seg predict`` wrote, those of the wanted kind."""
    files = files_by_name(folder, MASK_SUFFIXES)
    kinds: dict[bool, list[Path]] = {True: [], False: []}
    for path in files:
        kinds[path.stem.endswith(_OBJECTNESS)].append(path)
    return kinds[objectness] or files


def _read_mask(path: Path) -> U8:
    mask = read_image(path, cv2.IMREAD_UNCHANGED)
    if mask.ndim != 2 or mask.dtype != np.uint8:
        what = f"a colour or palette image of shape {mask.shape}" if mask.ndim != 2 else f"of type {mask.dtype}"
        raise SourceError(f"{path} is {what}; a mask has one channel of 8 bits: save the ids as grey values")
    return mask


def _has_only(mask: U8, value: int) -> bool:
    """Say whether a mask has no values but 0 and this one."""
    return not np.any((mask != 0) & (mask != value))


def _some_values(mask: U8) -> str:
    values = np.unique(mask)
    return ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
