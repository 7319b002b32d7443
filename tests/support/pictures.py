"""A colour picture, and the same picture in every encoding, made by hand."""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.encodings import ENCODINGS

RAW = [name for name, encoding in ENCODINGS.items() if not encoding.compressed]
CONVERTED = [name for name in RAW if name.startswith(("yu", "uy", "nv", "i420", "bayer"))]


def tolerance(encoding: str) -> int:
    """Greatest difference of a value that the encoding itself makes: rounding, neighbours' colours."""
    return 3 if encoding in CONVERTED else 0


def picture(height: int = 32, width: int = 48) -> np.ndarray:
    """(H, W, 3) uint8 blue-green-red: ramps so gentle that half of the colours suffice."""
    y, x = np.mgrid[:height, :width]
    return np.stack([40 + x, 90 + y, 200 - x], axis=2).astype(np.uint8)


def seen(bgr: np.ndarray, encoding: str) -> np.ndarray:
    """What of a picture is left in an encoding, blue-green-red: grey ones keep green."""
    return bgr[:, :, [1, 1, 1]] if encoding in ("mono8", "8UC1", "mono16") else bgr


def encoded(bgr: np.ndarray, encoding: str) -> np.ndarray:
    """A picture as the pixels of a frame of any encoding that is not compressed."""
    blue, green, red = (bgr[:, :, i] for i in range(3))
    opaque = np.full_like(blue, 255)
    if encoding.startswith("bayer"):
        return _mosaic(bgr, encoding[6:10])
    if encoding in CONVERTED:
        return _yuv(bgr, encoding)
    return {
        "bgr8": bgr,
        "8UC3": bgr,
        "rgb8": bgr[:, :, ::-1].copy(),
        "bgra8": np.dstack([blue, green, red, opaque]),
        "8UC4": np.dstack([blue, green, red, opaque]),
        "rgba8": np.dstack([red, green, blue, opaque]),
        "mono8": green.copy(),
        "8UC1": green.copy(),
        "mono16": green.astype(np.uint16) * 257,
        "bgr16": bgr.astype(np.uint16) * 257,
        "rgb16": bgr[:, :, ::-1].astype(np.uint16) * 257,
    }[encoding]


def padded(pixels: np.ndarray, padding: int) -> np.ndarray:
    """The same pixels with bytes that do not belong to them behind every row."""
    rows = np.ascontiguousarray(pixels)
    row = rows[0].nbytes
    memory = np.full((len(rows), row + padding), 7, np.uint8)
    memory[:, :row] = rows.view(np.uint8).reshape(len(rows), row)
    return np.ndarray(rows.shape, rows.dtype, memory, strides=(row + padding, *rows.strides[1:]))


def file(bgr: np.ndarray, encoding: str, *options: int) -> np.ndarray:
    """(n,) uint8: a picture as a jpeg or png."""
    return cv2.imencode(f".{encoding}", bgr, options)[1]


def png_that_promises(width: int, height: int) -> np.ndarray:
    """A tiny png whose header lies about its size."""
    data = file(picture(4, 4), "png")
    data[16:24] = np.array([width, height], ">u4").view(np.uint8)
    return data


def jpeg_that_promises(width: int, height: int) -> np.ndarray:
    """A tiny jpeg whose header lies about its size."""
    data = file(picture(16, 16), "jpeg").tobytes()
    at = data.index(b"\xff\xc0") + 5
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return np.frombuffer(data[:at] + size + data[at + 4 :], np.uint8)


def _mosaic(bgr: np.ndarray, pattern: str) -> np.ndarray:
    """One colour a pixel, as behind the filter of a sensor; pattern: its first two rows, as ``rggb``."""
    pixels = np.empty(bgr.shape[:2], np.uint8)
    for i, color in enumerate(pattern):
        block = np.s_[i // 2 :: 2, i % 2 :: 2]
        pixels[block] = bgr[..., "bgr".index(color)][block]
    return pixels


def _yuv(bgr: np.ndarray, encoding: str) -> np.ndarray:
    """ITU-R BT.601 of limited range; chroma is the mean of the pixels that share it."""
    blue, green, red = np.moveaxis(bgr / 255, 2, 0)
    luma = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    u = 128 - 37.797 * red - 74.203 * green + 112 * blue
    v = 128 + 112 * red - 93.786 * green - 18.214 * blue
    rows, columns = ENCODINGS[encoding].block
    luma, u, v = (
        np.round(plane).astype(np.uint8) for plane in (luma, _mean(u, rows, columns), _mean(v, rows, columns))
    )
    if rows == 1:
        chroma = np.stack([u, v], axis=2).reshape(luma.shape)
        return np.stack([chroma, luma] if encoding in ("yuv422", "uyvy") else [luma, chroma], axis=2)
    order = {"nv12": np.stack([u, v], axis=2), "nv21": np.stack([v, u], axis=2), "i420": np.stack([u, v])}[encoding]
    return np.concatenate([luma, order.reshape(-1, luma.shape[1])])


def _mean(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
    height, width = plane.shape
    return plane.reshape(height // rows, rows, width // columns, columns).mean(axis=(1, 3))
