"""Pictures of building fronts, end walls, roofs and fences, drawn by rules from a seed.

All are flat colour (lit later by one look-up table), 28 texels a metre.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.street.noise import F32, Color, fractal_noise, mip_chain, rng_of, solid, to_u8
from cmt_seg_ros.structures import U8

PPM = 28
STOREY_M = 3.0
_WALLS: tuple[tuple[str, Color], ...] = (
    ("brick", (72, 84, 142)), ("brick", (86, 108, 158)), ("brick", (104, 132, 160)), ("plaster", (196, 212, 220)),
    ("plaster", (160, 190, 214)), ("plaster", (172, 178, 178)), ("plaster", (150, 172, 206)),
    ("stone", (148, 164, 174)),
    ("plaster", (190, 190, 168)), ("brick", (62, 70, 112)), ("stone", (164, 174, 178)), ("plaster", (176, 200, 190)),
)  # fmt: skip
_FRAMES: tuple[Color, ...] = ((226, 230, 232), (232, 236, 236), (52, 52, 56), (58, 74, 92), (74, 84, 70))
_SHOPS: tuple[Color, ...] = ((52, 62, 150), (110, 78, 40), (62, 104, 58), (44, 44, 48), (60, 130, 190), (120, 92, 96))


@dataclass(frozen=True, eq=False)
class Building:
    """A design of a building.

    Attributes:
        width, height: metres.
        front, end: mip chains of the front and of a side wall.
        roof: mip chain of the roof's slope, None = flat.
        tone: (3,) mean colour of the wall.
    """

    width: float
    height: float
    front: list[U8]
    end: list[U8]
    roof: list[U8] | None
    tone: npt.NDArray[np.float64]


def make_buildings(seed: int, count: int = 14) -> list[Building]:
    """The designs of a street."""
    return [_make_building(rng_of(seed, 61, i)) for i in range(count)]


def _make_building(rng: np.random.Generator) -> Building:
    width = float(rng.uniform(6.5, 13.0))
    floors = int(rng.choice([2, 2, 3, 3, 4]))
    height = floors * STOREY_M + 0.9
    kind, base = _WALLS[int(rng.integers(len(_WALLS)))]
    base = tuple(float(c * rng.uniform(0.9, 1.08)) for c in base)  # type: ignore[assignment]
    wall = _wall(rng, kind, base, (round(height * PPM), round(width * PPM)))
    side = _wall(rng, kind, base, (round(height * PPM), round(9 * PPM))) * np.float32(0.95)
    _Front(rng, side, floors).draw_end()
    end = to_u8(side)
    _Front(rng, wall, floors).draw()
    roof = mip_chain(_roof(rng)) if rng.random() < 0.7 else None
    return Building(width, height, mip_chain(to_u8(wall)), mip_chain(end), roof, end.reshape(-1, 3).mean(0))


def _wall(rng: np.random.Generator, kind: str, base: Color, shape: tuple[int, int]) -> F32:
    """Bare wall of brick, ashlar or plaster with stains."""
    h, w = shape
    wall = solid(shape, base)
    if kind != "plaster":
        course, unit = (3, 8) if kind == "brick" else (11, 22)
        rows, cols = np.arange(h)[:, None], np.arange(w)[None, :]
        shifted = cols + (rows // course % 2) * (unit // 2)
        shades = rng.normal(0, 0.085 if kind == "brick" else 0.045, (h // course + 1, w // unit + 2))
        wall *= (1.0 + shades[rows // course, shifted // unit])[..., None].astype(np.float32)
        joints = (rows % course == 0) | (shifted % unit == 0)
        wall[joints] += (np.asarray((150, 156, 160), np.float32) - wall[joints]) * (0.35 if kind == "brick" else -0.22)
    grain = fractal_noise(rng, shape, (h / 6, w / 6), 2)
    stain = fractal_noise(rng, shape, (h / 90, w / 60), 4)
    wall *= (1.0 + 0.035 * grain + 0.06 * stain)[..., None]
    # Splash water darkens the foot, rain the top.
    y = np.arange(h, dtype=np.float32)[:, None]
    dirt = 0.22 * np.exp(-(h - y) / 16) + 0.12 * np.exp(-y / 12)
    wall *= (1.0 - dirt * (0.8 + 0.4 * np.clip(stain, -1, 1)))[..., None]
    return wall


def _roof(rng: np.random.Generator) -> U8:
    """(64, 256, 3) courses of tiles or slates."""
    bases: tuple[Color, ...] = ((66, 78, 132), (84, 84, 88), (58, 66, 104), (70, 74, 82))
    shape = (64, 256)
    roof = solid(shape, bases[int(rng.integers(len(bases)))])
    rows, cols = np.arange(64)[:, None], np.arange(256)[None, :]
    roof *= (1.0 + rng.normal(0, 0.10, (13, 45)))[rows // 5, (cols + rows // 5 % 2 * 3) // 6][..., None].astype(
        np.float32
    )
    roof[(rows % 5 == 0).repeat(256, 1)] *= 0.72
    roof *= (1.0 + 0.08 * fractal_noise(rng, shape, (4, 10), 3))[..., None]
    roof[:3] *= 0.7
    return to_u8(roof)


class _Front:
    """Draws the openings of one front into its wall."""

    def __init__(self, rng: np.random.Generator, wall: F32, floors: int) -> None:
        self.rng, self.wall, self.floors = rng, wall, floors
        self.h, self.w = wall.shape[:2]
        self.frame = _FRAMES[int(rng.integers(len(_FRAMES)))]
        self.trim = float(rng.uniform(1.1, 1.3))
        self.bay = float(rng.uniform(2.0, 2.9))
        self.shop = bool(rng.random() < 0.45)
        self.window = (float(rng.uniform(0.9, 1.35)), float(rng.uniform(1.35, 1.75)))
        self.divisions = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        self.balcony = bool(rng.random() < 0.25)
        self.shutters = bool(rng.random() < 0.2)
        self.arch = bool(rng.random() < 0.2)

    def draw(self) -> None:
        """Cornice, string courses, windows of the upper floors, then the ground floor."""
        self._band(0, 8, self.trim * 0.95, drop=5)
        bays = max(2, int(self.w / PPM / self.bay))
        pitch = self.w / bays
        for floor in range(1, self.floors):
            bottom = self.h - floor * STOREY_M * PPM
            if self.rng.random() < 0.5:
                self._band(bottom + 2, 5, self.trim, drop=2)
            for bay in range(bays):
                self._window((bay + 0.5) * pitch, bottom - 0.85 * PPM, *self.window)
        if self.shop:
            self._shop_front()
        else:
            self._ground_floor(bays, pitch)
        self._down_pipe()

    def draw_end(self) -> None:
        """A few windows in an end wall."""
        for floor in range(self.floors):
            for share in (0.3, 0.7):
                if self.rng.random() < 0.45:
                    self._window(share * self.w, self.h - (floor * STOREY_M + 0.9) * PPM, 0.8, 1.2)

    def _rect(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        if x1 > x0 and y1 > y0:
            self.wall[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] = color

    def _tone(self, x0: float, y0: float, x1: float, y1: float, factor: float) -> None:
        self.wall[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))] *= factor

    def _band(self, y: float, height: float, factor: float, drop: float) -> None:
        self._tone(0, y, self.w, y + height, factor)
        self._tone(0, y + height, self.w, y + height + drop, 0.62)

    def _glass(self, x0: float, y0: float, x1: float, y1: float, dark: float) -> None:
        """A pane: the room's dark, the sky above reflected in its upper part, maybe a curtain."""
        ix0, ix1, iy0, iy1 = round(x0), round(x1), max(0, round(y0)), max(0, round(y1))
        if ix1 - ix0 < 2 or iy1 - iy0 < 2:
            return
        yy = np.linspace(0, 1, iy1 - iy0, dtype=np.float32)[:, None]
        xx = np.linspace(0, 1, ix1 - ix0, dtype=np.float32)[None, :]
        slope, at = self.rng.uniform(-0.5, 0.5), self.rng.uniform(0.3, 0.8)
        sheen = np.clip((at - yy + slope * (xx - 0.5)) * 3.0, 0, 1) * self.rng.uniform(0.35, 0.85)
        room = np.asarray((46, 42, 38), np.float32) * dark
        sky = np.asarray((206, 190, 170), np.float32)
        pane = room + sheen[..., None] * (sky - room) * 0.75
        pick = self.rng.random()
        if pick < 0.3:
            edge = 0.24 * self.rng.uniform(0.6, 1.3)
            folds = 0.9 + 0.1 * np.sin(xx * 40)
            curtain = np.where((xx < edge) | (xx > 1 - edge), 0.65, 0.0)[..., None]
            pane = pane + curtain * (folds[..., None] * np.asarray((170, 180, 184), np.float32) - pane)
        elif pick < 0.42:
            blind = np.where(yy < self.rng.uniform(0.3, 0.7), 0.8, 0.0)[..., None]
            pane = pane + blind * (np.asarray((176, 184, 188), np.float32) - pane)
        self.wall[iy0:iy1, ix0:ix1] = pane[:, : self.wall.shape[1] - ix0][: self.wall.shape[0] - iy0]

    def _window(self, centre: float, bottom: float, width_m: float, height_m: float) -> None:
        w, h = width_m * PPM, height_m * PPM
        x0, x1, y0, y1 = centre - w / 2, centre + w / 2, bottom - h, bottom
        if self.shutters:
            for left, right in ((x0 - w * 0.45, x0 - 2), (x1 + 2, x1 + w * 0.45)):
                self._rect(left, y0, right, y1, (92, 104, 78))
                for row in np.arange(y0 + 2, y1, 4).tolist():
                    self._tone(left + 1, row, right - 1, row + 1, 0.7)
        else:
            self._tone(x0 - 4, y0 - 6, x1 + 4, y0, self.trim)
        self._rect(x0 - 2, y0 - 1, x1 + 2, y1 + 1, tuple(c * 0.55 for c in self.frame))  # type: ignore[arg-type]
        self._rect(x0, y0 + 2, x1, y1, self.frame)
        nx, ny = self.divisions
        dark = float(self.rng.uniform(0.6, 1.3))
        for i in range(nx):
            for j in range(ny):
                gx, gy = (w - 4) / nx, (h - 6) / ny
                left, top = x0 + 3 + i * gx, y0 + 4 + j * gy
                self._glass(left, top, left + gx - 2, top + gy - 2, dark)
        self._tone(x0 + 2, y0 + 2, x1 - 2, y0 + 6, 0.6)
        self._rect(x0 - 4, y1, x1 + 4, y1 + 3, (190, 194, 196))
        self._tone(x0 - 3, y1 + 3, x1 + 3, y1 + 7, 0.66)
        if self.balcony and self.rng.random() < 0.6:
            self._balcony(x0, x1, y1)

    def _balcony(self, x0: float, x1: float, y1: float) -> None:
        self._rect(x0 - 9, y1 + 1, x1 + 9, y1 + 5, (150, 152, 154))
        self._tone(x0 - 8, y1 + 5, x1 + 8, y1 + 14, 0.6)
        for x in np.arange(x0 - 8, x1 + 8, 4).tolist():
            self._rect(x, y1 - 26, x + 1, y1 + 1, (46, 46, 48))
        self._rect(x0 - 9, y1 - 28, x1 + 9, y1 - 26, (40, 40, 42))

    def _ground_floor(self, bays: int, pitch: float) -> None:
        door_bay = int(self.rng.integers(bays))
        for bay in range(bays):
            if bay == door_bay:
                self._door((bay + 0.5) * pitch)
            else:
                self._window((bay + 0.5) * pitch, self.h - 0.95 * PPM, self.window[0], min(self.window[1], 1.5))
        self._tone(0, self.h - 0.45 * PPM, self.w, self.h, 0.72)

    def _door(self, centre: float) -> None:
        colors: tuple[Color, ...] = ((48, 40, 108), (86, 58, 34), (56, 84, 48), (40, 40, 44), (58, 78, 112))
        color = colors[int(self.rng.integers(len(colors)))]
        w, h = 1.0 * PPM, 2.15 * PPM
        x0, x1, y0 = centre - w / 2, centre + w / 2, self.h - h
        self._rect(x0 - 5, y0 - 14, x1 + 5, self.h, tuple(c * 0.9 for c in self.frame))  # type: ignore[arg-type]
        self._glass(x0, y0 - 10, x1, y0 - 2, 0.8)
        self._rect(x0, y0, x1, self.h, color)
        for px in (x0 + 4, centre + 2):
            for top, bottom in ((y0 + 5, y0 + 24), (y0 + 30, self.h - 6)):
                self._tone(px, top, px + w / 2 - 6, bottom, 0.75)
                self._tone(px + 1, top + 1, px + w / 2 - 7, bottom - 1, 1.2)
        self._rect(x1 - 5, y0 + 27, x1 - 3, y0 + 30, (120, 190, 210))
        self._rect(x0 - 7, self.h - 4, x1 + 7, self.h, (150, 154, 158))

    def _shop_front(self) -> None:
        """Big panes with goods behind, a sign board with lettering, perhaps an awning."""
        color = _SHOPS[int(self.rng.integers(len(_SHOPS)))]
        top = self.h - STOREY_M * PPM + 6
        self._rect(3, top, self.w - 3, self.h, tuple(c * 0.8 for c in color))  # type: ignore[arg-type]
        panes = max(2, round(self.w / PPM / 2.2))
        door = int(self.rng.integers(panes))
        for i in range(panes):
            x0, x1 = 3 + i * (self.w - 6) / panes + 4, 3 + (i + 1) * (self.w - 6) / panes - 4
            foot = self.h - (3 if i == door else 15)
            self._glass(x0, top + 24, x1, foot, 1.1)
            if i == door:
                self._rect((x0 + x1) / 2 - 1, top + 24, (x0 + x1) / 2 + 1, foot, tuple(c * 0.7 for c in color))  # type: ignore[arg-type]
                continue
            for _ in range(int(self.rng.integers(3, 8))):
                gx, gw, gh = self.rng.uniform(x0 + 2, x1 - 8), self.rng.uniform(3, 8), self.rng.uniform(5, 22)
                hue = tuple(float(v) for v in self.rng.uniform(50, 190, 3))
                self._rect(gx, foot - gh, gx + gw, foot - 1, hue)  # type: ignore[arg-type]
        self._rect(3, top, self.w - 3, top + 17, color)
        self._lettering(top)
        self._tone(3, top + 17, self.w - 3, top + 25, 0.5)
        if self.rng.random() < 0.5:
            self._awning(top + 16, color)

    def _lettering(self, top: float) -> None:
        words = ("BAKERY", "CAFE", "BOOKS", "MARKET", "FLORIST", "PHARMACY", "OPTICS", "PIZZA", "TAILOR", "BIKES")
        word = words[int(self.rng.integers(len(words)))]
        (tw, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 0.45, 1)
        x = int(self.rng.uniform(8, max(9, self.w - tw - 8)))
        cv2.putText(self.wall, word, (x, int(top + 13)), cv2.FONT_HERSHEY_DUPLEX, 0.45, (226, 234, 236), 1, cv2.LINE_AA)

    def _awning(self, y: float, color: Color) -> None:
        pale: Color = (224, 228, 230)
        for i, x in enumerate(range(8, self.w - 12, 9)):
            self._rect(x, y, min(x + 9, self.w - 8), y + 15, color if i % 2 else pale)
        shade = np.linspace(1.1, 0.8, 15, dtype=np.float32)[:, None, None]
        self.wall[round(y) : round(y) + 15, 8 : self.w - 8] *= shade
        self._tone(8, y + 15, self.w - 8, y + 30, 0.55)

    def _down_pipe(self) -> None:
        x = 5 if self.rng.random() < 0.5 else self.w - 9
        self._rect(x, 8, x + 3, self.h, (104, 106, 108))
        self._tone(x + 3, 8, x + 6, self.h, 0.75)
        self._tone(x, 8, x + 1, self.h, 1.3)


def make_fences(seed: int) -> list[list[U8]]:
    """Mip chains (h, w, 4) of the fences, 6 m wide and 1.5 m high: boards, railing on a wall, hedge, brick wall."""
    h, w = round(1.5 * PPM), round(6 * PPM)
    return [
        mip_chain(maker(rng_of(seed, 67, i), h, w)) for i, maker in enumerate((_boards, _railing, _pickets, _low_wall))
    ]


def _with_alpha(color: F32, alpha: F32) -> U8:
    return np.dstack([to_u8(color), to_u8(alpha * 255)])


def _boards(rng: np.random.Generator, h: int, w: int) -> U8:
    color = solid((h, w), (78, 112, 146))
    shades = rng.normal(1, 0.10, w // 5 + 1)[np.arange(w) // 5].astype(np.float32)
    color *= shades[None, :, None] * (1 + 0.08 * fractal_noise(rng, (h, w), (3, w / 3), 2))[..., None]
    color[:, ::5] *= 0.45
    for row in (8, h - 10):
        color[row : row + 3] *= 0.8
    alpha = np.ones((h, w), np.float32)
    alpha[:3] = 0
    alpha[1:3, (np.arange(w) % 5 > 0) & (np.arange(w) % 5 < 4)] = 1
    return _with_alpha(color, alpha)


def _railing(rng: np.random.Generator, h: int, w: int) -> U8:
    foot = h - 15
    color = solid((h, w), (44, 46, 46))
    color[foot:] = _wall(rng, "brick", (78, 92, 146), (15, w))
    color[foot : foot + 3] = (164, 170, 172)
    alpha = np.zeros((h, w), np.float32)
    alpha[foot:] = 1
    alpha[3:, np.arange(w) % 4 < 2] = 1
    alpha[0:3, np.arange(w) % 8 < 2] = 1
    alpha[5:7] = alpha[foot - 5 : foot - 3] = 1
    return _with_alpha(color, alpha)


def _pickets(rng: np.random.Generator, h: int, w: int) -> U8:
    top = h // 4
    color = solid((h, w), (212, 218, 220))
    color *= (1 + 0.05 * fractal_noise(rng, (h, w), (4, w / 4), 2))[..., None]
    alpha = np.zeros((h, w), np.float32)
    column = np.arange(w) % 6
    alpha[top + 3 :, column < 4] = 1
    alpha[top:, (column == 1) | (column == 2)] = 1
    for row in (top + 7, h - 9):
        alpha[row : row + 4] = 1
        color[row : row + 4, column >= 4] *= 0.7
    color[:, column == 3] *= 0.8
    color[h - 3 :] *= 0.7
    return _with_alpha(color, alpha)


def _low_wall(rng: np.random.Generator, h: int, w: int) -> U8:
    top = h // 3
    color = np.zeros((h, w, 3), np.float32)
    color[top:] = _wall(rng, "stone", (132, 146, 154), (h - top, w))
    color[top : top + 4] = (176, 182, 184)
    color[top + 4 : top + 6] *= 0.6
    alpha = np.zeros((h, w), np.float32)
    alpha[top:] = 1
    return _with_alpha(color, alpha)
