"""Visibility of boxes: sides that are hidden by an object in front or cut off by the image's border.

A hidden side is not a measurement of the object's edge. If it were used as one, an object that is being covered from
one side would seem to shrink and slow down, and its position would be predicted wrongly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.structures import F64, Box

Flags = npt.NDArray[np.bool_]

NEAR_PX = 2
"""Gap up to which two segments, or a segment and the border, count as touching, pixels."""
MIN_SHARE = 0.5
"""Share of a side that must be behind another segment for it to count as hidden."""


def hidden_sides(boxes: F64, size: tuple[int, int]) -> Flags:
    """Find the sides of each box that are not the object's own edge.

    Of two segments that touch, the one that reaches further down stands nearer (on the ground in
    front of the camera) and hides the other.

    Args:
        boxes: (M, 4) float64, left, top, right, bottom in pixels, of all segments of a frame.
        size: (height, width) of the image, pixels.

    Returns:
        (M, 4) bool, in the order of the box.
    """
    height, width = size
    low, high = boxes[:, :2], boxes[:, 2:]
    hidden = np.concatenate([low < NEAR_PX, high > np.array([width, height]) - NEAR_PX], axis=1)
    in_front = boxes[None, :, 3] > boxes[:, None, 3]  # (M, M): the second hides the first
    for axis in (0, 1):
        other = 1 - axis
        start, end = low[:, other], high[:, other]
        shared = np.minimum(end[:, None], end[None]) - np.maximum(start[:, None], start[None])
        beside = in_front & (shared >= MIN_SHARE * (end - start)[:, None])
        first, last = low[:, None, axis], high[:, None, axis]
        first_j, last_j = low[None, :, axis], high[None, :, axis]
        hidden[:, axis] |= (beside & (last_j >= first - NEAR_PX) & (first_j < first)).any(axis=1)
        hidden[:, axis + 2] |= (beside & (first_j <= last + NEAR_PX) & (last_j > last)).any(axis=1)
    return hidden


def complete_box(visible: Box, hidden: Flags, predicted: Box, whole_px: F64) -> Box:
    """Estimate the box of the whole object from the visible box.

    A hidden side is put where the object's known size says; with both sides of an axis hidden, the
    visible part is taken to be where the prediction has it. The result is used only if it agrees with
    the prediction better than the visible box does: touching is a hint of hiding, not a proof.

    Args:
        visible: left, top, right, bottom in pixels.
        hidden: (4,) bool, a row of :func:`hidden_sides`.
        predicted: box the object is expected to have.
        whole_px: (2,) float64, width and height when last fully visible, pixels; 0 where not known.

    Returns:
        The completed box, or ``visible``.
    """
    if not hidden.any():
        return visible
    spans = [_complete_span(visible, hidden, predicted, float(whole_px[axis]), axis) for axis in (0, 1)]
    completed = spans[0][0], spans[1][0], spans[0][1], spans[1][1]
    of_completed, of_visible = box_iou([completed, visible], predicted)[:, 0]
    return completed if of_completed > of_visible else visible


def _complete_span(visible: Box, hidden: Flags, predicted: Box, whole_px: float, axis: int) -> tuple[float, float]:
    """Return both ends along one axis (0 = x, 1 = y)."""
    low, high = visible[axis], visible[axis + 2]
    missing = max(whole_px - (high - low), 0.0)
    if hidden[axis] and hidden[axis + 2]:
        expected_low = (predicted[axis] + predicted[axis + 2] - whole_px) / 2
        before = min(max(low - expected_low, 0.0), missing)
        return low - before, high + missing - before
    return low - missing * float(hidden[axis]), high + missing * float(hidden[axis + 2])
