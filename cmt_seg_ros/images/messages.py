"""Image messages as frames: sensor_msgs/Image and CompressedImage of any library, from a topic or from a bag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cmt_seg_ros.encodings import ENCODINGS, RAW_ENCODINGS, Pixels, view_pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.decoder import SIGNATURES
from cmt_seg_ros.structures import U8, Frame

NS = 1_000_000_000

_RGB = "compressed rgb8"


def stamp_ns(header: Any) -> int:
    """Return the stamp of a header, ns."""
    return int(header.stamp.sec) * NS + int(header.stamp.nanosec)


def frame_from_message(message: Any, camera: str, convert: Callable[[Any], U8] | None = None) -> Frame:
    """View a message's pixels as a frame; nothing is copied, except the pixels of i420 with padded rows.

    Of nv12, nv21 and i420 ``height`` is the image's, and data has step x height x 3/2 bytes, as sensor_msgs
    counts them. Messages whose height counts the rows of chroma as well are refused (``short_data``): they cannot
    be told from those that lack their chroma.

    A CompressedImage stays compressed (see ``pixels.decoded``): a live node decodes only what it infers. Its first
    bytes tell jpeg from png, as drivers write all kinds of things into ``format``, which only tells the order of the
    channels and depth from pictures.

    Args:
        message: an Image or CompressedImage.
        camera: name that the frame gets.
        convert: makes (H, W, 3) uint8 blue-green-red of an Image whose encoding is not in ENCODINGS; None: such images
            are refused.

    Raises:
        FrameError: an encoding that is not known, or depth (``bad_encoding``); a side is 0 or, with halved chroma, odd
            (``bad_size``); step too small (``bad_step``); data too short (``short_data``); compressed data that does
            not begin as a jpeg or png (``malformed``).
    """
    if not hasattr(message, "step"):
        encoding = _file_encoding(message)
        pixels: Pixels = np.frombuffer(message.data, np.uint8)
    elif message.encoding in ENCODINGS and not ENCODINGS[message.encoding].compressed:
        pixels, encoding = view_pixels(message), str(message.encoding)
    elif convert is not None:
        pixels, encoding = convert(message), "bgr8"
    else:
        raise FrameError(f"encoding is {message.encoding!r}; supported: {RAW_ENCODINGS}", "bad_encoding")
    stamp = stamp_ns(message.header)
    return Frame(camera, stamp, pixels, encoding, str(message.header.frame_id), str(stamp))


def file_format(encoding: str) -> str:
    """Return the ``format`` of a CompressedImage with a file of a compressed encoding of ENCODINGS."""
    kind, _, order = encoding.partition("_")
    return f"{order}; {kind} {_RGB}" if order else kind


def _file_encoding(message: Any) -> str:
    """Return which of the compressed encodings of ENCODINGS a CompressedImage has."""
    kind, data = str(message.format), message.data
    if "compresseddepth" in kind.lower():
        raise FrameError(f"format is {kind!r}: depth, not a picture; choose a colour topic", "bad_encoding")
    for encoding, signature in SIGNATURES.items():
        if bytes(data[: len(signature)]) == signature:
            # image_transport writes "rgb8; jpeg compressed bgr8": the last word is the order that was encoded.
            return f"{encoding}_rgb8" if kind.strip().lower().endswith(_RGB) else encoding
    what = f"{len(data)} bytes of format {kind!r} are no jpeg or png"
    raise FrameError(f"{what}; let the camera's driver send one of those", "malformed")
