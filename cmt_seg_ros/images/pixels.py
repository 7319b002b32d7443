"""Pixels of every encoding: checked, decoded, written into the input of a compiled graph, or as blue-green-red."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.encodings import ENCODINGS, Pixels, check_sides
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.quiet import quiet
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
    **dict.fromkeys(("jpeg_rgb8", "png_rgb8"), cv2.COLOR_RGB2BGR),  # of what OpenCV decodes
}
SIGNATURES = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}
# Markers of a jpeg that begin the block with the image's size.
JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


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
    code, pixels, height, width = CONVERSIONS.get(frame.encoding), frame.pixels, *slot.shape[:2]
    if frame.size == (height, width):
        written = pixels if code is None else cv2.cvtColor(pixels, code, dst=slot)
    else:
        # astype: OpenCV knows no other byte order than the machine's.
        packed = pixels.astype(dtype, copy=False) if code is None else cv2.cvtColor(pixels, code)
        written = cv2.resize(packed, (width, height), dst=slot, interpolation=cv2.INTER_LINEAR)
    # OpenCV returns memory of its own where it could not write into the slot.
    if written is pixels or not np.may_share_memory(written, slot):
        np.copyto(slot, written.reshape(shape) if written.ndim == 2 else written, casting="equiv")


def promised_size(frame: Frame) -> tuple[int, int]:
    """Return the (height, width) that a frame has once it is decoded; (0, 0) where its header does not say."""
    if not ENCODINGS[frame.encoding].compressed:
        return frame.size
    return _header_size(np.ascontiguousarray(frame.pixels, np.uint8))


def decoded(frame: Frame, max_image_px: int = SegmentationConfig.max_image_px) -> Frame:
    """Decode a jpeg or png frame to bgr8; frames of other encodings are returned as they are.

    Args:
        frame: of any encoding.
        max_image_px: width x height at most.

    Returns:
        A bgr8 frame whose ``decoded_from`` is the given one, so that nobody needs to decode or encode it again.

    Raises:
        FrameError: the data cannot be decoded (``malformed``), or its header promises more pixels than allowed
            (``too_large``, found before memory is taken for them).
    """
    if not ENCODINGS[frame.encoding].compressed:
        return frame
    if not all(promised_size(frame)):
        raise _undecodable(frame.pixels.size)
    # Not turned by its EXIF data: masks and camera_info are about the sensor's rows, as in image_transport.
    pixels = decode(frame.pixels, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, max_image_px)
    code = TO_BGR.get(frame.encoding)
    bgr = pixels if code is None else cv2.cvtColor(pixels, code)
    return replace(frame, pixels=bgr, encoding="bgr8", decoded_from=frame)


def decode(data: U8, flags: int, max_image_px: int = SegmentationConfig.max_image_px) -> Pixels:
    """Decode an image file in memory, of any format that OpenCV reads.

    Args:
        data: (n,) uint8, the bytes of the file.
        flags: of ``cv2.imdecode``: which channels and types are wanted.
        max_image_px: width x height at most.

    Returns:
        (H, W[, C]), uint8 with ``IMREAD_COLOR``, else of the file's own type.

    Raises:
        FrameError: it cannot be decoded (``malformed``), or has more pixels than allowed (``too_large``; a jpeg or png
            is refused before memory is taken for them).
    """
    data = np.ascontiguousarray(data, np.uint8)
    check_area(*_header_size(data), max_image_px)
    try:
        with quiet():
            pixels = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise _undecodable(data.size)
    check_area(pixels.shape[0], pixels.shape[1], max_image_px)
    return np.asarray(pixels)


def to_bgr(frame: Frame) -> U8:
    """Convert a checked frame of any encoding to (H, W, 3) uint8 blue-green-red; a view where it is that already.

    Raises:
        FrameError: see :func:`decoded`.
    """
    frame = decoded(frame)
    if frame.encoding == "mono16":
        # 65535 becomes 255; to the nearest.
        grey = ((frame.pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        frame = replace(frame, pixels=grey, encoding="mono8")
    code = TO_BGR.get(frame.encoding)
    return frame.pixels if code is None else cv2.cvtColor(frame.pixels, code)


def _undecodable(size: int) -> FrameError:
    return FrameError(f"{size} bytes cannot be decoded; expected a jpeg or a png", "malformed")


def _header_size(data: U8) -> tuple[int, int]:
    """Read (height, width) in the header of a jpeg or png; (0, 0) where there is none."""
    if data[:8].tobytes() == SIGNATURES["png"] and data.size >= 24:
        width, height = np.frombuffer(data[16:24], ">u4").tolist()
        return height, width
    if data[:3].tobytes() != SIGNATURES["jpeg"]:
        return 0, 0
    at = 2
    # Blocks: FF, marker, length in two bytes, which it counts.
    while at + 9 <= data.size and data[at] == 0xFF:
        if data[at + 1] in JPEG_SIZES:
            height, width = np.frombuffer(data[at + 5 : at + 9], ">u2").tolist()
            return height, width
        at += 1 if data[at + 1] == 0xFF else 2 + int(data[at + 2]) * 256 + int(data[at + 3])
    return 0, 0
