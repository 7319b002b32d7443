"""Terrain: the ground, drawn from the textures of the blocks, and where the sun reaches it."""

from __future__ import annotations

import math
from collections import OrderedDict

import cv2
import numpy as np

from cmt_seg_ros.street.camera import View
from cmt_seg_ros.street.canvas import Canvas
from cmt_seg_ros.street.ground import HALF_WIDTH_M, LEVELS, GroundBlock, GroundMaker
from cmt_seg_ros.street.layout import BLOCK_M, Layout
from cmt_seg_ros.street.light import Light
from cmt_seg_ros.street.noise import rng_of, to_u8
from cmt_seg_ros.structures import U8

_KEPT_BLOCKS = 12
"""Ground textures kept (about 5 MB each)."""
_FAR_M = 200.0
_GRIT_M, _GRIT_ROWS, _GRIT_COLUMNS = 7.5, 64, 110
"""Fine grains reach to this depth; texels a metre along and across."""


class Terrain:
    """The ground of one street.

    Args:
        maker: makes the textures of a block.
        layout: the street.
        light: its weather.
    """

    def __init__(self, maker: GroundMaker, layout: Layout, light: Light) -> None:
        self._maker, self._layout, self._light = maker, layout, light
        self._blocks: OrderedDict[int, GroundBlock] = OrderedDict()
        grains = rng_of(maker.seed, 101).normal(0, 11, (256, 256)).astype(np.float32)
        self._grit: U8 = to_u8(128 + grains + 1.5 * cv2.GaussianBlur(grains, (0, 0), 1.5))

    def block(self, index: int) -> GroundBlock:
        """Return the textures of a block; the least recently used ones are dropped."""
        if index not in self._blocks:
            self._blocks[index] = self._maker.make(self._layout.block(index))
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(index)
        return self._blocks[index]

    def sunlit(self, x: float, y: float) -> float:
        """Return the share of direct sun at a place on the street, 0-1."""
        index = math.floor(x / BLOCK_M)
        return self.block(index).sunlit_at(x - index * BLOCK_M, y)

    def draw(self, view: View, canvas: Canvas) -> None:
        """Draw all rows below the horizon in bands, each from the level whose texels match its pixels."""
        bottom, reach = canvas.height, view.focal * float(view.position[2])
        top = min(max(math.ceil(view.horizon_row + 0.5), 0), canvas.height)
        for level in range(len(LEVELS)):
            stop = top
            if level + 1 < len(LEVELS):
                row = math.ceil(view.ground_row(math.sqrt(reach / (1.25 * LEVELS[level + 1][0]))))
                stop = min(max(row, top), bottom)
            if stop < bottom:
                self._draw_band(view, canvas, level, stop, bottom)
            bottom = stop
        self._draw_grit(view, canvas)
        self._draw_haze(view, canvas, top)

    def _draw_grit(self, view: View, canvas: Canvas) -> None:
        """Draw grains too fine for the textures, on the rows near the camera."""
        top = min(max(math.ceil(view.ground_row(_GRIT_M)), 0), canvas.height)
        if top == canvas.height:
            return
        tile = self._grit.shape[0] / _GRIT_ROWS
        start = math.floor(view.position[0] / tile) * tile
        plane = view.plane(
            np.array([start, 0.0, 0.0]),
            np.array([0.0, -1.0 / _GRIT_COLUMNS, 0.0]),
            np.array([1.0 / _GRIT_ROWS, 0.0, 0.0]),
        )
        matrix = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1]], np.float64) @ plane
        size = (canvas.width, canvas.height - top)
        grains = cv2.warpPerspective(self._grit, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        depths = np.array([view.ground_depth(row) for row in range(top, canvas.height)], np.float32)
        fade = np.clip((_GRIT_M - depths) / (0.5 * _GRIT_M), 0, 1)[:, None]
        light = (128.0 + fade * (grains.astype(np.float32) - 128.0)).astype(np.uint8)
        near = canvas.color[top:]
        near[...] = cv2.multiply(near, cv2.cvtColor(light, cv2.COLOR_GRAY2BGR), scale=1.0 / 128.0)

    def _draw_haze(self, view: View, canvas: Canvas, top: int) -> None:
        depths = np.array([view.ground_depth(row) for row in range(top, canvas.height)])
        haze = 1.0 - np.exp(-self._light.haze_per_m * np.clip(depths - 8.0, 0, 400))
        rows = int(np.count_nonzero(haze > 0.012))
        part = canvas.color[top : top + rows].astype(np.float32)
        share = haze[:rows, None, None].astype(np.float32)
        part += share * (np.asarray(self._light.haze, np.float32) - part)
        canvas.color[top : top + rows] = part

    def _draw_band(self, view: View, canvas: Canvas, level: int, top: int, bottom: int) -> None:
        corners = np.array([(x, y, 1.0) for x in (0.0, canvas.width) for y in (top, bottom)])
        rays = corners @ np.linalg.inv(view.intrinsics).T @ view.rotation.T
        depth = np.array([min(view.ground_depth(y), _FAR_M) for _ in range(2) for y in (top, bottom)])
        ahead = view.position[0] + rays[:, 0] * depth
        rows_per_m, columns_per_m = LEVELS[level]
        margin = 2.0 / rows_per_m + 0.5
        color, classes, end = self._strip(level, float(ahead.min()) - margin, float(ahead.max()) + margin)
        for picture, per_m, target, flag in (
            (color, columns_per_m, canvas.color, cv2.INTER_LINEAR),
            (classes, LEVELS[0][1], canvas.classes, cv2.INTER_NEAREST),
        ):  # fmt: skip
            origin = np.array([end - 0.5 / rows_per_m, HALF_WIDTH_M - 0.5 / per_m, 0.0])
            plane = view.plane(origin, np.array([0.0, -1.0 / per_m, 0.0]), np.array([-1.0 / rows_per_m, 0.0, 0.0]))
            matrix = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1]], np.float64) @ plane
            size = (canvas.width, bottom - top)
            target[top:bottom] = cv2.warpPerspective(picture, matrix, size, flags=flag, borderMode=cv2.BORDER_REPLICATE)

    def _strip(self, level: int, x0: float, x1: float) -> tuple[U8, U8, float]:
        """Return texture and labels of the street from about x0 to x1, and the distance of their far edge."""
        rows_per_m = LEVELS[level][0]
        first, last = math.floor(x0 / BLOCK_M), math.floor(x1 / BLOCK_M)
        total = round(BLOCK_M * rows_per_m)
        colors, labels = [], []
        skipped = max(0, math.floor(((last + 1) * BLOCK_M - x1) * rows_per_m))
        for index in range(last, first - 1, -1):
            block = self.block(index)
            cut = skipped if index == last else 0
            stop = min(total, math.ceil(((index + 1) * BLOCK_M - x0) * rows_per_m)) if index == first else total
            colors.append(block.colors[level][cut:stop])
            labels.append(block.classes[level][cut:stop])
        end = (last + 1) * BLOCK_M - skipped / rows_per_m
        if len(colors) == 1:
            return colors[0], labels[0], end
        return np.concatenate(colors), np.concatenate(labels), end
