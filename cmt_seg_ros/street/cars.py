"""Cars as meshes: lofted bodies with glass, lights and wheels, shaded face by face.

Car frame: x forward, y left, z up, origin on the ground under the middle of the car.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.street.noise import Color
from cmt_seg_ros.structures import F64

PAINT, GLASS, PLASTIC, TYRE, RIM, LAMP, TAIL, PLATE, CHROME = range(9)
# Diffuse colour (blue, green, red), how mirror-like the surface is; paint is taken from the car.
_MATERIALS: tuple[tuple[Color, float], ...] = (
    ((0, 0, 0), 0.28), ((24, 21, 18), 0.55), ((34, 34, 34), 0.06), ((26, 26, 28), 0.03), ((150, 152, 156), 0.3),
    ((226, 230, 232), 0.5), ((36, 30, 176), 0.3), ((206, 216, 220), 0.05), ((40, 40, 42), 0.3),
)  # fmt: skip
_DIFFUSE = np.array([m[0] for m in _MATERIALS], np.float64)
_GLOSS = np.array([m[1] for m in _MATERIALS])
PAINTS: tuple[Color, ...] = (
    (178, 180, 182), (44, 44, 46), (226, 228, 228), (46, 38, 158), (136, 70, 32), (96, 98, 102), (92, 66, 40),
    (60, 88, 62), (70, 130, 176), (200, 204, 206), (30, 26, 96), (150, 132, 96),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class CarMesh:
    """One body at one level of detail.

    Attributes:
        quads: (N, 4, 3) corners in metres.
        normals: (N, 3) unit vectors outwards.
        centres: (N, 3) means of the corners, metres.
        materials: (N,) index into the table of materials.
        bias: (N,) metres by which a face is sorted nearer (details over the body).
        size: (length, width, height) in metres.
    """

    quads: F64
    normals: F64
    centres: F64
    materials: npt.NDArray[np.int64]
    bias: F64
    size: tuple[float, float, float]


@dataclass(frozen=True)
class _Body:
    """Side view: stations (x, sill z, belt z, top z, half width); x ranges of the glass; wheels."""

    stations: tuple[tuple[float, float, float, float, float], ...]
    side_glass: tuple[tuple[float, float], ...]
    screens: tuple[tuple[float, float], ...]
    wheels: tuple[float, float]
    wheel_r: float
    lamps_z: tuple[float, float]


_BODIES: tuple[_Body, ...] = (
    _Body(  # saloon
        ((-2.24, 0.36, 0.74, 0.80, 0.76), (-2.16, 0.26, 0.88, 0.97, 0.84), (-1.72, 0.2, 0.92, 1.03, 0.89),
         (-1.62, 0.19, 0.93, 1.06, 0.90), (-0.98, 0.18, 0.93, 1.39, 0.905), (-0.35, 0.18, 0.92, 1.45, 0.91),
         (0.28, 0.18, 0.91, 1.44, 0.91),
         (0.52, 0.18, 0.90, 1.37, 0.91), (1.22, 0.18, 0.88, 0.98, 0.90), (1.34, 0.19, 0.86, 0.93, 0.90),
         (1.98, 0.2, 0.74, 0.79, 0.87), (2.18, 0.24, 0.62, 0.68, 0.80), (2.26, 0.34, 0.52, 0.58, 0.72)),
        ((-1.45, -0.92), (-0.84, -0.02), (0.06, 0.92)), ((-1.60, -1.02), (0.54, 1.20)),
        (-1.36, 1.40), 0.32, (0.66, 0.60),
    ),
    _Body(  # hatchback
        ((-1.98, 0.36, 0.78, 0.86, 0.74), (-1.92, 0.26, 0.90, 1.02, 0.82), (-1.78, 0.2, 0.94, 1.16, 0.86),
         (-1.42, 0.18, 0.95, 1.44, 0.87), (-0.6, 0.18, 0.94, 1.51, 0.88), (0.2, 0.18, 0.93, 1.49, 0.88),
         (0.46, 0.18, 0.92, 1.42, 0.88),
         (1.10, 0.18, 0.90, 1.03, 0.87), (1.22, 0.19, 0.88, 0.97, 0.87), (1.76, 0.2, 0.76, 0.82, 0.84),
         (1.95, 0.24, 0.64, 0.70, 0.78), (2.02, 0.34, 0.54, 0.60, 0.70)),
        ((-1.34, -0.72), (-0.64, 0.10), (0.18, 0.82)), ((-1.80, -1.44), (0.48, 1.08)),
        (-1.22, 1.24), 0.31, (0.78, 0.62),
    ),
    _Body(  # sport utility
        ((-2.22, 0.42, 0.92, 1.0, 0.80), (-2.14, 0.32, 1.04, 1.16, 0.88), (-2.04, 0.28, 1.07, 1.28, 0.91),
         (-1.78, 0.26, 1.08, 1.60, 0.93), (-0.8, 0.26, 1.07, 1.70, 0.94), (0.2, 0.26, 1.06, 1.68, 0.94),
         (0.46, 0.26, 1.05, 1.61, 0.94),
         (1.08, 0.26, 1.03, 1.17, 0.93), (1.2, 0.27, 1.02, 1.11, 0.93), (1.98, 0.28, 0.94, 1.0, 0.91),
         (2.16, 0.32, 0.80, 0.86, 0.84), (2.24, 0.4, 0.68, 0.74, 0.76)),
        ((-1.88, -1.12), (-1.02, -0.12), (-0.04, 0.86)), ((-2.05, -1.80), (0.48, 1.06)),
        (-1.34, 1.36), 0.37, (0.98, 0.80),
    ),
    _Body(  # van
        ((-2.48, 0.40, 1.02, 1.86, 0.86), (-2.42, 0.32, 1.06, 1.96, 0.93), (-1.6, 0.28, 1.06, 2.02, 0.96),
         (-0.2, 0.28, 1.06, 2.03, 0.96), (0.7, 0.28, 1.06, 2.0, 0.96), (0.98, 0.28, 1.06, 1.86, 0.96),
         (1.66, 0.28, 1.04, 1.24, 0.95), (1.8, 0.28, 1.02, 1.14, 0.94), (2.28, 0.3, 0.86, 0.94, 0.90),
         (2.42, 0.36, 0.74, 0.80, 0.82)),
        ((0.30, 1.30),), ((1.0, 1.64),), (-1.52, 1.56), 0.35, (0.92, 0.76),
    ),
)  # fmt: skip


def make_cars() -> list[tuple[CarMesh, CarMesh]]:
    """Make the (fine, coarse) meshes of every body."""
    return [(_loft(body, 0), _loft(body, 1)) for body in _BODIES]


class _Faces:
    """Collects quads; normals come from the corners, turned away from the middle of the car."""

    def __init__(self) -> None:
        self.quads: list[npt.ArrayLike] = []
        self.materials: list[int] = []
        self.bias: list[float] = []

    def add(self, corners: npt.ArrayLike, material: int, bias: float = 0.0) -> None:
        self.quads.append(corners)
        self.materials.append(material)
        self.bias.append(bias)

    def mesh(self, size: tuple[float, float, float]) -> CarMesh:
        quads = np.asarray(self.quads, np.float64)
        normals = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        middle = quads.mean(1) - np.array([0.0, 0.0, 0.45 * size[2]])
        normals[(normals * middle).sum(1) < 0] *= -1
        return CarMesh(
            quads,
            np.asarray(normals, np.float64),
            quads.mean(1),
            np.asarray(self.materials),
            np.asarray(self.bias),
            size,
        )


# Flank from sill to belt: (share of the way up, share of the half width); rounded, so that it shades softly.
_FLANK = (
    (0.0, 0.925),
    (0.12, 0.962),
    (0.30, 0.985),
    (0.50, 1.0),
    (0.68, 0.999),
    (0.83, 0.985),
    (0.94, 0.966),
    (1.0, 0.945),
)
_GLASS_LOW, _GLASS_HIGH = 8, 10
"""Rows of the cross-section between which the side windows lie."""
_ROWS: tuple[tuple[int, ...], ...] = (tuple(range(15)), (0, 1, 3, 5, 8, 10, 11, 12, 14))
"""Points of the cross-section that each level of detail keeps."""


def _section(station: npt.NDArray[np.float64], height: float) -> F64:
    """Return the (15, 2) half cross-section (y, z) from sill to roof line; cabins lean inwards over the belt."""
    _, sill, belt, top, half = station
    rise = top - belt
    cabin = float(np.clip((rise - 0.1) / 0.25, 0, 1))
    roof = half * (0.93 - 0.17 * cabin * min(1.0, 1.5 / height))
    low, high = (half * 0.93, belt + 0.06 * rise), (roof * 1.01, top - 0.16 * rise)
    bulge = 0.02 * cabin
    return np.array(
        [(half * y, sill + t * (belt - sill)) for t, y in _FLANK]
        + [low, ((low[0] + high[0]) / 2 + bulge, (low[1] + high[1]) / 2), high]
        + [
            (roof * 0.95, top - 0.075 * rise),
            (roof * 0.84, top - 0.028 * rise),
            (roof * 0.5, top - 0.006 * rise),
            (0.0, top),
        ]
    )


def _loft(body: _Body, level: int) -> CarMesh:
    table = np.asarray(body.stations)
    marks = {float(x) for x in table[:, 0]}
    marks |= {x for glass in body.side_glass + body.screens for x in glass}
    if level == 0:
        marks |= {float(x) for x in np.arange(table[0, 0] + 0.1, table[-1, 0] - 0.1, 0.3)}
    xs = np.array(sorted(marks))
    xs = xs[np.r_[True, np.diff(xs) > (0.03, 0.09)[level]]]
    stations = np.stack([xs] + [np.interp(xs, table[:, 0], table[:, i]) for i in range(1, 5)], 1)
    height = float(table[:, 3].max())
    rows = _ROWS[level]
    sections = [_section(s, height) for s in stations]
    faces = _Faces()
    for i in range(len(xs) - 1):
        mid = (xs[i] + xs[i + 1]) / 2
        for j, k in itertools.pairwise(rows):
            material = _skin(body, mid, j, float(stations[i, 3] - stations[i, 2]))
            for side in (1.0, -1.0):
                ring = ((i, j), (i + 1, j), (i + 1, k), (i, k))
                faces.add([(xs[a], side * sections[a][b][0], sections[a][b][1]) for a, b in ring], material)
    for end in (0, -1):
        for j, k in itertools.pairwise(rows):
            (y0, z0), (y1, z1), x = sections[end][j], sections[end][k], xs[end]
            faces.add([(x, y0, z0), (x, -y0, z0), (x, -y1, z1), (x, y1, z1)], PLASTIC if j < 1 else PAINT)
    _details(faces, body, table, level)
    return faces.mesh((float(table[-1, 0] - table[0, 0]), float(2 * table[:, 4].max()), height))


def _skin(body: _Body, x: float, row: int, rise: float) -> int:
    if _GLASS_LOW <= row < _GLASS_HIGH and rise > 0.1 and any(a < x < b for a, b in body.side_glass):
        return GLASS
    if row > _GLASS_HIGH and any(a < x < b for a, b in body.screens):
        return GLASS
    return PLASTIC if row == 0 else PAINT


def _details(faces: _Faces, body: _Body, table: npt.NDArray[np.float64], level: int) -> None:
    rear, front, half = table[0], table[-1], float(table[:, 4].max())
    for end, lamp, z in ((rear, TAIL, body.lamps_z[0]), (front, LAMP, body.lamps_z[1])):
        sign = -1.0 if end is rear else 1.0
        x0, x1 = end[0] + sign * 0.012, end[0] - sign * 0.10
        wide = end[4] * 1.07
        for side in (1.0, -1.0):
            tall = 0.12 if end is rear else 0.08
            faces.add(
                [
                    (x0, side * wide * 0.55, z - tall),
                    (x0, side * wide * 0.9, z - tall),
                    (x0, side * wide * 0.9, z + tall),
                    (x0, side * wide * 0.55, z + tall),
                ],
                lamp,
                0.25,
            )
            faces.add(
                [
                    (x0, side * wide * 0.9, z - tall),
                    (x1, side * wide * 1.06, z - tall),
                    (x1, side * wide * 1.06, z + tall),
                    (x0, side * wide * 0.9, z + tall),
                ],
                lamp,
                0.25,
            )
        plate_z = 0.50 if end is rear else 0.40
        faces.add(
            [
                (x0, 0.26, plate_z - 0.06),
                (x0, -0.26, plate_z - 0.06),
                (x0, -0.26, plate_z + 0.06),
                (x0, 0.26, plate_z + 0.06),
            ],
            PLATE,
            0.28,
        )
        if end is front:
            faces.add(
                [(x0, 0.36, z - 0.09), (x0, -0.36, z - 0.09), (x0, -0.36, z + 0.05), (x0, 0.36, z + 0.05)], CHROME, 0.26
            )
        faces.add(
            [(x0, 0.6, 0.27), (x0, -0.6, 0.27), (x0, -0.6, end[1] + 0.05), (x0, 0.6, end[1] + 0.05)], PLASTIC, 0.2
        )
    segments = (15, 7)[level]
    for x in body.wheels:
        for side in (1.0, -1.0):
            _wheel(faces, x, side, half, body.wheel_r, segments)
    if level == 0:
        for side in (1.0, -1.0):
            x = body.screens[-1][1] - 0.22
            z = float(np.interp(x, table[:, 0], table[:, 2])) + 0.02
            y0, y1 = side * half * 0.97, side * (half + 0.16)
            faces.add(
                [(x - 0.03, y0, z), (x - 0.03, y1, z), (x - 0.03, y1, z + 0.14), (x - 0.03, y0, z + 0.14)], PLASTIC, 0.2
            )
            faces.add(
                [(x + 0.1, y0, z), (x + 0.04, y1, z), (x + 0.04, y1, z + 0.14), (x + 0.1, y0, z + 0.14)], PAINT, 0.2
            )
            faces.add(
                [(x - 0.03, y1, z), (x + 0.04, y1, z), (x + 0.04, y1, z + 0.14), (x - 0.03, y1, z + 0.14)], PAINT, 0.2
            )
            for a, b in zip(body.side_glass[:-1], body.side_glass[1:], strict=True):
                seam = (a[1] + b[0]) / 2
                zs = np.interp(seam, table[:, 0], table[:, 2])
                y = side * (half + 0.004)
                faces.add(
                    [(seam - 0.008, y, 0.34), (seam + 0.008, y, 0.34), (seam + 0.008, y, zs), (seam - 0.008, y, zs)],
                    PLASTIC,
                    0.12,
                )
                faces.add(
                    [
                        (seam + 0.08, y, zs - 0.12),
                        (seam + 0.24, y, zs - 0.12),
                        (seam + 0.24, y, zs - 0.09),
                        (seam + 0.08, y, zs - 0.09),
                    ],
                    CHROME,
                    0.12,
                )


def _wheel(faces: _Faces, x: float, side: float, half: float, radius: float, segments: int) -> None:
    """Add arch, tyre and rim as flat discs on the flank, and the tread below the body."""
    discs = (
        (0.0, radius * 1.17, 0.004, PLASTIC, 0.30),
        (0.0, radius, 0.012, TYRE, 0.34),
        (radius * 0.16, radius * 0.64, 0.018, RIM, 0.38),
        (0.0, radius * 0.16, 0.02, CHROME, 0.40),
    )
    for r0, r1, y, material, bias in discs if segments > 8 else discs[1:3]:
        for k in range(segments):
            if material == RIM and segments > 8 and k % 3 == 2:
                continue  # the gaps between the spokes
            a, b = 2 * np.pi * k / segments, 2 * np.pi * (k + 1) / segments
            ring = [(r, t) for r, t in ((r0, a), (r1, a), (r1, b), (r0, b))]
            corners = [(x + r * np.cos(t), side * (half + y), max(0.0, radius + r * np.sin(t))) for r, t in ring]
            if r0 == 0.0:
                corners[0] = corners[3] = (x, side * (half + y), radius)
                corners[3] = ((corners[0][0] * 0.999 + corners[2][0] * 0.001), corners[0][1], corners[0][2])
            faces.add(corners, material, bias)
    inner, outer = side * (half - 0.22), side * half
    for direction in (-1.0, 1.0):
        face = x + direction * radius * 0.9
        faces.add([(face, inner, 0.01), (face, outer, 0.01), (face, outer, radius), (face, inner, radius)], TYRE, -0.05)


def shade_faces(
    materials: npt.NDArray[np.int64],
    normals: F64,
    to_camera: F64,
    paint: Color,
    sun: F64,
    sun_gain: F64,
    sky_gain: F64,
    sky: F64,
    ground: F64,
) -> F64:
    """Shade the faces: diffuse light of sun and sky, mirrored surroundings, a sun glint.

    Args:
        materials: (N,) index into the table of materials.
        normals: (N, 3) unit vectors in the world.
        to_camera: (N, 3) unit vectors towards the camera.
        paint: body colour, 0-255.
        sun: (3,) unit vector to the sun.
        sun_gain: (3,) light per channel on a face that looks into the sun, 0 in a shadow.
        sky_gain: (3,) light per channel from the whole sky.
        sky: (3,) colour that upward faces mirror, 0-255.
        ground: (3,) colour that downward faces mirror, 0-255.

    Returns:
        (N, 3) float64, blue, green, red, 0-255 (may exceed 255).
    """
    gloss = _GLOSS[materials]
    diffuse = _DIFFUSE[materials]
    diffuse[materials == PAINT] = paint
    facing = np.maximum(0.0, normals @ sun)[:, None]
    up = normals[:, 2:3]
    light = sky_gain * (0.52 + 0.40 * up) + sun_gain * facing
    color = diffuse * light
    cosine = np.clip((normals * to_camera).sum(1), 0, 1)[:, None]
    mirror = 2 * cosine * normals - to_camera
    fresnel = gloss[:, None] * (0.22 + 0.78 * (1 - cosine) ** 3)
    # What a face mirrors: the street below, pale haze at the horizon, deeper sky above; facades darken the sides.
    height = mirror[:, 2:3]
    sky_mix = np.clip(height * 3.5 + 0.25, 0, 1)
    walls = 1.0 - 0.5 * np.clip(1.0 - np.abs(height - 0.18) * 4.0, 0, 1) * np.clip(np.abs(mirror[:, 1:2]) * 1.4, 0, 1)
    seen = (ground + sky_mix * (sky - ground)) * walls
    color = color * (1 - 0.6 * fresnel) + seen * fresnel
    glint = np.maximum(0.0, mirror @ sun)[:, None] ** 60
    return np.asarray(color + 190.0 * glint * gloss[:, None] * (sun_gain.sum() / 3.0), np.float64)
