"""Label files of few bits and with palettes, made by hand: neither OpenCV nor the package writes them."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def packed(ids: np.ndarray, bits: int) -> list[bytes]:
    """The rows of an image, ``bits`` a pixel."""
    high = 2 if bits == 16 else 1
    planes = np.unpackbits(ids.astype(f">u{high}").view(np.uint8).reshape(*ids.shape, high), axis=2)
    return [row.tobytes() for row in np.packbits(planes[:, :, -bits:].reshape(len(ids), -1), axis=1)]


def png(ids: np.ndarray, bits: int, palette: bool = False, transparent: int | None = None) -> bytes:
    """A png of grey values, or of indices into a palette of colours from white to black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 3 if palette else 0, 0, 0, 0)
    extra = chunk(b"PLTE", b"".join(bytes((255 - k, k // 2, 255 - k)) for k in range(2**bits))) if palette else b""
    if transparent is not None:
        extra += chunk(b"tRNS", bytes(transparent) + b"\0" if palette else struct.pack(">H", transparent))
    pixels = zlib.compress(b"".join(b"\0" + row for row in packed(ids, bits)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bmp(ids: np.ndarray, bits: int) -> bytes:
    """A bmp of indices into a palette of colours."""
    rows = b"".join(row + bytes(-len(row) % 4) for row in packed(ids, bits)[::-1])
    palette = b"".join(bytes((k, 255 - k, 7, 0)) for k in range(2**bits))
    header = struct.pack("<IiiHHIIiiII", 40, ids.shape[1], ids.shape[0], 1, bits, 0, len(rows), 0, 0, 2**bits, 0)
    begin = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", begin + len(rows), 0, 0, begin) + header + palette + rows


def tiff(ids: np.ndarray, bits: int, meaning: int, order: str = "<") -> bytes:
    """A tiff; ``meaning``: 0 white is 0, 1 black is 0, 3 indices into a palette of colours."""
    strip = b"".join(packed(ids, bits))
    entries = [(256, 4, 1, ids.shape[1]), (257, 4, 1, ids.shape[0]), (258, 3, 1, bits), (259, 3, 1, 1),
               (262, 3, 1, meaning), (277, 3, 1, 1), (278, 4, 1, ids.shape[0]), (279, 4, 1, len(strip))]  # fmt: skip
    begin = 8 + 2 + 12 * (len(entries) + 1 + (meaning == 3)) + 4
    entries.append((273, 4, 1, begin))
    colors = b""
    if meaning == 3:
        entries.append((320, 3, 3 * 2**bits, begin + len(strip)))
        colors = b"".join(struct.pack(f"{order}H", 257 * (k * 7 % 256)) for k in range(3 * 2**bits))
    table = b"".join(
        struct.pack(f"{order}HHIHH", *entry, 0) if entry[1:3] == (3, 1) else struct.pack(f"{order}HHII", *entry)
        for entry in sorted(entries)
    )
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(entries))
    return head + table + bytes(4) + strip + colors
