"""Pictures that belong to frames that come from elsewhere: a folder of images or a video, one for each frame."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.sources.images import SUFFIXES
from cmt_seg_ros.sources.video import VideoSource
from cmt_seg_ros.structures import U8


class Pictures:
    """The images of a folder in the order of their names, or the frames of a video.

    Other than :class:`~cmt_seg_ros.sources.ImageFolderSource` it skips nothing: the k-th picture is that of frame k.

    Args:
        path: folder of images, or video file.

    Attributes:
        path: of the folder or the file.

    Raises:
        SourceError: no such folder or file, or no image in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._video = None if path.is_dir() else VideoSource(path)
        self._files = [] if self._video else files_by_name(path, SUFFIXES)

    def __len__(self) -> int:
        return len(self._video) if self._video else len(self._files)

    def first(self, count: int, size: tuple[int, int]) -> Iterator[U8]:
        """The first ``count`` of them.

        Args:
            count: how many.
            size: (height, width) that each must have, pixels.

        Yields:
            (H, W, 3) uint8, blue, green, red.

        Raises:
            SourceError: there are fewer (the header of a video may promise too many), one cannot be decoded, or has
                another size.
        """
        found = 0
        for name, image in islice(self._named(), count):
            check_size(name, image, size)
            found += 1
            yield image
        if found < count:
            raise SourceError(f"{self.path} ends after {found} frames; {count} are needed")

    def _named(self) -> Iterator[tuple[str, U8]]:
        """What to call each picture in an error, and its pixels."""
        if self._video is None:
            return ((str(path), read_image(path, cv2.IMREAD_COLOR)) for path in self._files)
        return (
            (f"frame {k + 1} of {self.path}", np.asarray(frame.pixels, np.uint8)) for k, frame in enumerate(self._video)
        )


def files_by_name(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder that end in one of ``suffixes`` (lower case), in the order of their names.

    Raises:
        SourceError: no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give a folder with files ending in {', '.join(suffixes)}")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and p.is_file())
    if not files:
        raise SourceError(f"{folder} has no files ending in {', '.join(suffixes)}")
    return files


def read_image(path: Path, flags: int) -> U8:
    """Pixels of an image file as OpenCV gives them, also where OpenCV could not open the name.

    Raises:
        SourceError: it cannot be read or decoded.
    """
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, flags) if data.size else None
    except (OSError, cv2.error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if image is None:
        raise SourceError(f"{path} cannot be decoded; it is damaged or not an image. Mend it or take it out")
    return np.asarray(image)


def check_size(name: str, image: U8, size: tuple[int, int]) -> None:
    """Refuse an image whose (height, width) is not ``size``, that of the frames.

    Raises:
        SourceError: it is not; names it.
    """
    if image.shape[:2] != size:
        height, width = image.shape[:2]
        raise SourceError(f"{name} is {width}x{height}, the frames are {size[1]}x{size[0]}; all must have one size")
