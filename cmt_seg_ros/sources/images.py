"""Source of frames: the images of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2

from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.images.files import SUFFIXES, list_files, try_image
from cmt_seg_ros.images.pairing import frame_names
from cmt_seg_ros.images.pixels import bgr_encoding
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import DEFAULT_FPS
from cmt_seg_ros.structures import Frame


class ImageFolderSource:
    """Iterates the images of a folder in natural order (2.png before 10.png), stamped by their number and a rate.

    Frames have the names of their files without suffix; with it, where two files differ in it only.

    Args:
        folder: the folder; subfolders are not read.
        fps: frames per second, over 0.
        camera: name the frames carry.
        problems: gets a line for each file that cannot be read.
        max_image_px: larger images are not decoded.

    Attributes:
        name: the folder's name.
        labels: None, see :class:`~cmt_seg_ros.sources.truth.with_truth.WithTruth`.
        problems: what was wrong so far.
        lost: "malformed" or "too_large" by the number of each file that gave no frame in the current or last iteration.

    Raises:
        SourceError: no such folder, no image in it, or fps not over 0; while iterating: no image can be read.
    """

    labels: LabelSet | None = None

    def __init__(
        self,
        folder: str | Path,
        fps: float = DEFAULT_FPS,
        camera: str = "camera",
        problems: Problems | None = None,
        max_image_px: int = SegmentationConfig.max_image_px,
    ) -> None:
        self._folder, self._camera, self._max_image_px = Path(folder), camera, max_image_px
        self.name, self.fps = self._folder.resolve().name, float(fps)
        self.problems, self.lost = problems or Problems(), dict[int, str]()
        if not self._folder.is_dir():
            raise SourceError(f"{self._folder} is not a folder; give a folder of images (for a video: its file)")
        if not 0 < fps < 1e6:
            raise SourceError(f"fps is {fps}; it must be over 0")
        self._files = list_files(self._folder)
        if not self._files:
            raise SourceError(f"{self._folder} has no images; expected files ending in {', '.join(SUFFIXES)}")
        self._names = frame_names(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        self.lost, first = {}, ""
        frame_id = f"{self._camera}_optical_frame"
        for index, path in enumerate(self._files):
            try:
                pixels = try_image(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, self._max_image_px)
            except FrameError as error:
                self.lost[index] = error.reason
                first = first or str(error)
                kind = "damaged_message" if error.reason == "malformed" else error.reason
                self.problems.add(kind, f"{error}; it is skipped")
                continue
            stamp_ns = round(index * 1e9 / self.fps)  # a skipped image leaves a gap: the others keep their times
            yield Frame(self._camera, stamp_ns, pixels, bgr_encoding(pixels), frame_id, self._names[index])
        if len(self.lost) == len(self):
            raise SourceError(f"none of the {len(self)} images in {self._folder} can be decoded; the first: {first}")


def frames_of(config: SourceConfig, count: int) -> list[str] | int:
    """Return what the frames of a clip are known by, as :func:`~cmt_seg_ros.images.pairing.pair` takes it.

    Args:
        config: names the clip.
        count: how many frames it has.

    Returns:
        The names of images in a folder; of other clips, whose frames have numbers only, the count.
    """
    return frame_names(list_files(Path(config.images)))[:count] if config.images else count
