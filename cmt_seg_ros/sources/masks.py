"""Folder of masks that another program made, read as the tracker and the evaluation take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.images.files import MASK_SUFFIXES, check_size, files_by_name
from cmt_seg_ros.images.label_images import byte_labels, read_labels
from cmt_seg_ros.images.pairing import check_distinct, check_paired, pair
from cmt_seg_ros.labels import CAMVID, IGNORE_ID, LabelClass, LabelSet
from cmt_seg_ros.sources.pictures import Pictures
from cmt_seg_ros.structures import U8, Segmentation

OBJECT = LabelSet((LabelClass(0, "object", (255, 160, 0), is_object=True),))
"""Classes of inputs without classes: binary masks, a detector's boxes."""

_OBJECTNESS = "_objectness"  # end of the names of the binary masks that cmt-seg predict writes
_PROBED = 64  # at most so many masks are read to tell binary ones from class ids


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
    ``cmt-seg predict`` wrote: there ``*_objectness`` are binary, and the others have class ids.

    Args:
        folder: one-channel 8-bit images.
        fps: frames per second; 0: each mask has the time of its frame in the video that ``pictures`` is.
        class_ids: folder of masks with class ids, one for each of ``folder``, which are binary then. They are paired
            with the masks by name or number, see :func:`~cmt_seg_ros.images.pairing.pair`.
        pictures: one for each mask, or None; paired alike.
        labels: what class ids mean; None: ``folder`` says whether its masks are binary, and class ids are those of
            :data:`~cmt_seg_ros.labels.CAMVID`. With labels and without ``class_ids``, ``folder`` has class ids.

    Attributes:
        labels: what the class ids of the frames mean.
        binary: whether ``folder`` has binary masks.

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
        self._masks = _mask_files(folder, objectness=class_ids is not None or labels is None)
        check_distinct(self._masks)
        names = [_name(path) for path in self._masks]
        self._ids: list[Path] = []
        if class_ids is not None:
            self._ids = _paired(names, _mask_files(class_ids, objectness=False), "class ids")
        self.binary = class_ids is not None or (labels is None and self._looks_binary())
        self.labels = OBJECT if self.binary and class_ids is None else labels or CAMVID
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
        if not _is_binary(mask):
            raise SourceError(
                f"{self._masks[index]} has the values {_some_values(mask)}; a binary mask has only 0 and 1, or 0 and "
                "255. If the folder has class ids, say what they mean: --labels"
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
                f"({', '.join(self.labels.names)}), {len(self.labels)} or {IGNORE_ID} is unlabelled. Give the classes "
                "of these masks: --labels"
            )
        return np.where(ids < len(self.labels), ids, np.uint8(IGNORE_ID))

    def _looks_binary(self) -> bool:
        """Tell whether masks from all over the folder are binary; one is not enough: it may show only sky, id 0."""
        return all(_is_binary(_read_mask(path)) for path in self._masks[:: -(-len(self) // _PROBED)])


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


def _is_binary(mask: U8) -> bool:
    used = np.flatnonzero(cv2.calcHist([mask], [0], None, [256], [0, 256]))
    return set(used.tolist()) <= {0, 1} or set(used.tolist()) <= {0, 255}


def _some_values(mask: U8) -> str:
    values = np.unique(mask)
    return ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
