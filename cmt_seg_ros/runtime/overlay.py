"""The picture people look at: class colours over the image, objects outlined."""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import U8, Frame

TO_BGR = {
    "rgb8": cv2.COLOR_RGB2BGR,
    "bgra8": cv2.COLOR_BGRA2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR,
    "mono8": cv2.COLOR_GRAY2BGR,
}


def to_bgr(frame: Frame) -> U8:
    """(H, W, 3) uint8 blue-green-red of a frame of any supported encoding; a view where it is that already."""
    if frame.encoding in ("bgr8", "8UC3"):
        return frame.pixels
    return cv2.cvtColor(np.ascontiguousarray(frame.pixels), TO_BGR[frame.encoding]).astype(np.uint8, copy=False)


def draw_masks(image: U8, class_ids: U8, objectness: U8, labels: LabelSet, alpha: float) -> U8:
    """Blend class colours over an image and outline the objects in white.

    Args:
        image: (H, W, 3) uint8 blue-green-red.
        class_ids: (H, W) uint8, 255 = unlabelled (left as it is).
        objectness: (H, W) uint8, 0 or 255.
        labels: gives the colours.
        alpha: weight of the colours, 0-1.

    Returns:
        (H, W, 3) uint8 blue-green-red, new memory.
    """
    colours = cv2.LUT(cv2.merge([class_ids] * 3), labels.bgr_lut[None])
    blended = cv2.addWeighted(image, 1 - alpha, colours, alpha, 0)
    if (class_ids == 255).any():
        cv2.copyTo(image, cv2.compare(class_ids, 255, cv2.CMP_EQ), blended)
    contours, _ = cv2.findContours(objectness, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(blended, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return blended.astype(np.uint8, copy=False)
