"""Lots along the street, drawn: building fronts, end walls and roofs, fences of gardens."""

from __future__ import annotations

import math

import numpy as np

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.street.camera import View
from cmt_seg_ros.street.canvas import Canvas
from cmt_seg_ros.street.facades import PPM, Building
from cmt_seg_ros.street.layout import PAVEMENT_Y, Lot
from cmt_seg_ros.street.light import Shader
from cmt_seg_ros.structures import F64, U8

_BUILDING, _FENCE = CAMVID.names.index("Building"), CAMVID.names.index("Fence")
_NEAR_M = 4.0
"""Walls are cut this far ahead of the camera; what is nearer lies outside the picture."""
_PLAIN_M = 85.0
"""From this depth a wall is a few pixels wide and gets its mean colour only."""
_WALL_DEPTH_M, _EAVES_M, _RIDGE_M, _RIDGE_Y = 9.0, 0.25, 3.2, 4.5
_FENCE_M, _PANEL_M = 1.5, 6.0

Corner = tuple[float, float, float]


class LotPainter:
    """Draws lots with the pictures of one street.

    Args:
        buildings: designs the lots refer to.
        fences: mip chains of (h, w, 4) uint8.
        shader: light and haze.
    """

    def __init__(self, buildings: list[Building], fences: list[list[U8]], shader: Shader) -> None:
        self._buildings, self._fences, self._shader = buildings, fences, shader

    def draw_buildings(self, view: View, canvas: Canvas, lots: list[Lot]) -> None:
        """Draw the buildings among the lots of one side, given farthest first."""
        near = float(view.position[0]) + _NEAR_M
        for i, lot in enumerate(lots):
            if lot.kind != "building" or lot.x1 <= near:
                continue
            nearer = lots[i + 1] if i + 1 < len(lots) else None
            hidden = (
                nearer is not None and nearer.kind == "building" and abs(nearer.x1 - lot.x0) < 0.1
                and nearer.front_y <= lot.front_y and nearer.height >= lot.height
            )  # fmt: skip
            if lot.x0 > near and not hidden:
                self._end(view, canvas, lot)
            if self._roof_seen(view, lot):
                self._roof(view, canvas, lot, max(lot.x0, near))
            self._front(view, canvas, lot, near)

    def draw_fences(self, view: View, canvas: Canvas, lots: list[Lot]) -> None:
        """Draw the fences along the pavement, farthest first."""
        near = float(view.position[0]) + _NEAR_M
        for lot in lots:
            if lot.kind == "building" and lot.front_y < PAVEMENT_Y + 1.0:
                continue
            far = lot.x0 - view.position[0] > 60.0
            panels = 1 if far else max(1, round((lot.x1 - lot.x0) / _PANEL_M))
            y, step = lot.side * PAVEMENT_Y, (lot.x1 - lot.x0) / panels
            for i in range(panels - 1, -1, -1):
                x0 = lot.x0 + i * step
                if x0 > near:
                    a, b = (x0, x0 + step) if lot.side > 0 else (x0 + step, x0)
                    mips = self._fences[lot.fence % len(self._fences)]
                    surface = "right" if lot.side < 0 else "left"
                    self._wall(view, canvas, mips, (a, y, _FENCE_M), (b, y, _FENCE_M), (a, y, 0.0), surface, x0, _FENCE)

    def _front(self, view: View, canvas: Canvas, lot: Lot, near: float) -> None:
        mips, x0 = self._buildings[lot.design].front, lot.x0
        if x0 < near:
            # Cut off what is beside and behind the camera: it cannot be projected.
            columns = mips[0].shape[1]
            cut = min(columns - 4, math.floor((near - x0) / (lot.x1 - x0) * columns))
            mips = [mips[0][:, cut:] if lot.side > 0 else mips[0][:, : columns - cut]]
            x0 += (lot.x1 - x0) * cut / columns
        y, h = lot.side * lot.front_y, lot.height
        a, b = (x0, lot.x1) if lot.side > 0 else (lot.x1, x0)
        surface = "right" if lot.side < 0 else "left"
        self._wall(view, canvas, mips, (a, y, h), (b, y, h), (a, y, 0.0), surface, x0, _BUILDING)

    def _end(self, view: View, canvas: Canvas, lot: Lot) -> None:
        """Draw the wall across the street's direction that faces the camera, with its gable."""
        design = self._buildings[lot.design]
        y, back = lot.side * lot.front_y, lot.side * (lot.front_y + _WALL_DEPTH_M)
        a, b = (back, y) if lot.side > 0 else (y, back)
        top, x, h = (lot.x0, a, lot.height), lot.x0, lot.height
        if design.roof is not None:
            ridge = lot.side * (lot.front_y + _RIDGE_Y)
            gable = [(x, y, h - 0.1), (x, ridge, h + _RIDGE_M), (x, back, h - 0.1)]
            self._plain(view, canvas, gable, design.tone, "end", x, _BUILDING)
        self._wall(view, canvas, design.end, top, (x, b, h), (x, a, 0.0), "end", x, _BUILDING)

    def _roof_seen(self, view: View, lot: Lot) -> bool:
        """Return whether the camera looks at the slope from above its plane."""
        if self._buildings[lot.design].roof is None:
            return False
        aside = abs(lot.side * (lot.front_y - _EAVES_M) - float(view.position[1]))
        return (lot.height - float(view.position[2])) / aside < _RIDGE_M / (_RIDGE_Y + _EAVES_M)

    def _roof(self, view: View, canvas: Canvas, lot: Lot, x0: float) -> None:
        roof = self._buildings[lot.design].roof
        assert roof is not None
        y, ridge, h = lot.side * (lot.front_y - _EAVES_M), lot.side * (lot.front_y + _RIDGE_Y), lot.height
        a, b = (x0, lot.x1) if lot.side > 0 else (lot.x1, x0)
        surface = "right roof" if lot.side < 0 else "left roof"
        self._wall(
            view,
            canvas,
            roof,
            (a, ridge, h + _RIDGE_M),
            (b, ridge, h + _RIDGE_M),
            (a, y, h - 0.1),
            surface,
            x0,
            _BUILDING,
        )

    def _wall(
        self, view: View, canvas: Canvas, mips: list[U8], left: Corner, right: Corner, low: Corner,
        surface: str, x: float, class_id: int,
    ) -> None:  # fmt: skip
        """Draw a picture over the parallelogram of its top left, top right and bottom left corners."""
        depth = x - float(view.position[0])
        far = (right[0] + low[0] - left[0], right[1] + low[1] - left[1], right[2] + low[2] - left[2])
        if depth > _PLAIN_M:
            tone = mips[-1][..., :3].mean((0, 1))
            self._plain(view, canvas, [left, right, far, low], tone, surface, x, class_id)
            return
        outline = np.array([view.pixel(*corner)[:2] for corner in (left, right, far, low)])
        box = view.clip(outline.min(0), outline.max(0))
        if box is None:
            return
        h, w = mips[0].shape[:2]
        origin = np.asarray(left)
        across, down = (np.asarray(right) - origin) / w, (np.asarray(low) - origin) / h
        # Along the street a front is foreshortened by depth over distance aside; take the mean of both directions.
        squeeze = math.sqrt(max(1.0, depth / 9.0)) if surface != "end" else 1.0
        texels = PPM * max(depth, 8.0) / view.focal * squeeze
        level = min(len(mips) - 1, max(0, math.floor(math.log2(texels) + 0.2)))
        plane = view.plane(origin + (across + down) / 2, across, down)
        canvas.quad(mips, level, plane, outline, box, self._shader.table(surface, depth), class_id)

    def _plain(
        self, view: View, canvas: Canvas, corners: list[Corner], tone: F64, surface: str, x: float, class_id: int
    ) -> None:
        table = self._shader.table(surface, x - float(view.position[0]))
        color = tuple(int(table[int(tone[i]), 0, i]) for i in range(3))
        outline = np.array([view.pixel(*corner)[:2] for corner in corners])
        canvas.polygon(outline, (color[0], color[1], color[2]), class_id)
