"""Image files: which files of a folder are images, reading one, checking its size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.config import LARGEST_IMAGE_PX, SegmentationConfig
from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.errors import FrameError, SourceError, cause
from cmt_seg_ros.files import replace_with
from cmt_seg_ros.images.pixels import decode

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def list_files(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """List the files of a folder that end in one of ``suffixes`` (lower case), in the order of their names.

    Of a folder that does not exist there are none.
    """
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in suffixes and p.is_file())


def files_by_name(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """List files as :func:`list_files` does.

    Raises:
        SourceError: no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give a folder with files ending in {', '.join(suffixes)}")
    files = list_files(folder, suffixes)
    if not files:
        raise SourceError(f"{folder} has no files ending in {', '.join(suffixes)}")
    return files


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> Pixels:
    """Read an image file that must be there and whole.

    Args:
        path: of any name, also one that OpenCV cannot open.
        flags: of ``cv2.imread``. With ``IMREAD_COLOR`` the image is turned as its EXIF data say.

    Returns:
        As of :func:`pixels.decode`: with ``IMREAD_COLOR`` (H, W, 3) uint8 blue-green-red.

    Raises:
        SourceError: it cannot be read or decoded, or has more than ``LARGEST_IMAGE_PX`` pixels.
    """
    try:
        return try_image(path, flags, LARGEST_IMAGE_PX)
    except FrameError as error:
        raise SourceError(str(error)) from error


def try_image(path: Path, flags: int = cv2.IMREAD_COLOR, max_image_px: int = SegmentationConfig.max_image_px) -> Pixels:
    """Read an image file as :func:`read_image` does, where one that cannot be read is skipped.

    Raises:
        FrameError: it cannot be read or decoded (``malformed``), or has more than ``max_image_px`` pixels
            (``too_large``).
    """
    try:
        return decode(np.fromfile(path, np.uint8), flags, max_image_px)
    except OSError as error:
        raise FrameError(f"{path} cannot be read: {error.strerror}") from error
    except FrameError as error:
        malformed = f"{path} cannot be decoded; it is damaged or not an image. Mend it or take it out"
        text = malformed if error.reason == "malformed" else f"{path}: {error}"
        raise FrameError(text, error.reason) from error


def write_image(path: Path, image: Pixels) -> None:
    """Write an image file, whole or not at all; its suffix says in which format.

    Args:
        path: of the file.
        image: (H, W) or (H, W, 3) uint8 blue-green-red, or (H, W) uint16.

    Raises:
        SourceError: it cannot be written.
    """
    try:
        written, data = cv2.imencode(path.suffix, image)
        if written:
            with replace_with(path) as fresh:
                data.tofile(fresh)
            return
    except (OSError, cv2.error) as error:
        raise SourceError(
            f"{path} cannot be written: {cause(error)}; is the disk full or the folder read-only?"
        ) from error
    raise SourceError(f"{path} cannot be written: images of this kind do not fit into a {path.suffix} file")


def check_size(name: str, image: Pixels, size: tuple[int, int]) -> None:
    """Refuse an image whose (height, width) is not ``size``, that of the frames.

    Raises:
        SourceError: it is not; names it.
    """
    if image.shape[:2] != size:
        height, width = image.shape[:2]
        raise SourceError(f"{name} is {width}x{height}, the frames are {size[1]}x{size[0]}; all must have one size")
