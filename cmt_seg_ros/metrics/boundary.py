"""How well the outlines of a label map fit: the boundary F-score of semantic segmentation.

Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013
(there "BF"; elsewhere "boundary F1", "BF score"); the F of DAVIS (Perazzi et al., CVPR 2016) is the same
idea for one object. Precision P is the share of a class's predicted boundary pixels that have a true
boundary pixel of the class near them, recall R the reverse, and F = 2PR / (P + R).

Boundary pixels of a class are its own pixels of which at least one of the four neighbours is of another
class: the outline lies inside the class and is one pixel wide. The image's border bounds nothing, and
neither does an unlabelled pixel, of the truth or of the prediction.

Over a data set the F of a class is the mean over the images where the class has a boundary, true or
predicted, as in the paper and in MATLAB's ``evaluateSemanticSegmentation``: the usual convention of this
measure, unlike IoU, whose counts add up over images. Code derived from that of DAVIS finds higher figures:
it gives 1 to a class that is in neither, and cuts unlabelled pixels out of both masks, whose common rims
then match. The paper's tolerance is 0.75 % of the image's diagonal, 4.5 pixels at 480x360; 3 are stricter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import F64, U8

Bool = npt.NDArray[np.bool_]

TOLERANCE_PX = 3
"""Greatest distance of two boundary pixels that match, in pixels of the scored image."""


def boundary_f_per_class(truth: U8, prediction: U8, num_classes: int, tolerance_px: int = TOLERANCE_PX) -> F64:
    """Boundary F-score of each class in one image.

    In unlabelled pixels of the truth a true boundary may hide. Therefore predicted boundary pixels within
    ``tolerance_px`` + 1 of one are neither right nor wrong; for recall they may still match a true one.

    Args:
        truth: (H, W) uint8, true class id per pixel, 255 = unlabelled.
        prediction: (H, W) uint8, predicted class id per pixel; ids of ``num_classes`` or more = unlabelled.
        num_classes: number C of classes, ids 0 to C - 1.
        tolerance_px: greatest Euclidean distance of a match, pixels, 0 or more.

    Returns:
        (C,) float64 in 0-1; 0 for a class with a boundary in one of the two only, nan for one with none.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}; both must have one shape")
    true, predicted = boundaries(truth, num_classes), boundaries(prediction, num_classes)
    hidden = near(truth == IGNORE_ID, tolerance_px + 1)
    counted = np.where(hidden, np.uint8(IGNORE_ID), predicted)
    precision = _shares(counted, _matched(counted, true, tolerance_px), num_classes)
    recall = _shares(true, _matched(true, predicted, tolerance_px), num_classes)
    neither = np.isnan(precision) & np.isnan(recall)
    # A share of no pixels counts as 1: then the other of the two decides, and is 0 if nothing matches.
    precision, recall = np.nan_to_num(precision, nan=1.0), np.nan_to_num(recall, nan=1.0)
    f: F64 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(np.float64).tiny)
    f[neither] = np.nan
    return f


def boundaries(ids: U8, num_classes: int) -> U8:
    """Class id where a pixel lies on the boundary of its class, elsewhere 255; both (H, W) uint8."""
    known = ids < num_classes
    edge = np.zeros(ids.shape, bool)
    for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        differs = (ids[here] != ids[there]) & known[here] & known[there]
        edge[here] |= differs
        edge[there] |= differs
    return np.where(edge, ids, np.uint8(IGNORE_ID))


def near(mask: Bool, radius_px: int) -> Bool:
    """Pixels within a Euclidean distance of a set pixel: (H, W) bool to (H, W) bool."""
    found = np.zeros_like(mask)
    if mask.any():
        for moved in _moved(mask, radius_px, False):
            found |= moved
    return found


def _matched(boundary: U8, others: U8, radius_px: int) -> Bool:
    """Where a boundary pixel has one of its own class near it on the other map.

    A pixel is on the boundary of one class only, so comparing ids settles all classes at once.
    """
    found = np.zeros(boundary.shape, bool)
    for moved in _moved(others, radius_px, IGNORE_ID):
        found |= boundary == moved
    return found


def _moved(image: npt.NDArray[Any], radius_px: int, outside: int) -> Iterator[npt.NDArray[Any]]:
    """The image moved by every whole step within a disk; ``outside`` comes in at its border."""
    padded = np.pad(image, radius_px, constant_values=outside)
    height, width = image.shape
    for y in range(-radius_px, radius_px + 1):
        for x in range(-radius_px, radius_px + 1):
            if x * x + y * y <= radius_px * radius_px:
                yield padded[radius_px + y :, radius_px + x :][:height, :width]


def _shares(boundary: U8, matched: Bool, num_classes: int) -> F64:
    """Share of each class's boundary pixels that are matched, (C,) in 0-1; nan where there are none."""
    total = np.bincount(boundary.ravel(), minlength=256)[:num_classes]
    hits = np.bincount(boundary[matched], minlength=256)[:num_classes]
    shares: F64 = np.divide(hits, total, out=np.full(num_classes, np.nan), where=total > 0)
    return shares
