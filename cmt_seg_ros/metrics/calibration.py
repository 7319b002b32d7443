"""Bins for the expected calibration error of the published classes: is confidence the share of right pixels?

Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, and Guo et
al., "On Calibration of Modern Neural Networks", ICML 2017: pixels are put in 15 bins of equal width by their
confidence; the error is the mean distance of confidence and share of right pixels over the bins, weighed by pixels.
Bins add up over images; :func:`~cmt_seg_ros.metrics.scores.expected_calibration_error` has the formula.
A value that divides two bins is in the upper one; the confidence 1 is in the last.
"""

from __future__ import annotations

import numpy as np

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import F64, U8

BINS = 15


def calibration_bins(truth: U8, class_ids: U8, confidence: U8) -> F64:
    """Count the pixels of one image by confidence.

    Pixels that are unlabelled (255) in the truth or in the prediction are not counted: what the network does not
    say cannot be wrong.

    Args:
        truth: (H, W) uint8, true class id per pixel.
        class_ids: (H, W) uint8, predicted class id per pixel.
        confidence: (H, W) uint8, probability of the predicted class, 0-255 for 0-1.

    Returns:
        (15, 3) float64, for each bin the number of its pixels, the sum of their confidences (0-1 each), and how many
        of them are right.

    Raises:
        ValueError: the shapes differ, or an array is not uint8.
    """
    arrays = truth, class_ids, confidence
    if any(a.shape != truth.shape or a.dtype != np.uint8 for a in arrays):
        given = ", ".join(f"{a.dtype} {a.shape}" for a in arrays)
        raise ValueError(f"truth, class ids and confidence are {given}; all must be uint8 arrays of one shape")
    # One count of all pairs (confidence, right or wrong); what is not counted goes behind the last.
    pairs = confidence.ravel().astype(np.uint16)
    pairs <<= 1
    pairs |= (truth == class_ids).ravel()
    pairs[((truth == IGNORE_ID) | (class_ids == IGNORE_ID)).ravel()] = 512
    wrong_or_right = np.bincount(pairs, minlength=513)[:512].reshape(256, 2)
    values = np.arange(256)
    pixels = wrong_or_right.sum(axis=1)
    by_value = np.stack([pixels, pixels * values / 255, wrong_or_right[:, 1]], axis=1)
    bins: F64 = np.zeros((BINS, 3))
    np.add.at(bins, np.minimum(values * BINS // 255, BINS - 1), by_value)
    return bins
