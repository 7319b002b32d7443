"""Impostors: small pictures of far cars and people, drawn once for each view and then only scaled.

A far figure looks alike over many frames. Everything a picture depends on is part of its key and
rounded before it is drawn, so which frames came before makes no difference to a frame.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cmt_seg_ros.street.bodies import Patch, Place
from cmt_seg_ros.street.camera import View
from cmt_seg_ros.street.canvas import Canvas
from cmt_seg_ros.street.noise import mip_chain
from cmt_seg_ros.structures import U8

PX_PER_M = 20.0
"""Figures smaller than this are drawn as impostors."""
_DISTANCE_M = 45.0
_SIZE, _GROUND_ROW, _EYE_M = (64, 160), 54, 1.5
_BEARING = math.radians(1.5)
_KEPT = 3000
"""Pictures kept (a few kB each)."""

Draw = Callable[[View, Place], Patch | None]


@dataclass(frozen=True, eq=False)
class _Impostor:
    """Mip chain of a straight-alpha picture, and where in it, in pixels, the figure's origin lies."""

    mips: list[U8]
    origin: tuple[float, float]


class Impostors:
    """Cache of pictures."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], _Impostor | None] = OrderedDict()

    def draw(
        self,
        canvas: Canvas,
        view: View,
        key: tuple[int, ...],
        draw: Draw,
        place: Place,
        table: U8,
        class_id: int,
        instance_id: int,
    ) -> None:
        """Draw a far figure.

        Args:
            canvas: to draw on.
            view: of the frame.
            key: what the looks depend on besides the view, the heading and the sun.
            draw: draws the figure as seen in a view, without haze.
            place: where it is.
            table: haze.
            class_id: its class.
            instance_id: its id.
        """
        bearing = math.atan2(place.y - view.position[1], place.x - view.position[0])
        numbers = (round(bearing / _BEARING), round(place.heading * 20), round(place.sunlit * 4))
        full = (*key, *numbers)
        if full not in self._kept:
            rounded = replace(place, x=0.0, y=0.0, heading=numbers[1] / 20, sunlit=numbers[2] / 4)
            self._kept[full] = _make(draw, rounded, numbers[0] * _BEARING)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(full)
        impostor = self._kept[full]
        if impostor is None:
            return
        u, v, depth = view.pixel(place.x, place.y, 0.0)
        h, w = impostor.mips[0].shape[:2]
        scale = view.focal / depth / PX_PER_M
        foot = (u, v + (h - impostor.origin[1]) * scale)
        canvas.sprite(view, impostor.mips, foot, h * scale, impostor.origin[0] / w, table, class_id, instance_id)


def _make(draw: Draw, place: Place, bearing: float) -> _Impostor | None:
    focal = PX_PER_M * _DISTANCE_M
    intrinsics = np.array(
        [[focal, 0, _SIZE[1] / 2], [0, focal, _GROUND_ROW - _EYE_M * PX_PER_M], [0, 0, 1]], np.float64
    )
    eye = (-_DISTANCE_M * math.cos(bearing), -_DISTANCE_M * math.sin(bearing), _EYE_M)
    patch = draw(View(eye, bearing, 0.0, intrinsics, _SIZE), place)
    if patch is None:
        return None
    image = patch.image.copy()
    alpha = image[..., 3:].astype(np.float32)
    image[..., :3] = np.minimum(image[..., :3] * (255.0 / np.maximum(alpha, 1.0)), 255.0).astype(np.uint8)
    # Clear texels take on the mean colour: scaling mixes them into the outline.
    image[alpha[..., 0] < 8, :3] = image[alpha[..., 0] >= 128, :3].mean(0) if (alpha >= 128).any() else 90
    # A clear rim on all sides keeps the outline smooth when the picture is scaled.
    mean = image[..., :3].reshape(-1, 3).mean(0)
    framed = np.empty((image.shape[0] + 2, image.shape[1] + 2, 4), np.uint8)
    framed[...] = (*mean, 0)
    framed[1:-1, 1:-1] = image
    return _Impostor(mip_chain(framed), (_SIZE[1] / 2 - patch.x0 + 1.5, _GROUND_ROW - patch.y0 + 1.5))
