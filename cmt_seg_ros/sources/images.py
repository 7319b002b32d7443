"""Frames of a folder of images, with ground truth where there is some."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.labels import CAMVID, IGNORE_ID, LabelSet
from cmt_seg_ros.sources.clip import DEFAULT_FPS
from cmt_seg_ros.structures import U8, Frame, GroundTruth

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class ImageFolderSource:
    """The images of a folder in the order of their names, stamped by their number and a rate.

    If the folder is called ``images`` and beside it lies ``labels``, then ``labels/<stem>.png`` is the
    ground truth of ``images/<stem>.*``: class ids of :data:`~cmt_seg_ros.labels.CAMVID`, one 8-bit
    channel, of the image's size. Ids that are no class become 255, unlabelled. Images without a
    label file have no ground truth.

    Args:
        folder: the folder; images in folders below it are not read.
        fps: frames per second, over 0.
        camera: name the frames carry.

    Attributes:
        name: the folder's name.
        labels: of the ground truth; None where there is none.
        skipped: files that could not be decoded so far; each is logged once as a warning.

    Raises:
        SourceError: no such folder, no image in it, or fps not over 0; while iterating: no image can
            be decoded, or a label file does not fit its image.
    """

    def __init__(self, folder: str | Path, fps: float = DEFAULT_FPS, camera: str = "camera") -> None:
        self._folder, self._camera = Path(folder), camera
        self.name, self.fps = self._folder.resolve().name, float(fps)
        self.skipped: list[Path] = []
        if not self._folder.is_dir():
            raise SourceError(f"{self._folder} is not a folder; give a folder of images (for a video: its file)")
        if not 0 < fps < 1e6:
            raise SourceError(f"fps is {fps}; it must be over 0")
        self._files = sorted(p for p in self._folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        if not self._files:
            raise SourceError(f"{self._folder} has no images; expected files ending in {', '.join(SUFFIXES)}")
        labels = self._folder.resolve().parent / "labels"
        self._labels = labels if self.name == "images" and labels.is_dir() else None
        self.labels: LabelSet | None = CAMVID if self._labels else None

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        found = False
        for index, path in enumerate(self._files):
            pixels = _decode(path, cv2.IMREAD_COLOR)
            if pixels is None:
                self._skip(path)
                continue
            found = True
            stamp_ns = round(index * 1e9 / self.fps)  # a skipped image leaves a gap: the others keep their times
            frame_id = f"{self._camera}_optical_frame"
            yield Frame(self._camera, stamp_ns, pixels, "bgr8", frame_id, path.stem, self._truth(path, pixels))
        if not found:
            raise SourceError(f"none of the {len(self)} images in {self._folder} can be decoded; are they damaged?")

    def _skip(self, path: Path) -> None:
        if path not in self.skipped:
            self.skipped.append(path)
            log.warning("%s cannot be decoded and is skipped; it is damaged or not an image", path)

    def _truth(self, path: Path, pixels: U8) -> GroundTruth | None:
        file = self._labels / f"{path.stem}.png" if self._labels else None
        if file is None or not file.is_file():
            return None
        ids = _decode(file, cv2.IMREAD_UNCHANGED)
        if ids is None or ids.dtype != np.uint8 or ids.shape != pixels.shape[:2]:
            what = "cannot be decoded" if ids is None else f"is {ids.dtype} {ids.shape}"
            size = f"uint8 {pixels.shape[:2]} (height, width)"
            raise SourceError(f"label file {file} {what}; it must be a grey PNG of class ids, {size}")
        ids = np.where(ids < len(CAMVID), ids, IGNORE_ID).astype(np.uint8)
        return GroundTruth(ids, CAMVID.is_object_lut[ids])


def _decode(path: Path, flags: int) -> U8 | None:
    """Pixels of an image file, None when it cannot be decoded; reads names that OpenCV cannot open."""
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, flags) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image)
