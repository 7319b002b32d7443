"""Textures of lamp posts, sign posts, signals and bollards, each in a pole part and a sign part."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cmt_seg_ros.street.noise import mip_chain
from cmt_seg_ros.structures import U8


@dataclass(frozen=True, eq=False)
class Furniture:
    """Pictures of one kind of post, lowest point at the bottom edge.

    Attributes:
        pole: mip chain of (h, w, 4) uint8.
        sign: mip chain of the plate over the same picture, None without one.
        foot: column of the foot as a share of the width.
        sight_m: farther away it is less than a pixel wide and not drawn.
    """

    pole: list[U8]
    sign: list[U8] | None
    foot: float
    sight_m: float


_H = 256
_RED, _WHITE, _BLUE, _BLACK = (40, 36, 196, 255), (238, 238, 236, 255), (176, 96, 28, 255), (28, 28, 28, 255)


def make_furniture() -> dict[str, Furniture]:
    """Make all kinds of posts, by name."""
    table = {name: _sign_post(name) for name in ("speed", "warning", "parking", "no_stopping", "crossing", "direction")}
    table["signal"] = _signal()
    table["lamp_left"] = _lamp(-1)
    table["lamp_right"] = _lamp(1)
    table["bollard"] = _bollard()
    return table


def _blank(w: int, color: tuple[int, int, int]) -> U8:
    image = np.zeros((_H, w, 4), np.uint8)
    image[..., :3] = color
    return image


def _shaft(image: U8, x: int, half: float, top: int, base: tuple[int, int, int]) -> None:
    """Draw a round post: darker towards its edges, with a light streak off the middle."""
    for column in range(int(x - half), int(x + half) + 1):
        t = (column - x) / (half + 0.5)
        shade = 0.62 + 0.55 * np.exp(-((t + 0.35) ** 2) / 0.18)
        image[top:, column] = (*(min(255, int(c * shade)) for c in base), 255)


def _sign_post(name: str) -> Furniture:
    w = 96
    pole, sign = _blank(w, (130, 132, 134)), _blank(w, (130, 132, 134))
    _shaft(pole, w // 2, 3, 8, (150, 152, 154))
    _PLATES[name](sign)
    return Furniture(mip_chain(pole), mip_chain(sign), 0.5, 85.0)


def _speed(image: U8) -> None:
    cv2.circle(image, (48, 34), 30, _RED, -1, cv2.LINE_AA)
    cv2.circle(image, (48, 34), 22, _WHITE, -1, cv2.LINE_AA)
    cv2.putText(image, "30", (30, 43), cv2.FONT_HERSHEY_DUPLEX, 0.9, _BLACK, 2, cv2.LINE_AA)


def _warning(image: U8) -> None:
    cv2.fillConvexPoly(image, np.array([(48, 2), (84, 64), (12, 64)]), _RED, cv2.LINE_AA)
    cv2.fillConvexPoly(image, np.array([(48, 17), (71, 57), (25, 57)]), _WHITE, cv2.LINE_AA)
    cv2.rectangle(image, (46, 30), (50, 44), _BLACK, -1)
    cv2.circle(image, (48, 51), 3, _BLACK, -1)


def _parking(image: U8) -> None:
    cv2.rectangle(image, (20, 4), (76, 62), _WHITE, -1)
    cv2.rectangle(image, (23, 7), (73, 59), _BLUE, -1)
    cv2.putText(image, "P", (34, 50), cv2.FONT_HERSHEY_DUPLEX, 1.5, _WHITE, 4, cv2.LINE_AA)


def _no_stopping(image: U8) -> None:
    cv2.circle(image, (48, 34), 30, _RED, -1, cv2.LINE_AA)
    cv2.circle(image, (48, 34), 22, _BLUE, -1, cv2.LINE_AA)
    cv2.line(image, (33, 19), (63, 49), _RED, 7, cv2.LINE_AA)


def _crossing(image: U8) -> None:
    cv2.rectangle(image, (18, 4), (78, 64), _BLUE, -1)
    cv2.fillConvexPoly(image, np.array([(48, 10), (72, 58), (24, 58)]), _WHITE, cv2.LINE_AA)
    cv2.circle(image, (48, 28), 4, _BLACK, -1)
    cv2.line(image, (48, 32), (46, 44), _BLACK, 4)
    cv2.line(image, (46, 44), (40, 54), _BLACK, 3)
    cv2.line(image, (46, 44), (54, 54), _BLACK, 3)


def _direction(image: U8) -> None:
    for y, color in ((4, (84, 120, 30, 255)), (36, _BLUE)):
        cv2.rectangle(image, (4, y), (92, y + 27), _WHITE, -1)
        cv2.rectangle(image, (6, y + 2), (90, y + 25), color, -1)
        cv2.putText(
            image, "CITY" if y == 4 else "A 40", (14, y + 20), cv2.FONT_HERSHEY_DUPLEX, 0.6, _WHITE, 1, cv2.LINE_AA
        )


_PLATES = {
    "speed": _speed, "warning": _warning, "parking": _parking, "no_stopping": _no_stopping, "crossing": _crossing,
    "direction": _direction,
}  # fmt: skip


def _signal() -> Furniture:
    w = 64
    pole, sign = _blank(w, (60, 62, 62)), _blank(w, (34, 34, 34))
    _shaft(pole, w // 2, 4, 12, (96, 98, 98))
    cv2.rectangle(sign, (16, 2), (48, 84), (30, 32, 32, 255), -1)
    for y, color in ((17, (34, 34, 60, 255)), (43, (30, 60, 70, 255)), (69, (120, 220, 90, 255))):
        cv2.circle(sign, (32, y), 11, color, -1, cv2.LINE_AA)
        cv2.ellipse(sign, (32, y), (12, 12), 0, 180, 360, (12, 12, 12, 255), 2, cv2.LINE_AA)
    return Furniture(mip_chain(pole), mip_chain(sign), 0.5, 85.0)


def _lamp(direction: int) -> Furniture:
    """Make a mast with an arm over the road; with ``direction`` -1 the arm reaches to the right of the picture."""
    w = 96
    image = _blank(w, (118, 122, 122))
    foot = 84 if direction > 0 else 12
    _shaft(image, foot, 2, 16, (128, 132, 132))
    image[_H - 40 :, foot - 3 : foot + 4] = (96, 98, 98, 255)
    tip = foot - direction * 56
    curve = np.array([(foot, 18), (foot - direction * 8, 10), (foot - direction * 26, 6), (tip, 6)], np.int32)
    cv2.polylines(image, [curve], False, (112, 116, 116, 255), 3, cv2.LINE_AA)
    cv2.ellipse(image, (tip, 8), (12, 4), 0, 0, 360, (92, 94, 94, 255), -1, cv2.LINE_AA)
    cv2.ellipse(image, (tip, 10), (9, 3), 0, 0, 360, (206, 226, 232, 255), -1, cv2.LINE_AA)
    return Furniture(mip_chain(image), None, foot / w, 120.0)


def _bollard() -> Furniture:
    w = 48
    image = _blank(w, (46, 46, 48))
    _shaft(image, w // 2, 15, 14, (62, 62, 64))
    cv2.ellipse(image, (w // 2, 16), (15, 12), 0, 0, 360, (70, 70, 72, 255), -1)
    image[52:76, w // 2 - 15 : w // 2 + 16, :3] = (214, 216, 216)
    return Furniture(mip_chain(image), None, 0.5, 50.0)
