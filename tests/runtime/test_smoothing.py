"""Smoothing against references pixel by pixel, and what must hold for every mask."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime.smoothing import MAX_ROUNDS, merge_small_regions, mode_filter, smooth
from cmt_seg_ros.structures import U8

SEEDS = range(6)


def noisy_mask(seed: int, share: float = 0.1) -> U8:
    """Blocks of five classes with noise on them, a tenth of it unlabelled."""
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.integers(0, 5, (4, 5)), np.ones((12, 11), np.uint8)).astype(np.uint8)
    noise = rng.random(mask.shape) < share
    mask[noise] = rng.choice([0, 1, 2, 3, 4, 7, 7, 9, 9, 255], np.count_nonzero(noise))
    return mask


def areas(mask: U8) -> np.ndarray:
    """(H, W) area of the 4-connected piece each pixel belongs to."""
    result = np.zeros(mask.shape, int)
    for class_id in np.unique(mask):
        pieces, _ = ndimage.label(mask == class_id)
        result += np.where(pieces, np.bincount(pieces.ravel())[pieces], 0)
    return result


def most_frequent(mask: U8, window: int) -> U8:
    """Mode filter, pixel by pixel."""
    result, reach = mask.copy(), window // 2
    for y, x in np.argwhere(mask != 255):
        near = mask[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        votes = np.bincount(near[near != 255], minlength=256)
        result[y, x] = mask[y, x] if votes[mask[y, x]] == votes.max() else votes.argmax()
    return result


@pytest.mark.parametrize("window", [3, 5, 31])
def test_mode_filter_equals_the_reference(window: int) -> None:
    mask = noisy_mask(window, share=0.5)
    np.testing.assert_array_equal(mode_filter(mask, window), most_frequent(mask, window))


def merged(mask: U8, min_area: int) -> U8:
    """Region merging, pixel by pixel."""
    result, small = mask.copy(), (areas(mask) < min_area) & (mask != 255)
    pieces = [ndimage.label(small & (mask == class_id)) for class_id in np.unique(mask)]
    waiting = [np.argwhere(numbers == k + 1) for numbers, count in pieces for k in range(count)]
    for _ in range(MAX_ROUNDS):
        winners = []
        for piece in waiting:
            around = [(y + dy, x + dx) for y, x in piece for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]
            inside = [p for p in around if 0 <= p[0] < mask.shape[0] and 0 <= p[1] < mask.shape[1]]
            votes = Counter(int(result[p]) for p in inside if not small[p] and mask[p] != 255)
            winners.append(min(votes, key=lambda c: (-votes[c], c)) if votes else None)
        for piece, winner in zip(waiting, winners, strict=True):
            if winner is not None:
                result[tuple(piece.T)], small[tuple(piece.T)] = winner, False
        waiting = [piece for piece, winner in zip(waiting, winners, strict=True) if winner is None]
    return result


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_regions_equal_the_reference(share: float) -> None:
    mask = noisy_mask(1, share)
    np.testing.assert_array_equal(merge_small_regions(mask, 12), merged(mask, 12))


@pytest.mark.parametrize("seed", SEEDS)
def test_regions_leave_no_small_piece_and_touch_no_large_one(seed: int) -> None:
    mask = noisy_mask(seed)
    before = mask.copy()
    result = merge_small_regions(mask, 20)
    np.testing.assert_array_equal(mask, before)
    large, unlabelled = areas(mask) >= 20, mask == 255
    np.testing.assert_array_equal(result[large | unlabelled], mask[large | unlabelled])
    assert areas(result)[~unlabelled].min() >= 20 > areas(mask)[~unlabelled].min()
    np.testing.assert_array_equal(merge_small_regions(result, 20), result)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", ["regions", "mode"])
def test_no_class_is_invented_and_unlabelled_stays(method: str, seed: int) -> None:
    mask = noisy_mask(seed, share=0.6)
    smoothed = smooth(mask, SegmentationConfig(smoothing=method, smoothing_area_fraction=0.01))
    assert smoothed.dtype == np.uint8 and smoothed.shape == mask.shape and not np.shares_memory(smoothed, mask)
    assert set(np.unique(smoothed)) <= set(np.unique(mask))
    np.testing.assert_array_equal(smoothed == 255, mask == 255)


def test_class_with_the_longest_border_wins_not_the_largest() -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[10:15, 10:15] = 1  # 25 pixels: stays
    mask[11:13, 13:15] = 2  # 4 pixels; 6 edges with class 1, 2 with class 0
    expected = mask.copy()
    expected[mask == 2] = 1
    np.testing.assert_array_equal(merge_small_regions(mask, 20), expected)


def test_equal_borders_go_to_the_lowest_class() -> None:
    mask = np.repeat(np.array([[3] * 10 + [8] + [1] * 10], np.uint8), 5, axis=0)
    assert (merge_small_regions(mask, 6)[:, 10] == 1).all()


def test_small_pieces_inside_small_pieces_are_merged_from_outside() -> None:
    mask = np.full((40, 40), 4, np.uint8)
    mask[10:14, 10:14] = 6
    mask[11:13, 11:13] = 7
    assert (merge_small_regions(mask, 15) == 4).all()


def test_pieces_touch_at_edges_not_at_corners() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[range(5, 15), range(5, 15)] = 1  # ten pieces of one pixel
    assert not merge_small_regions(mask, 2).any()


@pytest.mark.parametrize("value", [3, 255])
def test_without_another_class_nothing_changes(value: int) -> None:
    mask = np.full((20, 30), value, np.uint8)
    np.testing.assert_array_equal(merge_small_regions(mask, 10_000), mask)
    np.testing.assert_array_equal(mode_filter(mask, 5), mask)


def test_small_piece_amid_unlabelled_stays() -> None:
    mask = np.full((20, 30), 255, np.uint8)
    mask[5, 5:7] = 2
    np.testing.assert_array_equal(merge_small_regions(mask, 10), mask)


def test_one_row_and_one_column_are_images_too() -> None:
    row = np.array([[1] * 9 + [2] + [1] * 9], np.uint8)
    for mask in (row, row.T.copy()):
        assert (merge_small_regions(mask, 3) == 1).all() and (mode_filter(mask, 3) == 1).all()


def test_pure_noise_ends() -> None:
    mask = np.random.default_rng(0).integers(0, 11, (120, 160)).astype(np.uint8)
    np.testing.assert_array_equal(merge_small_regions(mask, 1000), mask)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.int32), np.zeros((4, 4, 1), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_refuses_what_is_no_mask(wrong: U8) -> None:
    for method in (lambda: merge_small_regions(wrong, 5), lambda: mode_filter(wrong, 5)):
        with pytest.raises(ValueError, match=r"it must be uint8 \(height, width\)"):
            method()
