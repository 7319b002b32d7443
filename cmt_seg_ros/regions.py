"""Regions: growing of numbered regions over the pixels of their kind; for runtime and tracking alike."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import U8, U16

MAX_ID = 65534
"""Highest id of a region; the one above it stands for none while regions grow."""
_NONE = MAX_ID + 1
Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]
Piece = tuple[Window, Mask]
"""A window of an image, and which of its pixels belong to the piece."""


def grow(ids: U16, kinds: U8) -> tuple[U16, list[Piece]]:
    """Give pixels without an id that of the closest pixel with one, on a path through pixels of one kind.

    Paths go from neighbour to neighbour above, below, left and right: the result of a breadth-first search from all
    numbered pixels at once. Of ids equally far the lower one is taken.

    Args:
        ids: (H, W) uint16, 0 = none, up to MAX_ID; pixels of kind 0 have none.
        kinds: (H, W) uint8, 0 = nothing grows here.

    Returns:
        (H, W) uint16, new memory; and the connected pieces of one kind that no id can reach, which have 0 there, in the
        order of their first pixels, row by row.
    """
    grown, left_out = ids.copy(), []
    for kind in np.flatnonzero(np.bincount(kinds[ids == 0], minlength=256)[1:]) + 1:
        of_kind = kinds == kind
        free = (of_kind & (ids == 0)).view(np.uint8)
        left, top, width, height = cv2.boundingRect(free)
        window = _around(left, top, width, height, ids.shape)
        pieces = _grow_in(grown[window], free[window], of_kind[window])
        left_out += [(_within(window, part), inside) for part, inside in pieces]
    return grown, sorted(left_out, key=_first_pixel)


def _grow_in(ids: U16, free: U8, of_kind: Mask) -> list[Piece]:
    """Grow within a window, in place: whole pieces where one id touches them, step by step where several do."""
    count, pieces, boxes, _ = cv2.connectedComponentsWithStats(free, connectivity=4, ltype=cv2.CV_32S)
    # As flat indices into planes with a margin, neighbours are a step away.
    plane = np.pad(np.where(of_kind, ids, np.uint16(0)), 1)
    flat, places = plane.ravel(), np.flatnonzero(np.pad(free, 1))
    own, meetings = pieces[free > 0].astype(np.int64), [np.zeros(0, np.int64)]
    for step in _steps(plane):
        seed = flat[places + step]
        meet = seed > 0
        meetings.append(own[meet] * (_NONE + 1) + seed[meet])
    touching, seed_ids = np.divmod(np.unique(np.concatenate(meetings)), _NONE + 1)
    several = np.bincount(touching, minlength=count)
    only = np.zeros(count, np.uint16)
    once = several[touching] == 1
    only[touching[once]] = seed_ids[once]
    flat[places] = only[own]
    np.copyto(ids, plane[1:-1, 1:-1], where=free > 0)
    left_out = []
    for piece in range(1, count):
        if several[piece] == 1:
            continue
        left, top, width, height = boxes[piece, :4].tolist()
        window = slice(top, top + height), slice(left, left + width)
        if not several[piece]:
            left_out.append((window, pieces[window] == piece))
            continue
        window = _around(left, top, width, height, ids.shape)
        _race(ids[window], pieces[window] == piece, of_kind[window])
    return left_out


def _race(ids: U16, free: Mask, of_kind: Mask) -> None:
    """Let several ids grow into the free pixels of a window, one pixel a round, in place."""
    plane = np.pad(np.where(of_kind & (ids > 0), ids, np.uint16(_NONE)), 1, constant_values=_NONE)
    flat, places = plane.ravel(), np.flatnonzero(np.pad(free, 1))
    right, left, down, up = _steps(plane)
    while len(places):
        best = np.minimum(flat[places + right], flat[places + left])
        best = np.minimum(best, np.minimum(flat[places + down], flat[places + up]))
        reached = best != _NONE
        flat[places[reached]] = best[reached]
        places = places[~reached]
    np.copyto(ids, plane[1:-1, 1:-1], where=free)


def _steps(plane: npt.NDArray[np.generic]) -> tuple[int, int, int, int]:
    """Return the distance of the four neighbours in a flattened plane."""
    return 1, -1, plane.shape[1], -plane.shape[1]


def _around(left: int, top: int, width: int, height: int, shape: tuple[int, ...]) -> Window:
    """Return a box with a margin of one pixel, within the image."""
    return slice(max(top - 1, 0), min(top + height + 1, shape[0])), slice(max(left - 1, 0), left + width + 1)


def _within(window: Window, part: Window) -> Window:
    """Return a part of a window as a window of the image."""
    (y0, x0), (y1, x1) = ((rows.start, columns.start) for rows, columns in (window, part))
    rows, columns = part
    return slice(y0 + y1, y0 + rows.stop), slice(x0 + x1, x0 + columns.stop)


def _first_pixel(piece: Piece) -> tuple[int, int]:
    (rows, columns), inside = piece
    return rows.start, columns.start + int(inside[0].argmax())
