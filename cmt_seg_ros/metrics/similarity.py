"""How alike two sets of objects are in one frame: IoU of boxes and of instance masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import F64

I64 = npt.NDArray[np.int64]


def box_iou(first: npt.ArrayLike, second: npt.ArrayLike) -> F64:
    """Intersection over union of every pair of boxes.

    Args:
        first: (N, 4) boxes (left, top, right, bottom) in pixels, right and bottom exclusive.
        second: (M, 4) boxes, likewise.

    Returns:
        (N, M) float64 in 0-1; 0 where a box has no area.
    """
    a = np.asarray(first, np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inter: F64 = np.prod(np.clip(sides, 0, None), axis=-1)
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1) - inter
    iou: F64 = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return iou


def shared_pixels(
    truth: npt.NDArray[np.unsignedinteger], prediction: npt.NDArray[np.unsignedinteger]
) -> tuple[I64, I64, I64]:
    """How many pixels each pair of instances of two instance-id images shares.

    Args:
        truth: (H, W) unsigned integers, instance id per pixel, 0 = none.
        prediction: (H, W) unsigned integers, likewise.

    Returns:
        Ids in the truth (N + 1,) and in the prediction (M + 1,), int64 and ascending, 0 first even if no pixel has
        it; and (N + 1, M + 1) int64, the number of pixels of each pair.

    Raises:
        ValueError: shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}; both must have one shape")
    truth_ids, rows = _dense(truth)
    other_ids, columns = _dense(prediction)
    shape = (len(truth_ids), len(other_ids))
    joint = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return truth_ids, other_ids, joint.astype(np.int64, copy=False)


def iou_of(joint: I64) -> F64:
    """(N, M) float64 IoU in 0-1 of all pairs but those of 0, from what :func:`shared_pixels` counted."""
    inter = joint[1:, 1:].astype(np.float64)
    union = joint.sum(axis=1)[1:, None] + joint.sum(axis=0)[None, 1:] - inter
    iou: F64 = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return iou


def _dense(ids: npt.NDArray[np.unsignedinteger]) -> tuple[I64, I64]:
    """Ids in use, 0 first even if no pixel has it, and for each pixel the index of its id."""
    # A table over the ids is several times faster than np.unique, which sorts all pixels.
    used = np.zeros(int(ids.max(initial=0)) + 1, bool)
    used[ids.ravel()] = True
    used[0] = True
    return np.flatnonzero(used).astype(np.int64), (np.cumsum(used) - 1).take(ids.ravel())
