"""Image files: which files of a folder are images, reading one, checking its size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.structures import U8

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


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
