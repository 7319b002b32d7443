"""Pictures: the images, from a folder or a video, for frames whose masks or boxes come from other files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.images.files import check_size, files_by_name, read_image
from cmt_seg_ros.images.pairing import check_paired, frame_names, pair
from cmt_seg_ros.sources.video import VideoSource
from cmt_seg_ros.structures import U8


class Pictures:
    """The images of a folder in natural order (2.png before 10.png), or the frames of a video.

    Unlike :class:`~cmt_seg_ros.sources.ImageFolderSource` it skips nothing: picture k belongs to frame k.

    Args:
        path: folder of images, or video file.

    Attributes:
        path: of the folder or the file.
        is_video: whether it is a video, whose frames have times of their own.

    Raises:
        SourceError: no such folder or file, or no image in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._video = None if path.is_dir() else VideoSource(path)
        self.is_video = self._video is not None
        self._files = [] if self._video else files_by_name(path)

    def __len__(self) -> int:
        return len(self._video) if self._video else len(self._files)

    def pair_with(self, frames: Sequence[str]) -> None:
        """Take the images of a folder in the order of frames that are known by their names.

        Raises:
            SourceError: a frame has no image, or an image no frame.
        """
        pairs = pair(frames, self._files, frame_names(self._files))
        check_paired(pairs, frames, self._files, "image")
        self._files = [pairs[place] for place in range(len(frames))]

    def number(self, count: int) -> None:
        """Take ``count`` images of a folder by the numbers in their names; as they are listed where none has one.

        Raises:
            SourceError: some have the number of a frame, but not of all.
        """
        pairs = {} if self.is_video else pair(count, self._files)
        if pairs:
            check_paired(pairs, count, [], "image")
            self._files = [pairs[place] for place in range(count)]

    def first(self, count: int, size: tuple[int, int]) -> Iterator[tuple[U8, int | None]]:
        """Yield the first ``count`` of them.

        Args:
            count: how many.
            size: (height, width) that each must have, pixels.

        Yields:
            (H, W, 3) uint8, blue, green, red; its own time, ns from the first frame: None for images.

        Raises:
            SourceError: there are fewer (a video may have frames that are lost), one cannot be decoded, or has
                another size.
        """
        found = 0
        for name, image, stamp_ns in islice(self._named(), count):
            check_size(name, image, size)
            found += 1
            yield image, stamp_ns
        if found < count:
            raise SourceError(f"{self.path} ends after {found} frames; {count} are needed")

    def _named(self) -> Iterator[tuple[str, U8, int | None]]:
        """Return the name of each picture, for errors, its pixels, and its time."""
        if self._video is None:
            return ((str(path), read_image(path), None) for path in self._files)
        return (
            (f"frame {k + 1} of {self.path}", np.asarray(frame.pixels, np.uint8), frame.stamp_ns)
            for k, frame in enumerate(self._video)
        )
