"""Spatial smoothing of class ids: small regions merged into their surroundings, or a mode filter.

Unlabelled pixels (255) stay unlabelled, nothing becomes unlabelled, and no class appears that was not there.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import U8

I32 = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]

MAX_ROUNDS = 4  # merging small pieces that touch only small pieces; real masks need 1 to 3


def smooth(class_ids: U8, config: SegmentationConfig) -> U8:
    """Smooth class ids by the method of ``config.smoothing``.

    Args:
        class_ids: (H, W) uint8, 255 = unlabelled.
        config: method and its size.

    Returns:
        (H, W) uint8; the input itself where the method is "none".
    """
    if config.smoothing == "regions":
        return merge_small_regions(class_ids, config.smoothing_area_fraction * class_ids.size)
    if config.smoothing == "mode":
        return mode_filter(class_ids, config.smoothing_window_px)
    return class_ids


def merge_small_regions(class_ids: U8, min_area_px: float) -> U8:
    """Give every small piece the class of the large pieces around it that share most of its border.

    A piece is a 4-connected set of pixels of one class. A small piece that touches only small ones is merged once
    one of those is; after ``MAX_ROUNDS`` such rounds what is left (noise without structure) stays.

    Args:
        class_ids: (H, W) uint8, 255 = unlabelled.
        min_area_px: pieces with fewer pixels are small.

    Returns:
        (H, W) uint8, new memory. Of classes with equal border the lowest id wins.

    Raises:
        ValueError: class_ids is not a 2-D uint8 array.
    """
    _check(class_ids)
    # 1. The pieces, with their areas and classes.
    piece_of = _pieces(class_ids)
    area = np.bincount(piece_of.ravel())
    class_of = np.empty(area.size, np.uint8)
    class_of[piece_of] = class_ids
    small = (area < min_area_px) & (class_of != IGNORE_ID)
    # 2. One entry for each pixel edge between a small piece and another piece.
    inner, outer = _borders(class_ids, piece_of, small)
    # 3. Round by round, from large pieces inwards.
    for _ in range(MAX_ROUNDS):
        decided = ~small[outer]
        if not decided.any():
            break
        merged, classes = _most_votes(inner[decided], class_of[outer[decided]])
        class_of[merged], small[merged] = classes, False
        waiting = small[inner]
        inner, outer = inner[waiting], outer[waiting]
    return class_of[piece_of]


def mode_filter(class_ids: U8, window_px: int) -> U8:
    """Give every pixel the most frequent class of the square window around it.

    Args:
        class_ids: (H, W) uint8, 255 = unlabelled, which does not vote.
        window_px: side of the window, odd, 3-31; the part of it outside the image does not vote.

    Returns:
        (H, W) uint8, new memory. Where classes are equally frequent the pixel keeps its own if that is one of
        them, else the lowest id wins.

    Raises:
        ValueError: class_ids is not a 2-D uint8 array.
    """
    _check(class_ids)
    most = np.zeros(class_ids.shape, np.uint16)
    smoothed = class_ids.copy()
    for class_id in np.flatnonzero(np.bincount(class_ids.ravel(), minlength=256)[:IGNORE_ID]):
        own = cv2.compare(class_ids, int(class_id), cv2.CMP_EQ) & 1
        votes = cv2.boxFilter(own, cv2.CV_16U, (window_px, window_px), normalize=False, borderType=cv2.BORDER_CONSTANT)
        votes = 2 * votes + own  # half a vote more settles a tie for the pixel's own class
        smoothed[votes > most] = class_id
        cv2.max(votes, most, dst=most)
    smoothed[class_ids == IGNORE_ID] = IGNORE_ID
    return smoothed


def _pieces(class_ids: U8) -> I32:
    """Return (H, W) int32, the number of each pixel's 4-connected piece; all classes at once, from runs along rows."""
    # Here, as they take a third of the time in which a node starts, and most smooth nothing.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts = np.ones(class_ids.shape, bool)
    np.not_equal(class_ids[:, 1:], class_ids[:, :-1], out=starts[:, 1:])
    run_of = np.cumsum(starts, dtype=np.int32).reshape(class_ids.shape) - 1
    # Runs of one class that lie below each other are one piece; the first column where both are is enough.
    touch = (class_ids[1:] == class_ids[:-1]) & (starts[1:] | starts[:-1])
    above, below = run_of[:-1][touch], run_of[1:][touch]
    runs = int(run_of[-1, -1]) + 1
    graph = coo_array((np.ones(above.size, bool), (above, below)), shape=(runs, runs))
    _, piece_of_run = connected_components(graph, directed=False)
    return piece_of_run.astype(np.int32)[run_of]


def _borders(class_ids: U8, piece_of: I32, small: npt.NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """Return both pieces of each pixel edge between a small piece and a labelled one of another class."""
    is_small, labelled = small[piece_of], class_ids != IGNORE_ID
    inner, outer = [], []
    right, left, down, up = np.s_[:, 1:], np.s_[:, :-1], np.s_[1:], np.s_[:-1]
    for here, there in ((left, right), (right, left), (up, down), (down, up)):
        edge = np.flatnonzero(is_small[here] & labelled[there] & (class_ids[here] != class_ids[there]))
        inner.append(piece_of[here].take(edge))
        outer.append(piece_of[there].take(edge))
    # Wide enough to number pairs of piece and class in an image of any size.
    return np.concatenate(inner, dtype=np.intp), np.concatenate(outer, dtype=np.intp)


def _most_votes(pieces: Indices, class_ids: U8) -> tuple[Indices, Indices]:
    """Return the pieces that occur, and for each the most frequent class beside it (the lowest of equals)."""
    classes = int(class_ids.max()) + 1
    votes = np.bincount(pieces * classes + class_ids, minlength=(int(pieces.max()) + 1) * classes).reshape(-1, classes)
    voted = np.flatnonzero(votes.any(axis=1))
    return voted, votes[voted].argmax(axis=1)


def _check(class_ids: U8) -> None:
    if class_ids.dtype != np.uint8 or class_ids.ndim != 2 or not class_ids.size:
        raise ValueError(f"class_ids is {class_ids.dtype} of shape {class_ids.shape}; it must be uint8 (height, width)")
