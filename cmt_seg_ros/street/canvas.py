"""Canvas: the image under construction together with its labels; both are always covered alike."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.street.camera import View
from cmt_seg_ros.structures import F64, U8, U16

_SHIFT = 4
OPAQUE = 128
"""Alpha from which a pixel belongs to what was drawn."""


class Canvas:
    """Painter's canvas.

    Attributes:
        color: (H, W, 3) uint8, blue, green, red.
        classes: (H, W) uint8 class ids.
        ids: (H, W) uint16 instance ids; stale where a thing without an id covers one with an id.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.height, self.width = size
        self.color: U8 = np.zeros((*size, 3), np.uint8)
        self.classes: U8 = np.full(size, 255, np.uint8)
        self.ids: U16 = np.zeros(size, np.uint16)

    def quad(
        self,
        mips: list[U8],
        level: int,
        homography: F64,
        corners: F64,
        box: tuple[int, int, int, int],
        table: U8,
        class_id: int,
    ) -> None:
        """Draw a flat textured surface.

        Args:
            mips: (h, w, 3) opaque or (h, w, 4) straight-alpha pictures, finest first.
            level: which of them.
            homography: (3, 3) from pixels of the finest picture to the image.
            corners: (N, 2) convex outline in the image, pixels.
            box: of the corners, from :meth:`View.clip`.
            table: (256, 1, 3) light and haze.
            class_id: its class.
        """
        x0, y0, x1, y1 = box
        matrix = homography @ _mip_matrix(mips[0], mips[level])
        matrix[:2] -= np.array([[x0], [y0]]) * matrix[2]
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillConvexPoly(mask, _fixed(corners - (x0, y0)), 255, cv2.LINE_8, _SHIFT)
        size = (x1 - x0, y1 - y0)
        patch = cv2.warpPerspective(mips[level], matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if patch.shape[2] == 4:
            patch[..., 3] &= mask
            self.straight(patch, x0, y0, table, class_id)
            return
        cv2.copyTo(cv2.LUT(patch, table), mask, self.color[y0:y1, x0:x1])
        cv2.fillConvexPoly(self.classes[y0:y1, x0:x1], _fixed(corners - (x0, y0)), class_id, cv2.LINE_8, _SHIFT)

    def polygon(self, corners: F64, color: tuple[int, int, int], class_id: int) -> None:
        """Fill a convex outline, (N, 2) pixels, with one colour."""
        outline = _fixed(corners)
        cv2.fillConvexPoly(self.color, outline, color, cv2.LINE_8, _SHIFT)
        cv2.fillConvexPoly(self.classes, outline, class_id, cv2.LINE_8, _SHIFT)

    def sprite(
        self,
        view: View,
        mips: list[U8],
        foot: tuple[float, float],
        height_px: float,
        foot_share: float,
        table: U8,
        class_id: int,
        instance_id: int = 0,
    ) -> None:
        """Draw an upright picture; ``foot`` is the image pixel of its lowest edge, ``foot_share`` where along it."""
        h, w = mips[0].shape[:2]
        scale = height_px / h
        left, top = foot[0] - foot_share * w * scale, foot[1] - height_px
        box = view.clip((left, top), (left + w * scale, foot[1]))
        if box is None:
            return
        level = 0
        while level + 1 < len(mips) and mips[level + 1].shape[0] >= height_px:
            level += 1
        sx, sy = w * scale / mips[level].shape[1], height_px / mips[level].shape[0]
        x0, y0, x1, y1 = box
        matrix = np.array([[sx, 0, left - x0 + sx / 2 - 0.5], [0, sy, top - y0 + sy / 2 - 0.5]], np.float64)
        patch = cv2.warpAffine(mips[level], matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        self.straight(patch, x0, y0, table, class_id, instance_id)

    def straight(self, patch: U8, x0: int, y0: int, table: U8, class_id: int, instance_id: int = 0) -> None:
        """Blend an (h, w, 4) straight-alpha patch over the picture at (x0, y0)."""
        h, w = patch.shape[:2]
        below = self.color[y0 : y0 + h, x0 : x0 + w]
        above = cv2.LUT(cv2.cvtColor(patch, cv2.COLOR_BGRA2BGR), table)
        alpha = cv2.extractChannel(patch, 3)
        weight = cv2.multiply(alpha, 1.0 / 255.0, dtype=cv2.CV_32F)
        below[...] = cv2.blendLinear(above, below, weight, 1.0 - weight)
        self._label(alpha, x0, y0, class_id, instance_id)

    def premultiplied(self, patch: U8, x0: int, y0: int, class_id: int, instance_id: int) -> None:
        """Blend an (h, w, 4) patch whose colours are already weighted by its alpha."""
        h, w = patch.shape[:2]
        below = self.color[y0 : y0 + h, x0 : x0 + w]
        alpha = cv2.extractChannel(patch, 3)
        rest = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2BGR)
        below[...] = cv2.add(cv2.multiply(below, rest, scale=1.0 / 255.0), cv2.cvtColor(patch, cv2.COLOR_BGRA2BGR))
        self._label(alpha, x0, y0, class_id, instance_id)

    def darken(self, view: View, mask: U8, homography: F64, corners: F64) -> None:
        """Multiply the picture by a (h, w) uint8 mask laid on a plane (255, and outside it: unchanged)."""
        box = view.clip(corners.min(0), corners.max(0))
        if box is None:
            return
        x0, y0, x1, y1 = box
        matrix = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]], np.float64) @ homography
        light = cv2.warpPerspective(
            mask, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255
        )
        below = self.color[y0:y1, x0:x1]
        below[...] = cv2.multiply(below, cv2.cvtColor(light, cv2.COLOR_GRAY2BGR), scale=1.0 / 255.0)

    def _label(self, alpha: U8, x0: int, y0: int, class_id: int, instance_id: int) -> None:
        h, w = alpha.shape
        covered = alpha >= OPAQUE
        np.copyto(self.classes[y0 : y0 + h, x0 : x0 + w], np.uint8(class_id), where=covered)
        if instance_id:
            np.copyto(self.ids[y0 : y0 + h, x0 : x0 + w], np.uint16(instance_id), where=covered)


def _mip_matrix(finest: U8, level: U8) -> F64:
    """Return the (3, 3) matrix from pixels of a mip level to pixels of the finest one."""
    sx, sy = finest.shape[1] / level.shape[1], finest.shape[0] / level.shape[0]
    return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]], np.float64)


def _fixed(corners: F64) -> npt.NDArray[np.int32]:
    """Convert pixels to the fixed-point integers of cv2."""
    return np.asarray(np.rint(corners * (1 << _SHIFT)), np.int32)
