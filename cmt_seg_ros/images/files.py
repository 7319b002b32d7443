"""Image files: which files of a folder are images, reading one, checking its size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.config import LARGEST_IMAGE_PX, SegmentationConfig
from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.errors import FrameError, SourceError, cause
from cmt_seg_ros.files import is_hidden, natural_key, refuse_lfs_pointer
from cmt_seg_ros.images.decoder import decode
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.structures import U8

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")  # lossless: a JPEG changes the ids


def list_files(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """List the files of a folder that end in one of ``suffixes`` (lower case), in natural order: 2.png before 10.png.

    Hidden files are left out. Of a folder that does not exist there are none.
    """
    found = (p for p in folder.glob("*") if p.suffix.lower() in suffixes and not is_hidden(p.name) and p.is_file())
    return sorted(found, key=lambda path: natural_key(path.name))


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
        As of :func:`decoder.decode`: with ``IMREAD_COLOR`` (H, W, 3) uint8 blue-green-red.

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
    data = read_bytes(path)
    try:
        return decode(data, flags, max_image_px)
    except FrameError as error:
        malformed = f"{path} cannot be decoded; it is damaged or not an image ({error}). Mend it or take it out"
        text = malformed if error.reason == "malformed" else f"{path}: {error}"
        raise FrameError(text, error.reason) from error


def read_bytes(path: Path) -> U8:
    """Read an image file as it is stored: (n,) uint8.

    Raises:
        FrameError: it cannot be read, or is a Git LFS pointer (``malformed``).
    """
    refuse_lfs_pointer(path, FrameError)
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise FrameError(f"{path} cannot be read: {error.strerror}") from error


def write_image(out: OutputFolder, name: str, image: Pixels) -> None:
    """Write an image file, whole or not at all; its suffix says in which format.

    Args:
        out: folder of the file.
        name: of the file, any that the system allows.
        image: (H, W) or (H, W, 3) uint8 blue-green-red, or (H, W) uint16.

    Raises:
        ConfigError: a file of this name is there that is not ours.
        SourceError: it cannot be written.
    """
    path = out.folder / name
    try:
        written, data = cv2.imencode(path.suffix, image)
        if written:
            with out.replace(name) as fresh:
                fresh.write_bytes(data)
            return
    except (OSError, cv2.error) as error:
        reason = getattr(error, "strerror", None) or cause(error)
        raise SourceError(f"{path} cannot be written: {reason}; is the disk full or the folder read-only?") from error
    raise SourceError(f"{path} cannot be written: images of this kind do not fit into a {path.suffix} file")


def check_size(name: str, image: Pixels, size: tuple[int, int]) -> None:
    """Refuse an image whose (height, width) is not ``size``, that of the frames.

    Raises:
        SourceError: it is not; names it.
    """
    if image.shape[:2] != size:
        height, width = image.shape[:2]
        raise SourceError(f"{name} is {width}x{height}, the frames are {size[1]}x{size[0]}; all must have one size")
