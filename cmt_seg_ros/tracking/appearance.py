"""How an object looks: a colour histogram of its pixels, to know it again after it was hidden.

Comaniciu, Ramesh and Meer 2003, "Kernel-Based Object Tracking": histograms compared by the Bhattacharyya coefficient.
"""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.structures import F64, U8, Segment

BINS = (8, 4, 4)
"""Of hue, saturation, value."""


def describe(segment: Segment, image_bgr: U8) -> F64:
    """Colours of a segment's pixels.

    Args:
        segment: its pixels, or its box where it has no mask.
        image_bgr: (H, W, 3) uint8, blue, green, red, of the mask's size.

    Returns:
        (128,) float64 of length 1; the product of two is their Bhattacharyya coefficient, 0-1.
    """
    height, width = image_bgr.shape[:2]
    left, top, right, bottom = (round(v) for v in segment.box_px)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if x0 >= x1 or y0 >= y1:
        return np.zeros(int(np.prod(BINS)))
    mask = None if segment.mask is None else segment.mask[y0 - top : y1 - top, x0 - left : x1 - left]
    step = max(1, int(np.sqrt((x1 - x0) * (y1 - y0)) // 48))  # some thousand pixels are enough
    crop = cv2.cvtColor(np.ascontiguousarray(image_bgr[y0:y1:step, x0:x1:step]), cv2.COLOR_BGR2HSV)
    mask = None if mask is None else np.ascontiguousarray(mask[::step, ::step])
    histogram = cv2.calcHist([crop], [0, 1, 2], mask, BINS, [0, 180, 0, 256, 0, 256]).ravel().astype(np.float64)
    return np.sqrt(histogram / max(histogram.sum(), 1.0))
