"""Pixels of every encoding: checked, decoded, written into the input of a compiled graph, or as blue-green-red."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.encodings import ENCODINGS, Pixels, check_sides
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.decoder import SIGNATURES, decode, header_size, undecodable
from cmt_seg_ros.structures import U8, Frame

# What OpenCV converts to bgr8 on the way into the graph. YUV is BT.601 of limited range, as OpenCV has it.
# ROS names a Bayer pattern by its first two rows; OpenCV's old names, which all its versions have, by the
# second and third pixel of its second and third row: BG is RGGB.
CONVERSIONS = {
    "yuv422": cv2.COLOR_YUV2BGR_UYVY,
    "uyvy": cv2.COLOR_YUV2BGR_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2,
    "yuyv": cv2.COLOR_YUV2BGR_YUY2,
    "nv12": cv2.COLOR_YUV2BGR_NV12,
    "nv21": cv2.COLOR_YUV2BGR_NV21,
    "i420": cv2.COLOR_YUV2BGR_I420,
    "rgb16": cv2.COLOR_RGB2BGR,  # once it has 8 bits
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr8": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg8": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
}
# What the graph reads as it is, and under which name.
GRAPH_READS = {
    **{name: name for name in ("bgr8", "rgb8", "bgra8", "rgba8", "mono8", "mono16")},
    **{"8UC3": "bgr8", "8UC4": "bgra8", "8UC1": "mono8"},
}
TO_BGR = {
    **CONVERSIONS,
    "rgb8": cv2.COLOR_RGB2BGR,
    "bgra8": cv2.COLOR_BGRA2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR,
    "8UC4": cv2.COLOR_BGRA2BGR,
    "mono8": cv2.COLOR_GRAY2BGR,
    "8UC1": cv2.COLOR_GRAY2BGR,
    "mono16": cv2.COLOR_GRAY2BGR,  # once it has 8 bits
    **dict.fromkeys(("jpeg_rgb8", "png_rgb8"), cv2.COLOR_RGB2BGR),  # of what OpenCV decodes
}


def graph_encoding(encoding: str) -> str:
    """Return the encoding in which the compiled graph reads frames of an encoding of ENCODINGS."""
    return GRAPH_READS.get(encoding, "bgr8")


def slot_shape(size: tuple[int, int], encoding: str) -> tuple[int, int, int]:
    """Return (H, W, C) of the graph's input for one frame of this (height, width) and encoding."""
    return *size, ENCODINGS[graph_encoding(encoding)].channels


def slot_dtype(encoding: str) -> np.dtype[np.uint8 | np.uint16]:
    """Return the type of the graph's input: uint16 for mono16, uint8 for all others."""
    return np.dtype(ENCODINGS[graph_encoding(encoding)].dtype)


def check_pixels(frame: Frame) -> None:
    """Refuse pixels that are not what the frame's encoding says.

    Raises:
        FrameError: unknown encoding, type or number of channels of another encoding (``bad_encoding``), sides
            that the encoding cannot have (``bad_size``).
    """
    pixels, encoding = frame.pixels, ENCODINGS.get(frame.encoding)
    if encoding is None:
        raise FrameError(f"encoding is {frame.encoding!r}; supported: {', '.join(ENCODINGS)}", "bad_encoding")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    axes = (1,) if encoding.compressed else (3,) if encoding.channels > 1 else (2, 3)
    # newbyteorder: big-endian mono16 is mono16.
    if pixels.dtype.newbyteorder("=") != encoding.dtype or channels != encoding.channels or pixels.ndim not in axes:
        raise FrameError(
            f"pixels are {pixels.dtype} with {channels} channels, shape {pixels.shape}; "
            f"{frame.encoding} has {encoding.dtype.__name__} and {encoding.channels}",
            "bad_encoding",
        )
    if encoding.planar and pixels.shape[0] % 3:
        raise FrameError(
            f"{frame.encoding} has {pixels.shape[0]} rows; luma and chroma make a multiple of 3", "bad_size"
        )
    if not encoding.compressed:
        check_sides(*frame.size, frame.encoding)


def write_pixels(frame: Frame, slot: Pixels) -> None:
    """Write a frame's pixels into the input of the graph: the one copy they go through here.

    Where sizes differ, scaling them (bilinear, half-pixel centres) takes the place of copying: it costs as much
    here and ten times that in the graph.

    Args:
        frame: checked (see :func:`check_pixels`), and decoded if it was compressed.
        slot: (h, w, C) of slot_shape and slot_dtype, h and w of any size, C-contiguous.

    Raises:
        FrameError: the slot was made for another encoding (``bad_encoding``).
    """
    shape, dtype = slot_shape((slot.shape[0], slot.shape[1]), frame.encoding), slot_dtype(frame.encoding)
    # Else NumPy would spread grey over all channels, and OpenCV leave the slot alone.
    if slot.shape != shape or slot.dtype != dtype:
        raise FrameError(f"{frame.encoding} needs {dtype} {shape}, not {slot.dtype} {slot.shape}", "bad_encoding")
    code, pixels, height, width = CONVERSIONS.get(frame.encoding), _scaled(frame, dtype), *slot.shape[:2]
    if frame.size == (height, width):
        written = pixels if code is None else cv2.cvtColor(pixels, code, dst=slot)
    else:
        packed = pixels if code is None else cv2.cvtColor(pixels, code)
        written = cv2.resize(packed, (width, height), dst=slot, interpolation=cv2.INTER_LINEAR)
    # OpenCV returns memory of its own where it could not write into the slot.
    if written is pixels or not np.may_share_memory(written, slot):
        np.copyto(slot, written.reshape(shape) if written.ndim == 2 else written, casting="equiv")


def promised_size(frame: Frame) -> tuple[int, int]:
    """Return the (height, width) that a frame has once it is decoded; (0, 0) where its header does not say."""
    if not ENCODINGS[frame.encoding].compressed:
        return frame.size
    data = np.ascontiguousarray(frame.pixels, np.uint8)
    return header_size(data) if data[:8].tobytes().startswith(tuple(SIGNATURES.values())) else (0, 0)


def decoded(frame: Frame, max_image_px: int = SegmentationConfig.max_image_px) -> Frame:
    """Decode a jpeg or png frame to bgr8, a png of 16 bits to bgr16; other frames are returned as they are.

    Args:
        frame: of any encoding.
        max_image_px: width x height at most.

    Returns:
        A bgr8 or bgr16 frame whose ``decoded_from`` is the given one, so that nobody decodes or encodes it again.

    Raises:
        FrameError: the data cannot be decoded (``malformed``), or its header promises more pixels than allowed
            (``too_large``, found before memory is taken for them).
    """
    if not ENCODINGS[frame.encoding].compressed:
        return frame
    if not all(promised_size(frame)):
        raise undecodable(frame.pixels.size)
    # Not turned by its EXIF data: masks and camera_info are about the sensor's rows, as in image_transport.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = decode(frame.pixels, flags, max_image_px)
    code = TO_BGR.get(frame.encoding)
    bgr = pixels if code is None else cv2.cvtColor(pixels, code)
    return replace(frame, pixels=bgr, encoding=bgr_encoding(bgr), decoded_from=frame)


def bgr_encoding(pixels: Pixels) -> str:
    """Return the encoding of (H, W, 3) pixels that :func:`decode` returned: bgr8 or bgr16."""
    return "bgr16" if pixels.dtype == np.uint16 else "bgr8"


def to_bgr(frame: Frame) -> U8:
    """Convert a checked frame of any encoding to (H, W, 3) uint8 blue-green-red; a view where it is that already.

    Raises:
        FrameError: see :func:`decoded`.
    """
    frame = decoded(frame)
    code, pixels = TO_BGR.get(frame.encoding), _scaled(frame, np.dtype(np.uint8))
    return pixels if code is None else cv2.cvtColor(pixels, code)


def _scaled(frame: Frame, dtype: np.dtype[Any]) -> Pixels:
    """Return pixels of 16 bits as uint16 or uint8 in which white is the highest value; other pixels as they are."""
    if ENCODINGS[frame.encoding].dtype is not np.uint16:
        return frame.pixels
    # astype: OpenCV knows no other byte order than the machine's.
    pixels = frame.pixels.astype(np.uint16, copy=False)
    if frame.bits < 16:
        pixels = np.left_shift(np.minimum(pixels, np.uint16((1 << frame.bits) - 1)), np.uint16(16 - frame.bits))
    # 65535 becomes 255; to the nearest.
    return pixels if dtype == np.uint16 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
