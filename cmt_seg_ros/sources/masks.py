"""Folder of masks that another program made, read as the tracker and the evaluation take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.images.files import MASK_SUFFIXES, check_size, files_by_name
from cmt_seg_ros.images.label_images import byte_labels, read_labels
from cmt_seg_ros.images.pairing import check_distinct, check_paired, pair
from cmt_seg_ros.labels import IGNORE_ID, LabelClass, LabelSet, data_set_of, read_classes
from cmt_seg_ros.sources.pictures import Pictures
from cmt_seg_ros.structures import U8, Segmentation

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
    """Iterates the masks of a folder in natural order (2.png before 10.png), stamped by place and rate, or by a video.

    A binary mask has only the values 0 and 1, or 0 and 255: not 0 is an object. Its class is that of :data:`OBJECT`,
    or the class ids given beside it. Any other mask has class ids; 255, or the number after the last class, is
    unlabelled; pixels of object classes are objects. All masks of a folder are of one kind, except in one that
    ``cmt-seg predict`` wrote: there ``*_objectness`` are binary, and the others have class ids. Which kind it is must
    be told, by ``labels`` or by the data set's classes.yaml; the values say nothing: ids 0 and 1 may be sky and
    building. Untold only 0 and 255 are taken, as objects.

    Args:
        folder: one-channel 8-bit images.
        fps: frames per second; 0: each mask has the time of its frame in the video that ``pictures`` is.
        class_ids: folder of masks with class ids, one for each of ``folder``, which are binary then. They are paired
            with the masks by name or number, see :func:`~cmt_seg_ros.images.pairing.pair`.
        pictures: one for each mask, or None; paired alike.
        labels: what class ids mean, :data:`OBJECT` for binary masks; None: as
            :func:`~cmt_seg_ros.labels.classes_beside` finds it.

    Attributes:
        labels: what the class ids of the frames mean.
        binary: whether ``folder`` has binary masks.
        told: what the values are taken for, in words.
        is_told: whether anything says so.

    Raises:
        SourceError: a folder is missing or empty, files cannot be paired, or fps is out of range; while iterating: a
            file cannot be read, is not one channel of 8 bits, differs in size, is not binary among binary masks, or
            has an id that is no class; or the pictures end.
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
        if not (0 < fps < 1e6 or (fps == 0 and pictures is not None and pictures.is_video)):
            raise SourceError(f"fps is {fps}; it must be over 0 and under 1e6, or 0 with a video, which has times")
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
        check_distinct(self._masks)
        names = [_name(path) for path in self._masks]
        self._ids: list[Path] = []
        if class_ids is not None:
            self._ids = _paired(names, _mask_files(class_ids, objectness=False), "class ids")
        if pictures is not None and pictures.is_video:
            self.pair_with(len(pictures))
        elif pictures is not None:
            pictures.pair_with(names)

    def __len__(self) -> int:
        return len(self._masks)

    @property
    def names(self) -> list[str]:
        """Names of the frames: those of the files."""
        return [path.stem for path in self._masks]

    def pair_with(self, frames: Sequence[str] | int, part: bool = False) -> None:
        """Give each frame of a clip its mask, and take the order of the frames.

        Args:
            frames: as :func:`~cmt_seg_ros.images.pairing.pair` takes them.
            part: these are not all frames of the clip, so there may be masks of others.

        Raises:
            SourceError: a frame has no mask, or a mask no frame.
        """
        order = _paired(frames, self._masks, "mask", part)
        if self._ids:
            ids = dict(zip(self._masks, self._ids, strict=True))
            self._ids = [ids[path] for path in order]
        self._masks = order

    def __iter__(self) -> Iterator[MaskFrame]:
        size: tuple[int, int] | None = None
        images: Iterator[tuple[U8 | None, int | None]] = repeat((None, None))
        for index, path in enumerate(self._masks):
            mask = _read_mask(path)
            if size is None:  # of the first mask; all others must have it
                size = mask.shape[0], mask.shape[1]
                images = images if self._pictures is None else self._pictures.first(len(self), size)
            check_size(str(path), mask, size)
            ids, objectness = self._masks_of(mask, index)
            image, own_ns = next(images)
            stamp_ns = own_ns if own_ns is not None and not self._fps else round(index * 1e9 / self._fps)
            yield MaskFrame(Segmentation("camera", stamp_ns, ids, objectness, name=path.stem), image)

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


def _name(path: Path) -> str:
    """Return what the frame of a mask is called: in a folder that ``cmt-seg predict`` wrote, as its image."""
    return path.stem.removesuffix(_OBJECTNESS)


def _paired(frames: Sequence[str] | int, files: list[Path], what: str, part: bool = False) -> list[Path]:
    """Return the files in the order of the frames; each must have its other, but files need none if ``part``."""
    pairs = pair(frames, files, [_name(path) for path in files])
    check_paired(pairs, frames, [] if part else files, what)
    return [pairs[place] for place in sorted(pairs)]


def _read_mask(path: Path) -> U8:
    try:
        return byte_labels(read_labels(path))
    except FrameError as error:
        raise SourceError(f"mask {path} cannot be used: {error}") from error


def _has_only(mask: U8, value: int) -> bool:
    """Say whether a mask has no values but 0 and this one."""
    return not np.any((mask != 0) & (mask != value))


def _some_values(mask: U8) -> str:
    values = np.unique(mask)
    return ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
