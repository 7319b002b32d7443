"""Cars and people, drawn from their geometry into a canvas; oversampled so that outlines are smooth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.street.camera import NEAR_M, View
from cmt_seg_ros.street.canvas import Canvas
from cmt_seg_ros.street.cars import PAINTS, CarMesh, shade_faces
from cmt_seg_ros.street.light import Shader
from cmt_seg_ros.street.people import Limb, Wheel
from cmt_seg_ros.structures import F64, U8

_SHIFT = 4
I32 = npt.NDArray[np.int32]
# Of a limb, from its outline to its sunny side: (share of the radius, shift in radii, light of the sky, of the sun).
_TONES = ((1.0, 0.0, 0.55, 0.08), (0.80, 0.20, 0.68, 0.42), (0.48, 0.40, 0.80, 0.78))
_FEW_TONES = ((1.0, 0.0, 0.58, 0.15), (0.70, 0.30, 0.74, 0.58))
_ONE_TONE = ((1.0, 0.0, 0.66, 0.40),)
_ARC = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 5)


@dataclass(frozen=True)
class Place:
    """Pose of a figure: metres, radians; ``sunlit`` 0-1 is the share of direct light there."""

    x: float
    y: float
    heading: float
    sunlit: float

    def to_world(self, points: F64) -> F64:
        """Transform (..., 3) points from the figure's frame to the world."""
        return np.asarray(self.turn(points) + np.array([self.x, self.y, 0.0]), np.float64)

    def turn(self, vectors: F64) -> F64:
        """Rotate (..., 3) directions from the figure's frame to the world."""
        return np.asarray(vectors @ self._rotation, np.float64)

    def to_local(self, points: F64) -> F64:
        """Transform (..., 3) points from the world to the figure's frame."""
        return np.asarray((points - np.array([self.x, self.y, 0.0])) @ self._rotation.T, np.float64)

    @cached_property
    def _rotation(self) -> F64:
        c, s = math.cos(self.heading), math.sin(self.heading)
        return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, eq=False)
class Patch:
    """(h, w, 4) uint8 picture with colours weighted by its alpha, and the image pixel of its top left corner."""

    image: U8
    x0: int
    y0: int


class _Sheet:
    """Oversampled transparent patch over a box of the image."""

    def __init__(self, box: tuple[int, int, int, int], factor: int) -> None:
        self.box, self.factor = box, factor
        self.image: U8 = np.zeros(((box[3] - box[1]) * factor, (box[2] - box[0]) * factor, 4), np.uint8)

    def fixed(self, pixels: F64) -> I32:
        """Convert image pixels to fixed-point coordinates of the sheet."""
        at = (pixels - (self.box[0], self.box[1]) + 0.5) * self.factor - 0.5
        return np.asarray(np.rint(np.clip(at, -16000, 16000) * (1 << _SHIFT)), np.int32)

    def patch(self) -> Patch:
        """Return the sheet, scaled down to the size of the box."""
        x0, y0, x1, y1 = self.box
        image = self.image
        if self.factor > 1:
            image = np.asarray(cv2.resize(image, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA), np.uint8)
        return Patch(image, x0, y0)


def _factor(box: tuple[int, int, int, int]) -> int:
    """Return the oversampling factor: the smaller the figure, the larger."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return 4 if area < 1200 else 3 if area < 5000 else 2


def draw_car(view: View, shader: Shader, mesh: CarMesh, place: Place, paint: int, haze: float) -> Patch | None:
    """Draw one car: the faces that look at the camera, far to near; None if it is out of sight."""
    to_camera = place.to_local(view.position) - mesh.centres
    keep = np.flatnonzero((mesh.normals * to_camera).sum(1) > 0)
    pixels, depth = view.project(place.to_world(mesh.quads[keep]))
    ahead = depth.min(1) > NEAR_M
    if not ahead.all():
        keep, pixels = keep[ahead], pixels[ahead]
    if not len(keep):
        return None
    box = view.clip(pixels.min((0, 1)), pixels.max((0, 1)))
    if box is None:
        return None
    to_camera = to_camera[keep]
    distance = np.sqrt((to_camera * to_camera).sum(1))
    to_camera /= distance[:, None]
    ground = 95.0 * (shader.shadow + (1 - shader.shadow) * place.sunlit) * np.ones(3)
    color = shade_faces(
        mesh.materials[keep], place.turn(mesh.normals[keep]), place.turn(to_camera), PAINTS[paint % len(PAINTS)],
        shader.sun, shader.sun_gain * place.sunlit, shader.sky_gain, shader.mirror, ground,
    )  # fmt: skip
    color = np.minimum(color * (1 - haze) + haze * shader.haze, 255.0)
    sheet = _Sheet(box, _factor(box))
    order = np.argsort(mesh.bias[keep] - distance, kind="stable")
    corners, colors = sheet.fixed(pixels[order]), color[order].tolist()
    image = sheet.image
    for i, (b, g, r) in enumerate(colors):
        cv2.fillConvexPoly(image, corners[i], (b, g, r, 255.0), cv2.LINE_8, _SHIFT)
    return sheet.patch()


def draw_person(
    view: View, shader: Shader, limbs: list[Limb], wheels: list[Wheel], place: Place, haze: float
) -> Patch | None:
    """Draw one walker, or one rider with the bicycle; None if out of sight."""
    ends = place.to_world(np.array([(limb.a, limb.b) for limb in limbs], np.float64))
    pixels, depth = view.project(ends)
    if depth.min() < 1.0:
        return None
    radii = np.array([(limb.ra, limb.rb) for limb in limbs]) * view.focal / depth
    reach = radii.max(1)[:, None]
    rims = [_rim(view, place, wheel) for wheel in wheels]
    cloud = np.concatenate([pixels.min(1) - reach, pixels.max(1) + reach] + [rim for rim, _ in rims])
    box = view.clip(cloud.min(0), cloud.max(0))
    if box is None:
        return None
    sheet = _Sheet(box, _factor(box))
    centre = view.depth_of(place.x, place.y)
    for rim, spokes in rims:
        _draw_wheel(sheet, rim, spokes, max(1, round(0.036 * view.focal / centre * sheet.factor)))
    _draw_limbs(sheet, shader, limbs, pixels, radii, depth, place.sunlit, haze)
    return sheet.patch()


def _rim(view: View, place: Place, wheel: Wheel) -> tuple[F64, F64]:
    """Return (28, 2) pixels of the tyre's middle line and (2,) of the hub."""
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    x, y, z = wheel.hub
    r = wheel.radius - 0.018
    ring = np.stack([x + r * np.cos(t), np.full_like(t, y), z + r * np.sin(t)], 1)
    pixels, _ = view.project(place.to_world(np.vstack([ring, np.array([[x, y, z]])])))
    return pixels[:-1], pixels[-1]


def _draw_wheel(sheet: _Sheet, rim: F64, hub: F64, thickness: int) -> None:
    ring, middle = sheet.fixed(rim), sheet.fixed(hub)
    for i in range(0, len(ring), 4):
        cv2.line(sheet.image, middle.tolist(), ring[i].tolist(), (96, 98, 98, 150), 1, cv2.LINE_8, _SHIFT)
    cv2.polylines(sheet.image, [ring], True, (30, 30, 32, 255), thickness, cv2.LINE_8, _SHIFT)


def _draw_limbs(
    sheet: _Sheet, shader: Shader, limbs: list[Limb], pixels: F64, radii: F64, depth: F64, sunlit: float, haze: float
) -> None:
    """Draw each limb in three tones from the shaded to the sunny side, far limbs first."""
    toward = np.array([-0.75 if shader.sun[1] > 0 else 0.75, -0.5])
    sky, sun = shader.sky_gain, shader.sun_gain * sunlit
    base = np.array([limb.color for limb in limbs], np.float64)
    far_haze = haze * shader.haze
    layers = []
    rows = sheet.image.shape[0] / sheet.factor
    tones = _TONES if rows > 56 else _FEW_TONES if rows > 24 else _ONE_TONE
    for shrink, shift, sky_share, sun_share in tones:
        capsules = _capsules(pixels + shift * radii[..., None] * toward, radii * shrink)
        color = np.clip(base * (sky * sky_share + sun * sun_share) * (1 - haze) + far_haze, 0, 255)
        layers.append((sheet.fixed(capsules), color.tolist()))
    for body in _bodies(limbs, depth):
        for outline, color in layers:
            for i in body:
                b, g, r = color[i]
                cv2.fillConvexPoly(sheet.image, outline[i], (b, g, r, 255.0), cv2.LINE_8, _SHIFT)


def _bodies(limbs: list[Limb], depth: F64) -> list[list[int]]:
    """Group the indices of limbs, farthest first, those of the torso together."""
    far = depth.mean(1)
    torso = [i for i, limb in enumerate(limbs) if limb.torso]
    bodies = [(float(far[i]), [i]) for i, limb in enumerate(limbs) if not limb.torso]
    bodies.append((float(far[torso].mean()), torso))
    return [body for _, body in sorted(bodies, key=lambda entry: -entry[0])]


def _capsules(ends: F64, radii: F64) -> F64:
    """Return (N, 10, 2) outlines of tapered capsules, given (N, 2, 2) ends and (N, 2) radii in pixels."""
    along = ends[:, 1] - ends[:, 0]
    angle = np.arctan2(along[:, 1], along[:, 0])[:, None]
    tip, tail = angle + _ARC, angle + np.pi + _ARC
    a = ends[:, 1, None] + radii[:, 1, None, None] * np.stack([np.cos(tip), np.sin(tip)], -1)
    b = ends[:, 0, None] + radii[:, 0, None, None] * np.stack([np.cos(tail), np.sin(tail)], -1)
    return np.concatenate([a, b], 1)


def soft_box(softness: float, darkest: float) -> U8:
    """Return the (64, 64) uint8 light under a thing: ``darkest`` (0-1) in the middle, 255 at the rim."""
    t = np.abs(np.linspace(-1, 1, 64))
    x, y = np.meshgrid(t, t)
    edge = np.clip((1.0 - (x**6 + y**6) ** (1 / 6)) / softness, 0, 1)
    edge = edge * edge * (3 - 2 * edge)
    return np.asarray(np.rint(255 * (1 - (1 - darkest) * edge)), np.uint8)


def draw_shadow(
    canvas: Canvas, view: View, mask: U8, centre: tuple[float, float], heading: float, size: tuple[float, float]
) -> None:
    """Darken the ground in a box of (length, width) metres around ``centre``."""
    along = np.array([math.cos(heading), math.sin(heading), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    start = np.array([centre[0], centre[1], 0.0]) - along * size[0] / 2 - across * size[1] / 2
    corners, depth = view.project(
        np.array([start + along * size[0] * i + across * size[1] * j for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))])
    )
    if depth.min() < 0.5:
        return
    canvas.darken(view, mask, view.plane(start, along * size[0] / 63, across * size[1] / 63), corners)
