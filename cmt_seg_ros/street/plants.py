"""Trees: a trunk with branches and a crown of many leaf dabs lit from the sun's side."""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.street.light import Light
from cmt_seg_ros.street.noise import mip_chain, rng_of
from cmt_seg_ros.structures import F64, U8

SIZE = 304
_ASPECT = 0.8
_LEAVES = 64
"""Dabs per clump."""


def make_trees(seed: int, light: Light, count: int = 6) -> list[list[U8]]:
    """Make mip chains of (SIZE, SIZE * 0.8, 4) uint8 pictures; the foot is the middle of the bottom edge."""
    return [mip_chain(_make_tree(rng_of(seed, 71, i), light)) for i in range(count)]


def _make_tree(rng: np.random.Generator, light: Light) -> U8:
    h, w = SIZE, round(SIZE * _ASPECT)
    leaf = np.asarray(light.leaf, np.float64) * rng.uniform(0.85, 1.15) * np.array([1.0, 1.0, rng.uniform(0.85, 1.25)])
    image = np.zeros((h, w, 4), np.uint8)
    image[..., :3] = np.clip(leaf * 0.6, 0, 255)
    _trunk(rng, image)
    blobs = _blobs(rng, w, h)
    # The sun as the picture sees it: to the right, up, towards the viewer (who looks along the street).
    sun = np.array([-light.sun[1], light.sun[2], -light.sun[0]])
    direct = float(np.mean(light.sun_gain)) / (float(np.mean(light.sun_gain)) + float(np.mean(light.sky_gain)))
    for depth in np.argsort([b[2] for b in blobs]):
        _leaves(rng, image, blobs[depth], leaf, sun, direct, (w / 2, h * 0.4, w * 0.45))
    return image


def _blobs(rng: np.random.Generator, w: int, h: int) -> list[tuple[float, float, float, float]]:
    """Return clumps (x, y, towards the viewer, radius) in pixels that fill an egg-shaped crown."""
    blobs = []
    rx, ry = w * rng.uniform(0.33, 0.40), h * rng.uniform(0.29, 0.34)
    for _ in range(60):
        direction = rng.normal(0, 1, 3)
        direction /= np.linalg.norm(direction)
        distance = rng.uniform(0.35, 1.0) ** 0.6
        x, y, z = direction * distance
        blobs.append((w / 2 + x * rx, h * 0.40 - y * ry, z * rx, float(rng.uniform(0.08, 0.14) * w)))
    return blobs


def _leaves(
    rng: np.random.Generator, image: U8, blob: tuple[float, float, float, float], leaf: F64, sun: F64,
    direct: float, crown: tuple[float, float, float],
) -> None:  # fmt: skip
    bx, by, bz, radius = blob
    offsets = rng.normal(0, 0.5, (_LEAVES, 3))
    facing = offsets @ sun / (np.linalg.norm(offsets, axis=1) + 1e-6)
    outward = np.array([(bx - crown[0]) / crown[2], (crown[1] - by) / crown[2], bz / crown[2]])
    sunny = np.clip(0.45 * facing + 0.75 * float(outward @ sun), -0.6, 1.0)
    ambient = 0.62 + 0.22 * outward[1] + 0.16 * outward[2]
    tone = ambient * (1 - 0.5 * direct) + direct * np.clip(sunny, 0, 1) * 0.85 + rng.normal(0, 0.07, _LEAVES)
    centres = np.stack([bx + offsets[:, 0] * radius, by - offsets[:, 1] * radius], 1)
    sizes, angles = rng.integers((2, 1), (6, 4), (_LEAVES, 2)).tolist(), rng.uniform(0, 180, _LEAVES).tolist()
    warm = 1.0 + 0.12 * np.array([-0.4, 0.3, 0.8]) * np.maximum(sunny, 0.0)[:, None]
    colors = np.clip(leaf * tone[:, None] * warm, 4, 250).tolist()
    pixels = np.rint(centres).astype(int).tolist()
    for i in np.argsort(offsets[:, 2] + 0.3 * facing, kind="stable").tolist():
        cv2.ellipse(image, pixels[i], sizes[i], angles[i], 0, 360, (*colors[i], 255.0), -1)


def _trunk(rng: np.random.Generator, image: U8) -> None:
    h, w = image.shape[:2]
    top, lean = h * 0.45, rng.uniform(-6, 6)
    for i, shade in enumerate((0.55, 0.85, 1.15, 0.95)):
        color = (*(float(c * shade) for c in (58, 72, 86)), 255.0)
        half = h * 0.016
        x0, x1 = w / 2 - half + i * half / 2, w / 2 - half + (i + 1) * half / 2
        shape = np.array([(x0 * 1.0 - (2 - i), h), (x1 + (i - 1), h), (x1 + lean, top), (x0 + lean, top)])
        cv2.fillConvexPoly(image, np.rint(shape).astype(np.int32), color)
    for _ in range(7):
        angle, length = rng.uniform(-1.0, 1.0), rng.uniform(0.14, 0.3) * h
        start = (int(w / 2 + lean * 0.8), int(h * rng.uniform(0.48, 0.6)))
        end = (int(start[0] + np.sin(angle) * length), int(start[1] - np.cos(angle) * length))
        cv2.line(image, start, end, (48.0, 60.0, 72.0, 255.0), int(rng.integers(2, 4)))
