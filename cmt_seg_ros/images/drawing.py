"""Overlay of masks: class colours over the image, objects outlined in white."""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import U8, U16


def draw_masks(
    image: U8, class_ids: U8, objectness: U8 | None, labels: LabelSet, alpha: float, instance_ids: U16 | None = None
) -> U8:
    """Blend class colours over an image and outline the objects in white.

    Args:
        image: (H, W, 3) uint8 blue-green-red.
        class_ids: (H, W) uint8, 255 = unlabelled (left as it is).
        objectness: (H, W) uint8, 0 or 255; None: no outlines.
        labels: gives the colours.
        alpha: weight of the colours, 0-1.
        instance_ids: (H, W) uint16, 0 = none; outlined one by one, instead of the objectness mask; None: not known.

    Returns:
        (H, W, 3) uint8 blue-green-red, new memory.
    """
    colours = cv2.LUT(cv2.merge([class_ids] * 3), labels.bgr_lut[None])
    blended = cv2.addWeighted(image, 1 - alpha, colours, alpha, 0)
    if (class_ids == 255).any():
        cv2.copyTo(image, cv2.compare(class_ids, 255, cv2.CMP_EQ), blended)
    if instance_ids is not None:
        around = np.ones((3, 3), np.uint8)
        blended[cv2.dilate(instance_ids, around) != cv2.erode(instance_ids, around)] = 255
    elif objectness is not None:
        contours, _ = cv2.findContours(objectness, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(blended, contours, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return blended.astype(np.uint8, copy=False)
