"""Frames of a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.images.files import SUFFIXES
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import DEFAULT_FPS
from cmt_seg_ros.structures import U8, Frame


class ImageFolderSource:
    """The images of a folder in the order of their names, stamped by their number and a rate.

    Args:
        folder: the folder; images in folders below it are not read.
        fps: frames per second, over 0.
        camera: name the frames carry.
        problems: is told of files that cannot be decoded.

    Attributes:
        name: the folder's name.
        labels: None, see :class:`~cmt_seg_ros.sources.truth.with_truth.WithTruth`.
        problems: what was wrong so far.
        lost: files that gave no frame in the current or last iteration: "malformed", by their number.

    Raises:
        SourceError: no such folder, no image in it, or fps not over 0; while iterating: no image can be decoded.
    """

    labels: LabelSet | None = None

    def __init__(
        self,
        folder: str | Path,
        fps: float = DEFAULT_FPS,
        camera: str = "camera",
        problems: Problems | None = None,
    ) -> None:
        self._folder, self._camera = Path(folder), camera
        self.name, self.fps = self._folder.resolve().name, float(fps)
        self.problems, self.lost = problems or Problems(), dict[int, str]()
        if not self._folder.is_dir():
            raise SourceError(f"{self._folder} is not a folder; give a folder of images (for a video: its file)")
        if not 0 < fps < 1e6:
            raise SourceError(f"fps is {fps}; it must be over 0")
        self._files = sorted(p for p in self._folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        if not self._files:
            raise SourceError(f"{self._folder} has no images; expected files ending in {', '.join(SUFFIXES)}")

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        self.lost = {}
        frame_id = f"{self._camera}_optical_frame"
        for index, path in enumerate(self._files):
            pixels = _decode(path)
            if pixels is None:
                self.lost[index] = "malformed"
                text = f"{path} cannot be decoded and is skipped; it is damaged or not an image"
                self.problems.add("damaged_message", text)
                continue
            stamp_ns = round(index * 1e9 / self.fps)  # a skipped image leaves a gap: the others keep their times
            yield Frame(self._camera, stamp_ns, pixels, "bgr8", frame_id, path.stem)
        if len(self.lost) == len(self):
            raise SourceError(f"none of the {len(self)} images in {self._folder} can be decoded; are they damaged?")


def _decode(path: Path) -> U8 | None:
    """Pixels of an image file, None when it cannot be decoded; reads names that OpenCV cannot open."""
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image)
