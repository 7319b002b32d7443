"""Calibration against a loop, by hand, and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest

from cmt_seg_ros.metrics.calibration import BINS, calibration_bins
from cmt_seg_ros.metrics.scores import expected_calibration_error
from cmt_seg_ros.structures import U8

CLASSES = 11


def masks(seed: int, values: U8) -> tuple[U8, U8, U8]:
    """Truth, classes that are right the more often the surer they are, and confidence out of some values."""
    rng = np.random.default_rng(seed)
    confidence = rng.choice(values, (40, 30))
    truth = rng.integers(0, CLASSES, (40, 30)).astype(np.uint8)
    other = rng.integers(0, CLASSES, (40, 30)).astype(np.uint8)
    class_ids = np.where(rng.random((40, 30)) * 300 < confidence, truth, other)
    truth[rng.random((40, 30)) < 0.1] = 255
    class_ids[rng.random((40, 30)) < 0.1] = 255
    return truth, class_ids, confidence


ALL = np.arange(256, dtype=np.uint8)


def test_equals_a_loop() -> None:
    truth, class_ids, confidence = masks(0, ALL)
    confidence[0, :16] = np.arange(16) * 17  # where two bins meet
    expected = np.zeros((BINS, 3))
    for t, c, value in zip(
        truth.ravel().tolist(), class_ids.ravel().tolist(), confidence.ravel().tolist(), strict=True
    ):
        if t != 255 and c != 255:
            expected[min(value // 17, 14)] += [1, value / 255, t == c]
    bins = calibration_bins(truth, class_ids, confidence)
    assert bins.shape == (15, 3) and bins.dtype == np.float64
    np.testing.assert_allclose(bins, expected)
    error = sum(n / expected[:, 0].sum() * abs(s / n - r / n) for n, s, r in expected if n)
    assert expected_calibration_error(bins) == pytest.approx(error)


def test_by_hand() -> None:
    # Four pixels of confidence 1, three of them right; two of confidence 0.2, none of them right.
    truth = np.array([[0, 1, 2, 3, 4, 4]], np.uint8)
    class_ids = np.array([[0, 1, 2, 0, 0, 0]], np.uint8)
    bins = calibration_bins(truth, class_ids, np.array([[255] * 4 + [51] * 2], np.uint8))
    assert bins[14].tolist() == [4, 4, 3] and bins[3].tolist() == [2, pytest.approx(0.4), 0]
    assert expected_calibration_error(bins) == pytest.approx((4 * 0.25 + 2 * 0.2) / 6)


def test_adds_up_over_images_and_is_nan_without_pixels() -> None:
    truth, class_ids, confidence = masks(1, ALL)
    halves = [calibration_bins(truth[s], class_ids[s], confidence[s]) for s in (np.s_[:7], np.s_[7:])]
    np.testing.assert_allclose(halves[0] + halves[1], calibration_bins(truth, class_ids, confidence))
    assert np.isnan(expected_calibration_error(calibration_bins(np.full_like(truth, 255), class_ids, confidence)))


def test_refuses_what_does_not_fit() -> None:
    truth, class_ids, confidence = masks(1, ALL)
    with pytest.raises(ValueError, match=r"\(40, 29\)"):
        calibration_bins(truth, class_ids, confidence[:, 1:])
    with pytest.raises(ValueError, match="float64"):
        calibration_bins(truth, class_ids, confidence / 255)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_equals_torchmetrics(seed: int) -> None:
    """But at the limits of bins: those are not exact in float32, and there the confidence 1 is a bin of its own."""
    torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")
    theirs = pytest.importorskip("torchmetrics.classification", reason="torchmetrics is not installed")
    # Over 1/11: else another class would be the most probable.
    truth, class_ids, confidence = masks(seed, ALL[(ALL > 24) & (ALL % 17 != 0)])
    ours = expected_calibration_error(calibration_bins(truth, class_ids, confidence))
    known = class_ids != 255
    share = confidence[known] / 255
    scores = np.repeat((1 - share)[:, None] / (CLASSES - 1), CLASSES, axis=1)
    scores[np.arange(len(share)), class_ids[known]] = share
    multiclass = theirs.MulticlassCalibrationError(CLASSES, n_bins=15, norm="l1", ignore_index=255)
    target = torch.from_numpy(truth[known].astype(np.int64))
    assert float(multiclass(torch.from_numpy(scores), target)) == pytest.approx(ours, abs=1e-6)
    counted = known & (truth != 255)
    right = torch.from_numpy((truth == class_ids)[counted].astype(np.int64))
    binary = theirs.BinaryCalibrationError(n_bins=15, norm="l1")
    assert float(binary(torch.from_numpy(confidence[counted] / 255), right)) == pytest.approx(ours, abs=1e-6)
