"""Label images: the ids that a png, bmp or tiff stores, as they stand, whatever colours it shows them in.

OpenCV stretches grey values of 1, 2 or 4 bits to 0-255 and turns a palette into colours. So the header is changed
before it decodes: a palette is left out, and its indices are grey values then.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.config import LARGEST_IMAGE_PX
from cmt_seg_ros.encodings import Pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.decoder import SIGNATURES, decode
from cmt_seg_ros.images.files import read_bytes
from cmt_seg_ros.structures import U8

_HELP = "save the ids as one channel of grey values or of a palette, without transparency"


def read_labels(path: Path) -> Pixels:
    """Read a label image file; see :func:`decode_labels`.

    Raises:
        FrameError: as of :func:`decode_labels`, or it cannot be read.
    """
    return decode_labels(read_bytes(path))


def decode_labels(data: U8, max_image_px: int = LARGEST_IMAGE_PX) -> Pixels:
    """Decode a label image in memory.

    Args:
        data: (n,) uint8, the bytes of a png, bmp or tiff file.
        max_image_px: width x height at most.

    Returns:
        (H, W) uint8 or uint16: the stored grey values, or indices of a palette.

    Raises:
        FrameError: it cannot be decoded (``malformed``), has more pixels than allowed (``too_large``), or more than one
            channel or another type (``bad_encoding``).
    """
    raw = np.ascontiguousarray(data, np.uint8).tobytes()
    bits = 8
    if raw.startswith(SIGNATURES["png"]):
        raw, bits = _grey_png(raw)
    elif raw.startswith(b"BM"):
        raw = _grey_bmp(raw)
    elif raw.startswith((b"II*\0", b"MM\0*")):
        raw, bits = _grey_tiff(raw)
    try:
        labels = decode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED, max_image_px)
    except FrameError as error:
        damaged = "it cannot be decoded; it is damaged or not an image. Mend it or take it out"
        raise FrameError(damaged if error.reason == "malformed" else str(error), error.reason) from error
    if labels.ndim != 2:
        channels = labels.shape[2]
        raise FrameError(
            f"it has {channels} channels: colours or transparency, which are no ids; {_HELP}", "bad_encoding"
        )
    if labels.dtype not in (np.uint8, np.uint16):
        raise FrameError(f"its values are of type {labels.dtype}; ids are of 8 or 16 bits: {_HELP}", "bad_encoding")
    return labels if bits >= 8 else labels // (255 // (2**bits - 1))


def byte_labels(labels: Pixels) -> U8:
    """Return class ids as uint8; files of 16 bits may have them, too.

    Args:
        labels: (H, W) uint8 or uint16.

    Raises:
        FrameError: a value is over 255 (``bad_encoding``).
    """
    if labels.dtype != np.uint8 and labels.size and labels.max() > 255:
        raise FrameError(f"it has the value {labels.max()}; class ids are 0 to 255", "bad_encoding")
    return labels.astype(np.uint8, copy=False)


def _grey_png(raw: bytes) -> tuple[bytes, int]:
    """Return a png of indices or grey values as one of grey values alone, and its bits per pixel."""
    header = raw[12:29]
    if len(raw) < 33 or zlib.crc32(header) != int.from_bytes(raw[29:33], "big"):
        raise FrameError("it cannot be decoded; the header of the png is damaged", "malformed")
    bits, color_type = header[12], header[13]
    if color_type not in (0, 3):
        return raw, bits
    header = header[:13] + b"\0" + header[14:]
    kept, at = [raw[:12], header, struct.pack(">I", zlib.crc32(header))], 33
    while at + 8 <= len(raw):
        end = at + 12 + int.from_bytes(raw[at : at + 4], "big")
        if raw[at + 4 : at + 8] in (b"IDAT", b"IEND"):  # no palette, and nothing that changes values, as transparency
            kept.append(raw[at:end])
        at = end
    return b"".join(kept), bits


def _grey_bmp(raw: bytes) -> bytes:
    """Return a bmp whose palette, if it has one, shows each index as the same grey value."""
    if len(raw) < 54 or int.from_bytes(raw[28:30], "little") > 8:
        return raw
    begin = 14 + int.from_bytes(raw[14:18], "little")
    end = min(int.from_bytes(raw[10:14], "little"), begin + 4 * 256, len(raw))  # pixels come after the palette
    ramp = b"".join(bytes((index, index, index, 0)) for index in range(256))
    return raw[:begin] + ramp[: max(0, end - begin)] + raw[max(begin, end) :]


def _grey_tiff(raw: bytes) -> tuple[bytes, int]:
    """Return a tiff of indices, or of grey values from white to black, as one of grey values, and its bits."""
    order = "<" if raw[:2] == b"II" else ">"
    changed, bits = bytearray(raw), 8
    try:
        (at,) = struct.unpack_from(f"{order}I", raw, 4)
        (count,) = struct.unpack_from(f"{order}H", raw, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, number, value = struct.unpack_from(f"{order}HHIH", raw, entry)
            if tag == 258 and number == 1:
                bits = value
            if tag == 262 and value in (0, 3):
                struct.pack_into(f"{order}H", changed, entry + 8, 1)
    except struct.error:
        pass  # the decoder says what is wrong
    if bits in (2, 4):
        raise FrameError(
            f"it is a tiff of {bits} bits per pixel, which cannot be decoded; save it as png", "bad_encoding"
        )
    return bytes(changed), bits
