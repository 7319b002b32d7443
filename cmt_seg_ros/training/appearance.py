"""Appearance changes of training images that keep their labels: colour, light, weather, camera."""

from __future__ import annotations

import cv2
import numpy as np

from cmt_seg_ros.structures import U8


def recolour(image: U8, rng: np.random.Generator) -> U8:
    """Change gain per channel, gamma, contrast and saturation."""
    gain = rng.uniform(0.7, 1.35) * rng.uniform(0.9, 1.1, 3)
    gamma = np.exp(rng.uniform(-0.4, 0.4))
    ramp = np.linspace(0, 1, 256)[:, None] ** gamma
    contrast = rng.uniform(0.75, 1.3)
    lut = np.clip(((ramp - 0.5) * contrast + 0.5) * gain * 255, 0, 255).astype(np.uint8)
    return _saturate(_u8(cv2.LUT(image, lut[None])), rng.uniform(0.5, 1.4))


def restyle(image: U8, other: U8, strength: float) -> U8:
    """Move the colours towards another image's: mean and spread of each channel in CIE Lab (Reinhard et al. 2001).

    Args:
        image: (H, W, 3) uint8 blue-green-red.
        other: any size, uint8 blue-green-red.
        strength: 0 (unchanged) to 1.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    small = cv2.resize(other, (64, 48), interpolation=cv2.INTER_AREA)
    mean, spread = _mean_and_spread(lab)
    new_mean, new_spread = _mean_and_spread(_u8(cv2.cvtColor(small, cv2.COLOR_BGR2LAB)))
    gain = 1 + strength * (np.clip(new_spread / np.maximum(spread, 1), 0.4, 2.5) - 1)
    levels = np.arange(256)[:, None]
    lut = np.clip((levels - mean) * gain + mean + strength * (new_mean - mean), 0, 255).astype(np.uint8)
    return _u8(cv2.cvtColor(cv2.LUT(lab, lut[None]), cv2.COLOR_LAB2BGR))


def dusk(image: U8, rng: np.random.Generator) -> U8:
    """Reduce the light: dark shadows, a tint, less colour, sensor noise."""
    gamma, level = rng.uniform(1.0, 1.8), rng.uniform(0.5, 1.0)
    tint = 1 + rng.uniform(-0.15, 0.15, 3)
    ramp = np.linspace(0, 1, 256)[:, None] ** gamma * level * tint * 255
    dark = _saturate(_u8(cv2.LUT(image, np.clip(ramp, 0, 255).astype(np.uint8)[None])), rng.uniform(0.3, 0.9))
    noise = np.empty(image.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    cv2.randn(noise, 0, rng.uniform(1, 7))
    return _u8(cv2.add(dark, noise, dtype=cv2.CV_8U))


def shade(image: U8, rng: np.random.Generator) -> U8:
    """Change the light across the image: a slope from one side to the other, or the edge of a shadow."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    slope = np.cos(angle) * x + np.sin(angle) * y + rng.uniform(-0.5, 0.5)
    sharpness = np.exp(rng.uniform(np.log(0.7), np.log(20)))
    low, high = rng.uniform(0.4, 0.9), rng.uniform(1.0, 1.4)
    light = low + (high - low) / (1 + np.exp(-sharpness * slope))
    return np.clip(image * light[..., None].astype(np.float32), 0, 255).astype(np.uint8)


def defocus_or_noise(image: U8, rng: np.random.Generator, probability: float = 0.3) -> U8:
    """Add blur, noise or neither; blur as often as noise."""
    chance = rng.random()
    if chance < probability / 2:
        return _u8(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.2))))
    if chance < probability:
        noise = rng.normal(0, rng.uniform(2, 8), image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def _saturate(image: U8, saturation: float) -> U8:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return _u8(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0))


def _mean_and_spread(image: U8) -> tuple[np.ndarray, np.ndarray]:
    mean, spread = cv2.meanStdDev(image)
    return mean.ravel(), spread.ravel()


def _u8(image: object) -> U8:
    return np.asarray(image, dtype=np.uint8)
