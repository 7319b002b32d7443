"""Sky and skyline: one wide picture from which the camera cuts a window."""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.street.camera import View
from cmt_seg_ros.street.light import Light
from cmt_seg_ros.street.noise import F32, fractal_noise, rng_of, to_u8
from cmt_seg_ros.structures import U8

_SKY, _BUILDING, _TREE = (CAMVID.names.index(n) for n in ("Sky", "Building", "Tree"))
_MARGIN = 0.30
"""Share of the image width that the picture reaches past it on either side, for yaw."""


class Sky:
    """Sky and far skyline for one image size.

    Attributes:
        color: (h, w, 3) uint8.
        classes: (h, w) uint8 class ids.
    """

    def __init__(self, seed: int, light: Light, size: tuple[int, int], focal: float) -> None:
        rng = rng_of(seed, 53)
        self._height = int(size[0] * 0.85)
        self._width = int(size[1] * (1 + 2 * _MARGIN))
        self._focal = focal
        coarse = min(1.0, 900 / self._width)
        shape = (max(32, int(self._height * coarse)), max(64, int(self._width * coarse)))
        small = self._clouds(rng, light, shape, focal * coarse)
        color = cv2.resize(small, (self._width, self._height), interpolation=cv2.INTER_CUBIC)
        self.classes: U8 = np.full((self._height, self._width), _SKY, np.uint8)
        self._skyline(rng, light, color)
        self.color: U8 = to_u8(color)

    def _clouds(self, rng: np.random.Generator, light: Light, shape: tuple[int, int], focal: float) -> F32:
        """Draw a gradient from horizon to zenith with a layer of clouds seen in perspective."""
        h, w = shape
        rise = (h - np.arange(h, dtype=np.float32))[:, None] / focal
        side = (np.arange(w, dtype=np.float32) - w / 2)[None, :] / focal
        t = np.clip(rise / 0.75, 0, 1) ** 0.62
        color = (1 - t)[..., None] * np.asarray(light.horizon, np.float32) + t[..., None] * np.asarray(
            light.zenith, np.float32
        )
        color = np.broadcast_to(color, (h, w, 3)).copy()
        layer = fractal_noise(rng, (512, 512), (5, 5), 6, 0.6, periodic=True)
        far = 1.0 / (rise + 0.10)
        scale = 512 * 0.16
        u, v = np.broadcast_to(side * far * scale, (h, w)), np.broadcast_to(far * scale * 1.3, (h, w))
        warp = (np.mod(u, 512).astype(np.float32), np.mod(v, 512).astype(np.float32))
        density = cv2.remap(layer, *warp, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        lit = cv2.remap(np.roll(layer, (14, 9), (0, 1)), *warp, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        threshold = 0.62 - 1.15 * light.cloud_cover
        cover = np.clip((density - threshold) * 1.7, 0, 1)
        cover = (
            cover
            * cover
            * (3 - 2 * cover)
            * np.clip(rise * 7.0 + 0.12, 0, 1)
            * (0.92 if light.cloud_cover < 0.9 else 0.75)
        )
        bright = (
            1.0 + 0.10 * np.clip((density - lit) * 1.6, -1.2, 1.0) - 0.10 * np.clip(density - threshold - 0.5, 0, 1)
        )
        sunlit = np.asarray(light.haze, np.float32) * 1.04 + np.asarray((12, 12, 12), np.float32)
        cloud = np.clip(bright[..., None] * sunlit, 0, 252)
        return np.asarray(color + cover[..., None] * (cloud - color), np.float32)

    def _skyline(self, rng: np.random.Generator, light: Light, color: F32) -> None:
        """Draw hazy rows of far buildings and tree tops."""
        w, f = self._width, self._focal
        haze = np.asarray(light.haze, np.float32)
        columns = np.arange(w, dtype=np.float32)
        for class_id, base, share in ((_BUILDING, (118, 122, 132), 0.62), (_TREE, light.leaf, 0.5)):
            if class_id == _BUILDING:
                step = max(3, round(0.035 * f))
                tops = np.repeat(rng.uniform(0.02, 0.085, w // step + 1), step)[:w].astype(np.float32)
            else:
                tops = 0.036 + 0.016 * fractal_noise(rng, (4, w), (2, w / (0.16 * f)), 5, 0.62)[0]
            mask = (self._height - np.arange(self._height, dtype=np.float32))[:, None] < (tops * f)[None, :]
            shade = np.asarray(base, np.float32) * (0.9 + 0.1 * np.sin(columns / (0.02 * f)))[:, None]
            tone = (haze * share + shade * (1 - share))[None, :, :]
            np.copyto(color, np.broadcast_to(tone, color.shape), where=mask[..., None])
            self.classes[mask] = class_id

    def draw(self, view: View, color: U8, classes: U8) -> None:
        """Fill the image down to the horizon (rows below it are left to the ground)."""
        horizon = round(view.horizon_row)
        left = round(self._width / 2 - view.width / 2 - view.yaw * self._focal)
        left = min(max(left, 0), self._width - view.width)
        rows = min(max(horizon + 1, 0), view.height, self._height)
        top = self._height - rows
        color[:rows] = self.color[top:, left : left + view.width]
        classes[:rows] = self.classes[top:, left : left + view.width]
