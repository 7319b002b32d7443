"""Label images as ground truth: class ids and instance ids, from files and messages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np

from cmt_seg_ros.encodings import ENCODINGS, Pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.decoder import decode
from cmt_seg_ros.images.messages import frame_from_message
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.structures import U8, U16


class LabelImage(NamedTuple):
    """A label image that is not read yet.

    Attributes:
        name: what to call it in a problem: a file's path, or a topic and a stamp.
        load: reads it: (H, W[, C]) of any type; raises CmtSegError if it is damaged.
    """

    name: str
    load: Callable[[], Pixels]


def message_labels(message: Any) -> Pixels:
    """Return the ids in a label message as they are.

    Args:
        message: a deserialized Image (mono8, mono16, 8UC1 or 16UC1) or CompressedImage (png) of rosbags.

    Raises:
        FrameError: it is damaged, or of another encoding.
    """
    if getattr(message, "encoding", "") == "16UC1":  # what cv_bridge calls mono16
        message = dataclasses.replace(message, encoding="mono16")
    frame = frame_from_message(message, "truth")
    if not ENCODINGS[frame.encoding].compressed:
        return frame.pixels
    if not frame.encoding.startswith("png"):
        raise FrameError(f"{frame.pixels.size} bytes of {frame.encoding} are no label image; expected png")
    return decode(frame.pixels, cv2.IMREAD_UNCHANGED)


def true_class_ids(image: Pixels, name: str, size: tuple[int, int], labels: LabelSet, problems: Problems) -> U8 | None:
    """Class ids with 255 for unlabelled, which data sets such as CamVid number after their last class.

    Args:
        image: as :class:`LabelImage` loads it.
        name: of the label image.
        size: (height, width) of the frame it belongs to, pixels.
        labels: the classes.
        problems: is told of ids that are no class (these pixels become unlabelled), and why there is no result.

    Returns:
        (H, W) uint8; None if it is not one channel of 8 bits of the frame's size.
    """
    if image.dtype != np.uint8 or image.shape != size:
        problems.add("bad_label", f"{name} is {_kind(image)}; class ids must be uint8 {size}, (height, width)")
        return None
    used = np.flatnonzero(cv2.calcHist([image], [0], None, [256], [0, 256]))
    unknown = used[(used > len(labels)) & (used != IGNORE_ID)]
    if unknown.size:
        values = ", ".join(map(str, unknown[:6]))
        text = f"{name} has ids that are no class: {values}; classes are 0 to {len(labels) - 1}, unlabelled is 255"
        problems.add("unknown_label_id", text)
    known = np.arange(256, dtype=np.uint8)
    known[len(labels) :] = IGNORE_ID
    return np.asarray(cv2.LUT(image, known), np.uint8)


def true_instance_ids(image: Pixels, name: str, size: tuple[int, int], problems: Problems) -> U16 | None:
    """Object ids; arguments as of :func:`true_class_ids`.

    Returns:
        (H, W) uint16; None if it is not one channel of 8 or 16 bits of the frame's size.
    """
    if image.dtype.kind != "u" or image.dtype.itemsize > 2 or image.shape != size:
        problems.add("bad_label", f"{name} is {_kind(image)}; instance ids must be uint8 or uint16 {size}")
        return None
    return image.astype(np.uint16)


def _kind(image: Pixels) -> str:
    return f"{image.dtype} {image.shape}"
