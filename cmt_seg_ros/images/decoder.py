"""Decoder of image files in memory: jpeg, png, webp, bmp and tiff; refuses what is damaged or too large.

The size stands in a file's header and is checked before memory is taken for the pixels. jpegs are decoded by
libjpeg-turbo through simplejpeg, the same arithmetic as in OpenCV: only simplejpeg reports what libjpeg calls corrupt,
where OpenCV prints a line and fills up with grey. All other formats are decoded by OpenCV.
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import simplejpeg

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.quiet import quiet
from cmt_seg_ros.structures import U8

SIGNATURES = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
"""First bytes of the files that image messages carry."""

# A progressive jpeg has about ten scans; each one takes the time of a whole image, however short it is.
MAX_SCANS = 64
# Markers of a jpeg: start and end of the image, start of a scan, those that begin the block with the image's size.
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# The next marker that is followed by its length (or is SOI or EOI), wherever it is: libjpeg passes over what lies
# between. FF 00 is a byte of pixels; FF 01 and FF D0 to FF D7 (restart) stand alone.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])")
# Warnings of libjpeg about jpegs that are whole: cameras (Logitech C270 and C910, Foscam) put a few bytes between the
# parts, others write odd headers.
_HARMLESS = re.compile(r"\b([1-9]|1[0-6]) extraneous bytes before|SOS parameters|Adobe color|JFIF revision")


# Of jpegs that are not turned these flags change nothing.
_NO_MATTER = cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_ANYDEPTH


def header_size(data: U8) -> tuple[int, int]:
    """Read (height, width) in the header of an image file; (0, 0) where there is none.

    Args:
        data: (n,) uint8, contiguous; the bytes of the file.
    """
    raw = data.data
    with contextlib.suppress(struct.error, IndexError):  # too short
        for signature, size in _FORMATS:
            if signature.match(raw):
                return size(raw)
    return 0, 0


def check_area(height: int, width: int, max_image_px: int) -> None:
    """Refuse images of more pixels than allowed.

    Raises:
        FrameError: it is one (``too_large``).
    """
    if height * width > max_image_px:
        raise FrameError(
            f"image is {width}x{height} = {height * width} pixels; max_image_px allows {max_image_px}; "
            "scale it down or raise the parameter",
            "too_large",
        )


def decode(data: U8, flags: int, max_image_px: int = SegmentationConfig.max_image_px) -> Pixels:
    """Decode an image file in memory.

    Args:
        data: (n,) uint8, the bytes of the file.
        flags: of ``cv2.imdecode``: which channels and types are wanted.
        max_image_px: width x height at most.

    Returns:
        (H, W[, C]), uint8 with ``IMREAD_COLOR``, else of the file's own type.

    Raises:
        FrameError: it is damaged or none of the formats (``malformed``), or has more pixels than allowed
            (``too_large``, found before memory is taken for them).
    """
    data = np.ascontiguousarray(data, np.uint8)
    size = header_size(data)
    check_area(*size, max_image_px)
    if not all(size):
        raise undecodable(data.size, "expected a jpeg, png, webp, bmp or tiff")
    if data[:3].tobytes() == SIGNATURES["jpeg"]:
        pixels = _decode_jpeg(data, flags, max_image_px)
    else:
        if data[:8].tobytes() == SIGNATURES["png"]:
            data = np.frombuffer(_plain_png(data.data), np.uint8)
        pixels = _decode_other(data, flags)
    check_area(pixels.shape[0], pixels.shape[1], max_image_px)
    return pixels


def undecodable(size: int, why: str = "expected a jpeg or a png") -> FrameError:
    """Return the error of a file of ``size`` bytes that cannot be decoded."""
    return FrameError(f"{size} bytes cannot be decoded; {why}", "malformed")


def _decode_other(data: U8, flags: int) -> Pixels:
    try:
        with quiet():
            pixels = cv2.imdecode(data, flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise undecodable(data.size, "the file is damaged")
    return np.asarray(pixels)


# JPEG


def _decode_jpeg(data: U8, flags: int, max_image_px: int) -> Pixels:
    raw = data.tobytes()
    if raw.count(b"\xff\xda") > MAX_SCANS and (scans := _markers(raw).count(SOS)) > MAX_SCANS:
        raise undecodable(data.size, f"the jpeg has {scans} scans, {MAX_SCANS} are allowed")
    # What the decoder itself will take memory for. Where it cannot tell the sampling, neither will it decode.
    with contextlib.suppress(ValueError, KeyError):
        height, width, _, _ = simplejpeg.decode_jpeg_header(raw, strict=False)
        check_area(height, width, max_image_px)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(raw, "BGR")
    except ValueError as error:
        if "subsampling" in str(error):  # such as 4:1:0, which OpenCV reads
            return _decode_other(data, flags)
        if not _HARMLESS.search(str(error)) or EOI not in _markers(raw):
            raise undecodable(data.size, f"the jpeg is damaged ({error})") from error
        try:
            pixels = simplejpeg.decode_jpeg(raw, "BGR", strict=False)
        except ValueError:  # about the header, where simplejpeg is strict all the same
            return _decode_other(data, flags)
    # OpenCV turns images as their EXIF data say, and knows grey and the other kinds of pixels.
    turned = not flags & cv2.IMREAD_IGNORE_ORIENTATION and b"Exif\0" in raw
    plain = flags | _NO_MATTER == cv2.IMREAD_COLOR | _NO_MATTER
    return pixels if plain and not turned else _decode_other(data, flags)


def _blocks(raw: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Walk through a jpeg as libjpeg does: each marker but restart markers, and where the bytes behind it begin."""
    at = 2
    while found := _MARKER.search(raw, at):
        marker, at = found[1][0], found.end()
        yield marker, at
        if marker in (SOI, EOI):
            return
        at += max(2, int.from_bytes(raw[at : at + 2], "big"))


def _markers(raw: bytes) -> list[int]:
    return [marker for marker, _ in _blocks(raw)]


def _jpeg_size(raw: memoryview) -> tuple[int, int]:
    for marker, at in _blocks(raw):
        if marker in SIZES:
            height, width = struct.unpack_from(">HH", raw, at + 3)
            return height, width
        if marker == SOS:
            break
    return 0, 0


# PNG


def _png_size(raw: memoryview) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", raw, 16)
    return height, width


def _plain_png(raw: memoryview) -> bytes:
    """Return a png without the blocks that its pixels do not need.

    Those can hold a hundred times their size of compressed text, or an animation. Damage is found here by the blocks'
    checksums, in silence; libpng would print a line.

    Raises:
        FrameError: a part is missing or damaged (``malformed``).
    """
    at, blocks, why = 8, [SIGNATURES["png"]], "the end of the png is missing"
    while at + 12 <= len(raw):
        length, kind = struct.unpack_from(">I4s", raw, at)
        end = at + 12 + length
        if end > len(raw):
            break
        # A capital letter marks what is needed in any case.
        if kind[:1].isupper() or kind in (b"tRNS", b"eXIf"):
            if zlib.crc32(raw[at + 4 : end - 4]) != int.from_bytes(raw[end - 4 : end], "big"):
                why = f"block {kind.decode('ascii', 'replace')} of the png is damaged"
                break
            blocks.append(bytes(raw[at:end]))
        if kind == b"IEND":
            return b"".join(blocks)
        at = end
    raise undecodable(len(raw), why)


# Other formats


def _webp_size(raw: memoryview) -> tuple[int, int]:
    kind, frame = bytes(raw[12:16]), raw[20:30]
    if kind == b"VP8X":
        return 1 + int.from_bytes(frame[7:10], "little"), 1 + int.from_bytes(frame[4:7], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(frame[1:5], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    width, height = struct.unpack_from("<HH", frame, 6)
    return height & 0x3FFF, width & 0x3FFF


def _bmp_size(raw: memoryview) -> tuple[int, int]:
    old = raw[14] == 12  # OS/2
    width, height = struct.unpack_from("<HH" if old else "<ii", raw, 18)
    return abs(height), abs(width)


def _tiff_size(raw: memoryview) -> tuple[int, int]:
    """Read the size in the first directory of a tiff; of a tag that is there twice libtiff takes the first."""
    order = "<" if raw[0] == ord("I") else ">"
    (at,) = struct.unpack_from(f"{order}I", raw, 4)
    (count,) = struct.unpack_from(f"{order}H", raw, at)
    found: dict[int, int] = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", raw, entry)
        if tag in (256, 257) and kind in (1, 3, 4):
            found.setdefault(tag, *struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], raw, entry + 8))
    return found.get(257, 0), found.get(256, 0)


_FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[memoryview], tuple[int, int]]], ...] = (
    (re.compile(re.escape(SIGNATURES["jpeg"])), _jpeg_size),
    (re.compile(re.escape(SIGNATURES["png"]) + rb"....IHDR", re.DOTALL), _png_size),
    (re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), _webp_size),
    (re.compile(rb"BM"), _bmp_size),
    (re.compile(rb"II\*\0|MM\0\*"), _tiff_size),
)
