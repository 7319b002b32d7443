"""Ground texture and labels of one street block: road, markings, kerbs, pavement and verges.

Texture rows run down the street (row 0 is the far end), columns from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.street.layout import BLOCK_M, FRONT_Y, JUNCTION_M, KERB_Y, LANE_Y, PAVEMENT_Y, Block, StreetStyle
from cmt_seg_ros.street.light import Light
from cmt_seg_ros.street.noise import F32, fractal_noise, rng_of, to_u8
from cmt_seg_ros.structures import U8

PPM = 28
"""Texels a metre of the finest level, along and across."""
HALF_WIDTH_M = 13.0
ROWS, COLUMNS = int(BLOCK_M * PPM), int(2 * HALF_WIDTH_M * PPM)
_LIGHT_PPM = PPM // 4
# (rows a metre, columns a metre) a level: the ground is seen at a grazing angle, rows shrink faster.
LEVELS: tuple[tuple[float, float], ...] = ((PPM, PPM), (7, PPM), (2, PPM / 2), (0.5, PPM / 4))

_ROAD, _PAVEMENT, _TREE = CAMVID.names.index("Road"), CAMVID.names.index("Pavement"), CAMVID.names.index("Tree")


@dataclass(frozen=True, eq=False)
class GroundBlock:
    """One block of the ground.

    Attributes:
        colors: levels, finest first, (h, w, 3) uint8.
        classes: levels, (h, w) uint8 class ids.
        sunlit: (h, w) float32 at ``_LIGHT_PPM``, share of direct sun, 0-1.
    """

    colors: tuple[U8, ...]
    classes: tuple[U8, ...]
    sunlit: F32

    def sunlit_at(self, x: float, y: float) -> float:
        """Return the share of direct sun at ``x`` metres into the block and ``y`` from the middle of the road."""
        row = min(max(int((BLOCK_M - x) * _LIGHT_PPM), 0), self.sunlit.shape[0] - 1)
        column = min(max(int((HALF_WIDTH_M - y) * _LIGHT_PPM), 0), self.sunlit.shape[1] - 1)
        return float(self.sunlit[row, column])


def _column(y: float) -> int:
    return round((HALF_WIDTH_M - y) * PPM)


def _row(x: float) -> int:
    """Return the row of a distance from the start of the block."""
    return round((BLOCK_M - x) * PPM)


_ROAD_COLUMNS = slice(_column(KERB_Y), _column(-KERB_Y))


class GroundMaker:
    """Makes the blocks of one street; keeps the tiles they have in common."""

    def __init__(self, seed: int, style: StreetStyle, light: Light) -> None:
        self.seed, self.style, self.light = seed, style, light
        rng = rng_of(seed, 31)
        self._grit = rng.normal(0, 1, (ROWS, COLUMNS)).astype(np.float32)
        fine = cv2.GaussianBlur(self._grit, (0, 0), 1.1)
        self._grit = 7.0 * self._grit + 22.0 * fine
        self._slabs = self._slab_pattern(rng)

    def _slab_pattern(self, rng: np.random.Generator) -> F32:
        """Make the (ROWS, COLUMNS) float32 additive pattern of the paving: a shade a slab, dark joints."""
        h, w = round(self.style.slab_m[0] * PPM), round(self.style.slab_m[1] * PPM)
        rows, cols = np.arange(ROWS)[:, None], np.arange(COLUMNS)[None, :]
        course = rows // h
        shifted = cols + (course % 2) * (w // 2)
        shades = rng.normal(0, 5.0, (ROWS // h + 1, (COLUMNS + w) // w + 1)).astype(np.float32)
        pattern = shades[course, shifted // w]
        joints = ((rows % h) < 1) | ((shifted % w) < 1)
        return np.where(joints, pattern - 26.0, pattern).astype(np.float32)

    def make(self, block: Block) -> GroundBlock:
        """Make texture and labels of a block, with light and the cast shadows of standing things."""
        rng = rng_of(self.seed, 37, block.index + 1_000_000)
        classes = self._classes(block)
        color = self._surfaces(rng, classes)
        self._wear(rng, color, classes, block)
        self._markings(rng, color, block)
        self._kerbs(color, block)
        self._street_iron(rng, color)
        dark = self._cast_shadows(rng, block)
        color *= self._shade(dark)[..., None]
        color *= (self.light.gain((0.0, 0.0, 1.0)) / np.mean(self.light.gain((0.0, 0.0, 1.0)))).astype(np.float32)
        sunlit = 1.0 - cv2.blur(dark, (2 * _LIGHT_PPM // 2 + 1, 2 * _LIGHT_PPM // 2 + 1))
        return self._levels(to_u8(color), classes, sunlit.astype(np.float32))

    def _classes(self, block: Block) -> U8:
        classes = np.full((ROWS, COLUMNS), _PAVEMENT, np.uint8)
        classes[:, _ROAD_COLUMNS] = _ROAD
        if block.junction:
            classes[_row(JUNCTION_M) : _row(0)] = _ROAD
        for lot in block.lots:
            if lot.kind != "building" or lot.front_y > FRONT_Y + 0.5:
                rows = slice(_row(lot.x1 - block.x0), _row(lot.x0 - block.x0))
                inner, outer = _column(lot.side * PAVEMENT_Y), _column(lot.side * HALF_WIDTH_M)
                classes[rows, min(inner, outer) : max(inner, outer)] = _TREE
        return classes

    def _surfaces(self, rng: np.random.Generator, classes: U8) -> F32:
        grit = np.roll(self._grit, (int(rng.integers(ROWS)), int(rng.integers(COLUMNS))), (0, 1))[..., None]
        color = np.asarray(self.style.asphalt, np.float32) + grit
        pavement, leaf = np.asarray(self.style.pavement, np.float32), np.asarray(self.light.leaf, np.float32)
        for part in (slice(0, _ROAD_COLUMNS.start), slice(_ROAD_COLUMNS.stop, COLUMNS)):
            paved = pavement + (self._slabs[:, part, None] + 0.45 * grit[:, part])
            np.copyto(color[:, part], paved, where=(classes[:, part] == _PAVEMENT)[..., None])
        for part in (slice(0, _column(PAVEMENT_Y) + 1), slice(_column(-PAVEMENT_Y) - 1, COLUMNS)):
            grass = leaf * (1.0 + 0.022 * grit[:, part])
            np.copyto(color[:, part], grass, where=(classes[:, part] == _TREE)[..., None])
        return color

    def _wear(self, rng: np.random.Generator, color: F32, classes: U8, block: Block) -> None:
        """Add blotches, wheel tracks, oil, repaired patches and cracks."""
        small = fractal_noise(rng, (ROWS // 4, COLUMNS // 4), (10, 6), 4)
        color *= 1.0 + 0.085 * cv2.resize(small, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)[..., None]
        y = HALF_WIDTH_M - (np.arange(COLUMNS) + 0.5) / PPM
        tracks = np.zeros(COLUMNS, np.float32)
        for lane in (-LANE_Y, LANE_Y):
            for offset, strength in ((-0.75, 0.07), (0.75, 0.07), (0.0, -0.06)):
                tracks += strength * np.exp(-(((y - lane - offset) / 0.28) ** 2)).astype(np.float32)
        tracks -= 0.10 * np.exp(-(((np.abs(y) - KERB_Y + 0.25) / 0.35) ** 2)).astype(np.float32)
        road = (classes == _ROAD).astype(np.float32)
        color *= (1.0 + road * tracks[None, :])[..., None]
        for _ in range(int(rng.integers(2, 5))):
            self._patch(rng, color)
        for _ in range(int(rng.integers(5, 10))):
            self._crack(rng, color)

    def _patch(self, rng: np.random.Generator, color: F32) -> None:
        x, y = rng.uniform(12, BLOCK_M - 4), rng.uniform(-KERB_Y + 0.4, KERB_Y - 2)
        length, width = rng.uniform(0.8, 6.0), rng.uniform(0.6, 1.6)
        rows, cols = slice(_row(x + length), _row(x)), slice(_column(y + width), _column(y))
        color[rows, cols] *= float(rng.choice([0.78, 0.86, 1.1]))
        cv2.rectangle(color, (cols.start, max(0, rows.start)), (cols.stop, rows.stop), (38, 38, 38), 1, cv2.LINE_AA)

    def _crack(self, rng: np.random.Generator, color: F32) -> None:
        count = int(rng.integers(12, 40))
        heading = rng.uniform(0, np.pi)
        turns = heading + np.cumsum(rng.normal(0, 0.35, count))
        start = np.array([_column(rng.uniform(-KERB_Y, KERB_Y)), rng.uniform(0, ROWS)])
        steps = np.stack([np.cos(turns), np.sin(turns)], 1) * rng.uniform(3, 7, (count, 1))
        points = np.rint(start + np.cumsum(steps, 0)).astype(np.int32)
        points[:, 0] = np.clip(points[:, 0], _column(KERB_Y), _column(-KERB_Y))
        cv2.polylines(color, [points], False, (40, 42, 44), 1, cv2.LINE_AA)

    def _markings(self, rng: np.random.Generator, color: F32, block: Block) -> None:
        """Paint lane marks, edge lines, parking bays, crossings and stop lines in worn paint."""
        paint = np.zeros((ROWS, COLUMNS), np.float32)
        start = JUNCTION_M + 4.4 if block.junction else 0.0

        def bar(x0: float, x1: float, y0: float, y1: float) -> None:
            paint[_row(x1) : _row(x0), _column(max(y0, y1)) : _column(min(y0, y1))] = 1.0

        for dash in np.arange(0.0, BLOCK_M, 6.0).tolist():
            if dash + 0.1 >= start:
                bar(dash, dash + 3.0, -0.06, 0.06)
        for side in (-1.0, 1.0):
            if self.style.edge_lines:
                for dash in np.arange(0.0, BLOCK_M, 2.0).tolist():
                    if dash >= start:
                        bar(dash, dash + 1.0, side * 3.16, side * 3.26)
            for bay in np.arange(start + 1.5, BLOCK_M - 1.0, 5.6).tolist():
                bar(bay, bay + 0.09, side * 3.2, side * KERB_Y)
        if block.junction:
            for stripe in np.arange(-KERB_Y + 0.3, KERB_Y - 0.4, 1.0).tolist():
                bar(JUNCTION_M + 0.6, JUNCTION_M + 3.4, stripe, stripe + 0.5)
            bar(JUNCTION_M + 4.0, JUNCTION_M + 4.3, 0.1 * self.style.hand, 3.2 * self.style.hand * -1.0)
        fresh = paint[:, _ROAD_COLUMNS]
        worn = fractal_noise(rng, (ROWS // 2, fresh.shape[1] // 2), (120, 25), 3)
        worn = np.asarray(cv2.resize(worn, fresh.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        faded = fresh * np.clip(0.88 - 0.55 * np.maximum(0, worn - 0.15), 0.15, 0.9)
        road = color[:, _ROAD_COLUMNS]
        road += cv2.GaussianBlur(faded, (3, 3), 0)[..., None] * (np.asarray((206, 212, 214), np.float32) - road)

    def _kerbs(self, color: F32, block: Block) -> None:
        stop = _row(JUNCTION_M if block.junction else 0.0)
        for side in (-1.0, 1.0):
            inner, outer = sorted((_column(side * KERB_Y), _column(side * (KERB_Y + 0.17))))
            color[:stop, inner:outer] = (
                np.asarray(self.style.kerb, np.float32) + 0.4 * self._grit[:stop, inner:outer, None]
            )
            for joint in range(0, stop, PPM):
                color[joint : joint + 1, inner:outer] -= 35
            gutter = sorted((_column(side * KERB_Y), _column(side * (KERB_Y - 0.09))))
            color[:stop, gutter[0] : gutter[1]] *= 0.62

    def _street_iron(self, rng: np.random.Generator, color: F32) -> None:
        """Add manhole covers and gutter drains."""
        for _ in range(int(rng.integers(2, 4))):
            centre = (_column(rng.uniform(-2.8, 2.8)), int(rng.uniform(20, ROWS - 20)))
            cv2.circle(color, centre, 12, (52, 54, 56), -1, cv2.LINE_AA)
            cv2.circle(color, centre, 12, (34, 34, 34), 1, cv2.LINE_AA)
            for offset in range(-8, 9, 4):
                cv2.line(
                    color, (centre[0] + offset, centre[1] - 7), (centre[0] + offset, centre[1] + 7), (78, 80, 82), 1
                )
        for side in (-1, 1):
            column = _column(side * (KERB_Y - 0.25))
            row = int(rng.uniform(40, ROWS // 2))
            cv2.rectangle(color, (column - 6, row), (column + 6, row + 14), (40, 40, 42), -1)
            for offset in range(2, 14, 3):
                cv2.line(color, (column - 5, row + offset), (column + 5, row + offset), (86, 88, 90), 1)

    def _cast_shadows(self, rng: np.random.Generator, block: Block) -> F32:
        """Return (rows, columns) float32 at ``_LIGHT_PPM``, 1 where things on the street block the sun."""
        step = PPM // _LIGHT_PPM
        dark = np.zeros((ROWS // step, COLUMNS // step), np.float32)
        shift_x, shift_y = self.light.shadow_shift

        def pixel(x: float, y: float) -> tuple[int, int]:
            return round((HALF_WIDTH_M - y) * PPM / step), round((BLOCK_M - (x - block.x0)) * PPM / step)

        for lot in block.shadow_lots:
            h = lot.height if lot.kind == "building" else 1.3
            y = lot.side * (lot.front_y if lot.kind == "building" else PAVEMENT_Y)
            shifted = y + shift_y * h
            corners = [(lot.x0, y), (lot.x1, y), (lot.x1 + shift_x * h, shifted), (lot.x0 + shift_x * h, shifted)]
            corners[:2] = (
                [(lot.x0, y + lot.side * 8), (lot.x1, y + lot.side * 8)] if shift_y * lot.side > 0 else corners[:2]
            )
            cv2.fillPoly(dark, [np.array([pixel(*c) for c in corners], np.int32)], 1.0)
        for tree in block.shadow_trees:
            for _ in range(130):
                height = tree.height * rng.uniform(0.35, 0.98)
                spread = tree.height * 0.19
                at = (
                    tree.x + shift_x * height + rng.normal(0, spread),
                    tree.y + shift_y * height + rng.normal(0, spread),
                )
                cv2.circle(dark, pixel(*at), int(rng.integers(1, 4)), 1.0, -1)
            cv2.line(
                dark,
                pixel(tree.x, tree.y),
                pixel(tree.x + shift_x * tree.height * 0.5, tree.y + shift_y * tree.height * 0.5),
                1.0,
                2,
            )
        for pole in block.shadow_poles:
            cv2.line(
                dark,
                pixel(pole.x, pole.y),
                pixel(pole.x + shift_x * pole.height, pole.y + shift_y * pole.height),
                0.9,
                1,
            )
        return np.asarray(cv2.GaussianBlur(dark, (0, 0), 0.8), np.float32)

    def _shade(self, dark: F32) -> F32:
        """Return the (ROWS, COLUMNS) float32 light left under the cast shadows and near walls."""
        dark = cv2.resize(dark, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
        shade = 1.0 - (1.0 - self.light.shadow) * np.clip(dark, 0, 1)
        y = np.abs(HALF_WIDTH_M - (np.arange(COLUMNS) + 0.5) / PPM)
        shade *= (1.0 - 0.25 * np.exp(-(np.maximum(0, FRONT_Y - y) / 0.7))).astype(np.float32)[None, :]
        return shade.astype(np.float32)

    def _levels(self, color: U8, classes: U8, sunlit: F32) -> GroundBlock:
        colors, labels = [], []
        for rows, cols in LEVELS:
            size = (round(2 * HALF_WIDTH_M * cols), round(BLOCK_M * rows))
            colors.append(cv2.resize(color, size, interpolation=cv2.INTER_AREA).astype(np.uint8))
            labels.append(cv2.resize(classes, (COLUMNS, size[1]), interpolation=cv2.INTER_NEAREST).astype(np.uint8))
        return GroundBlock(tuple(colors), tuple(labels), sunlit)
