"""Procedural noise and small drawing helpers for the textures of the synthetic street."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.structures import U8

F32 = npt.NDArray[np.float32]
Color = tuple[float, float, float]
"""Blue, green, red; 0-255 where it is a colour, around 1 where it is a gain."""


def rng_of(*keys: int) -> np.random.Generator:
    """Return a generator that depends only on the keys (non-negative integers)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(keys))))


def value_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float], periodic: bool = False
) -> F32:
    """Make smooth noise of one scale.

    Args:
        rng: source of randomness.
        shape: (H, W) of the result.
        cells: number of grid cells down and across.
        periodic: whether the result tiles without a seam.

    Returns:
        (H, W) float32, mean about 0, range about -1 to 1.
    """
    gh, gw = max(2, round(cells[0])), max(2, round(cells[1]))
    grid = rng.uniform(-1.0, 1.0, (gh, gw)).astype(np.float32)
    if not periodic:
        return np.asarray(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)
    # Resize a grid wrapped by two cells on each side, then cut the middle: both edges then agree.
    wrapped = np.pad(grid, 2, mode="wrap")
    big = (max(1, round(shape[1] * (gw + 4) / gw)), max(1, round(shape[0] * (gh + 4) / gh)))
    out = cv2.resize(wrapped, big, interpolation=cv2.INTER_CUBIC)
    y, x = round(2 * shape[0] / gh), round(2 * shape[1] / gw)
    return np.asarray(out[y : y + shape[0], x : x + shape[1]], np.float32)


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cells: tuple[float, float],
    octaves: int = 4,
    gain: float = 0.55,
    periodic: bool = False,
) -> F32:
    """Sum ``octaves`` of :func:`value_noise`, each twice as fine, ``gain`` times as strong; (H, W) float32."""
    total = np.zeros(shape, np.float32)
    weight, norm = 1.0, 0.0
    for octave in range(octaves):
        scale = 2**octave
        total += weight * value_noise(rng, shape, (cells[0] * scale, cells[1] * scale), periodic)
        norm += weight * weight
        weight *= gain
    return total / np.float32(np.sqrt(norm))


def to_u8(image: npt.NDArray[np.floating]) -> U8:
    """Round and saturate any array to uint8."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def solid(shape: tuple[int, int], color: Color) -> F32:
    """Return (H, W, 3) float32 of one colour."""
    return np.tile(np.asarray(color, np.float32), (*shape, 1))


def mip_chain(texture: U8, levels: int = 5) -> list[U8]:
    """Return the texture and its halvings, finest first, down to sides of 4 texels."""
    chain = [np.ascontiguousarray(texture)]
    while len(chain) < levels and min(chain[-1].shape[:2]) >= 8:
        h, w = chain[-1].shape[:2]
        chain.append(cv2.resize(chain[-1], (w // 2, h // 2), interpolation=cv2.INTER_AREA).astype(np.uint8))
    return chain
