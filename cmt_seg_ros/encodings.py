"""Encodings of ROS images: how their pixels lie in memory, and views of them in messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import FrameError

Pixels = npt.NDArray[Any]  # uint8; of mono16, rgb16 and bgr16 uint16


@dataclass(frozen=True)
class Encoding:
    """Memory layout of the pixels of a ROS image encoding.

    Attributes:
        channels: values per pixel; 1 for planar encodings.
        dtype: type of a value, in this machine's byte order.
        block: (rows, columns) of pixels that share their chroma; an image's sides are multiples of them.
        planar: rows of luma, then half as many rows of chroma (4:2:0).
        compressed: pixels are the (n,) bytes of a file in memory.
    """

    channels: int = 1
    dtype: type[np.uint8 | np.uint16] = np.uint8
    block: tuple[int, int] = (1, 1)
    planar: bool = False
    compressed: bool = False

    def rows(self, height: int) -> int:
        """Return the rows in memory of an image of this height, chroma included."""
        return height * 3 // 2 if self.planar else height


# Every encoding that frames may have, by its ROS name. (16UC1 is not among them: it is used for depth.)
ENCODINGS: dict[str, Encoding] = {
    **dict.fromkeys(("bgr8", "8UC3", "rgb8"), Encoding(3)),
    **dict.fromkeys(("bgra8", "8UC4", "rgba8"), Encoding(4)),
    **dict.fromkeys(("mono8", "8UC1"), Encoding()),
    "mono16": Encoding(dtype=np.uint16),
    **dict.fromkeys(("rgb16", "bgr16"), Encoding(3, np.uint16)),
    **dict.fromkeys(("yuv422", "uyvy", "yuv422_yuy2", "yuyv"), Encoding(2, block=(1, 2))),
    **dict.fromkeys(("nv12", "nv21", "i420"), Encoding(block=(2, 2), planar=True)),
    **dict.fromkeys(("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8"), Encoding()),
    # Files; *_rgb8: whoever encoded them took the order red, green, blue for blue, green, red.
    **dict.fromkeys(("jpeg", "png", "jpeg_rgb8", "png_rgb8"), Encoding(compressed=True)),
}
RAW_ENCODINGS = ", ".join(name for name, encoding in ENCODINGS.items() if not encoding.compressed)
"""Those of raw image messages, as error messages list them."""


def check_sides(height: int, width: int, encoding: str) -> None:
    """Refuse sides that an encoding of ENCODINGS cannot have.

    Raises:
        FrameError: a side is 0, or odd where two pixels share their chroma (``bad_size``).
    """
    if height == 0 or width == 0:
        raise FrameError(f"image is {width}x{height}; both sides must be more than 0", "bad_size")
    rows, columns = ENCODINGS[encoding].block
    if height % rows or width % columns:
        even = "both sides" if rows == 2 else "the width"
        raise FrameError(f"image is {width}x{height}; {encoding} needs {even} even", "bad_size")


def view_pixels(message: Any) -> Any:
    """View the pixels of a raw image message as ``structures.Frame`` has them; copied only for i420 with padded rows.

    For nv12, nv21 and i420, ``height`` is the image's height and data has step x height x 3/2 bytes.

    Args:
        message: a sensor_msgs/Image of any library, of an encoding of ENCODINGS that is not compressed.

    Raises:
        FrameError: a side is 0 or, with halved chroma, odd (``bad_size``); step too small (``bad_step``); data too
            short (``short_data``).
    """
    encoding = ENCODINGS[message.encoding]
    height, width, step = message.height, message.width, message.step
    check_sides(height, width, message.encoding)
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    row = width * encoding.channels * dtype.itemsize
    if step < row:
        raise FrameError(f"step is {step} bytes but a row of {width} {message.encoding} pixels has {row}", "bad_step")
    if message.encoding == "i420" and step > row:
        return _without_padding(message)
    rows = encoding.rows(height)
    _check_length(message, step * (rows - 1) + row)
    strides = (step, encoding.channels * dtype.itemsize, dtype.itemsize)
    view: Pixels = np.ndarray((rows, width, encoding.channels), dtype, message.data, strides=strides)
    return view[:, :, 0] if encoding.channels == 1 else view


def _without_padding(message: Any) -> Pixels:
    """Copy padded i420: its chroma rows are half as long as its luma rows, which no strided view can express."""
    height, width, step = message.height, message.width, message.step
    if step % 2:
        raise FrameError(f"step is {step} bytes; i420 needs it even, as rows of chroma have half of it", "bad_step")
    _check_length(message, step * height + step // 2 * (height - 1) + width // 2)
    luma: Pixels = np.ndarray((height, width), np.uint8, message.data, strides=(step, 1))
    chroma: Pixels = np.ndarray((height, width // 2), np.uint8, message.data, step * height, (step // 2, 1))
    return np.concatenate((luma, chroma.reshape(-1, width)))


def _check_length(message: Any, needed: int) -> None:
    """Refuse data of fewer than ``needed`` bytes; the last row may end where its pixels do."""
    size = len(message.data)
    if size < needed:
        chroma = " x 3/2" if ENCODINGS[message.encoding].planar else ""
        total = ENCODINGS[message.encoding].rows(message.height) * message.step
        raise FrameError(
            f"data has {size} bytes but step {message.step} x height {message.height}{chroma} is {total}", "short_data"
        )
