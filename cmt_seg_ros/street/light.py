"""Time of day and weather: position of the sun, colours of light, sky and haze."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cmt_seg_ros.street.noise import Color, rng_of
from cmt_seg_ros.structures import F64, U8


@dataclass(frozen=True)
class Light:
    """One weather. Colours are blue, green, red.

    Attributes:
        sun: unit vector to the sun in the world frame (x along the street, y left, z up).
        sun_gain: direct light on a surface that faces the sun, per channel.
        sky_gain: light from the whole sky on a surface that faces up, per channel.
        zenith, horizon: sky colours, 0-255.
        haze: colour that far things fade to, 0-255.
        haze_per_m: strength of the haze, 1/m.
        cloud_cover: 0 (clear) to 1 (overcast).
        exposure: gain of the whole picture, per channel (brightness and white balance).
        leaf: colour of foliage, 0-255 (season).
    """

    sun: tuple[float, float, float]
    sun_gain: Color
    sky_gain: Color
    zenith: Color
    horizon: Color
    haze: Color
    haze_per_m: float
    cloud_cover: float
    exposure: Color
    leaf: Color

    @property
    def shadow(self) -> float:
        """Light left on the ground inside a cast shadow, 0-1 (1 = no visible shadow)."""
        direct = float(np.mean(self.sun_gain)) * self.sun[2]
        return float(np.mean(self.sky_gain)) / (float(np.mean(self.sky_gain)) + direct)

    @property
    def shadow_shift(self) -> tuple[float, float]:
        """(x, y) in metres by which the shadow of a point 1 m above the ground is displaced."""
        return -self.sun[0] / self.sun[2], -self.sun[1] / self.sun[2]

    def gain(self, normal: tuple[float, float, float]) -> F64:
        """Return the (3,) light on a surface with this normal; 1 on open ground."""
        facing = max(0.0, float(np.dot(self.sun, normal)))
        open_sky = 0.66 + 0.34 * normal[2]
        light = np.asarray(self.sky_gain) * open_sky + np.asarray(self.sun_gain) * facing
        ground = np.asarray(self.sky_gain) + np.asarray(self.sun_gain) * self.sun[2]
        return np.asarray(light / float(np.mean(ground)), np.float64)

    def haze_at(self, depth_m: float) -> float:
        """Return the share of the haze colour at a distance, 0-1."""
        return 1.0 - math.exp(-self.haze_per_m * max(0.0, depth_m - 8.0))


_SURFACES: dict[str, tuple[float, float, float]] = {
    "left": (0.0, -1.0, 0.0),
    "right": (0.0, 1.0, 0.0),
    "end": (-1.0, 0.0, 0.0),
    "left roof": (0.0, -0.56, 0.83),
    "right roof": (0.0, 0.56, 0.83),
    "post": (-0.8, 0.0, 0.3),
}
"""Normals of the flat surfaces by what they are (``left``: a front on the left side of the street)."""


class Shader:
    """Lookup tables of the light that drawing needs repeatedly, computed once.

    Attributes:
        light: the weather.
        sun: (3,) unit vector to the sun.
        sun_gain, sky_gain: (3,) per channel, such that open ground gets 1.
        haze: (3,) colour, 0-255.
        mirror: (3,) colour of the sky in shiny things, 0-255.
        shadow: light left in a cast shadow, 0-1.
        shadow_shift: (x, y) metres per metre of height.
    """

    def __init__(self, light: Light) -> None:
        self.light = light
        norm = float(np.mean(light.sky_gain) + np.mean(light.sun_gain) * light.sun[2])
        self.sun: F64 = np.asarray(light.sun)
        self.sun_gain: F64 = np.asarray(light.sun_gain) / norm
        self.sky_gain: F64 = np.asarray(light.sky_gain) / norm
        self.haze: F64 = np.asarray(light.haze)
        self.mirror: F64 = np.asarray(light.horizon) * 0.92
        self.shadow, self.shadow_shift = light.shadow, light.shadow_shift
        self._gains = {name: light.gain(normal) for name, normal in _SURFACES.items()}
        self._gains["lit"] = np.ones(3)
        self._tables: dict[tuple[str, int], U8] = {}

    def table(self, surface: str, depth_m: float) -> U8:
        """Return a (256, 1, 3) uint8 table for a surface at a depth (``lit``: a picture with its light painted in)."""
        key = (surface, int(depth_m / 2.0))
        if key not in self._tables:
            h = self.light.haze_at(key[1] * 2.0 + 1.0)
            ramp = np.arange(256, dtype=np.float64)[:, None] * (self._gains[surface] * (1.0 - h))[None, :]
            self._tables[key] = np.clip(ramp + h * np.asarray(self.light.haze) + 0.5, 0, 255).astype(np.uint8)[
                :, None, :
            ]
        return self._tables[key]


# name: (sun elevation range in degrees, sun, sky, zenith, horizon, haze, haze per m, clouds)
_WEATHERS: tuple[tuple[tuple[float, float], Color, Color, Color, Color, Color, float, float], ...] = (
    ((38, 52), (0.78, 0.92, 1.0), (0.50, 0.44, 0.40), (205, 140, 78), (238, 220, 200), (226, 212, 198), 0.0042, 0.45),
    ((22, 30), (0.62, 0.86, 1.08), (0.48, 0.42, 0.40), (190, 146, 104), (196, 214, 236), (190, 204, 222), 0.0055, 0.35),
    ((45, 60), (0.14, 0.15, 0.15), (0.86, 0.84, 0.82), (206, 200, 194), (224, 222, 218), (214, 212, 208), 0.0065, 1.0),
    ((30, 42), (0.48, 0.54, 0.58), (0.60, 0.56, 0.53), (208, 176, 142), (230, 226, 220), (222, 218, 212), 0.0085, 0.7),
    ((50, 62), (0.92, 0.98, 1.0), (0.44, 0.37, 0.32), (196, 118, 52), (236, 212, 182), (226, 208, 184), 0.0032, 0.2),
)
_LEAVES: tuple[Color, ...] = ((48, 104, 74), (52, 116, 92), (44, 92, 60), (50, 128, 124), (58, 112, 66))


def make_light(seed: int) -> Light:
    """Make the weather of a seed; seed 0: partly cloudy early afternoon, the sun behind the left shoulder."""
    rng = rng_of(seed, 11)
    index = 0 if seed == 0 else int(rng.integers(len(_WEATHERS)))
    (low, high), sun_gain, sky_gain, zenith, horizon, haze, per_m, cover = _WEATHERS[index]
    elevation = np.radians(rng.uniform(low, high))
    # Mostly behind the camera, so that what it sees is lit; seldom ahead.
    azimuth = np.radians(rng.uniform(118, 155) if rng.random() < 0.75 else rng.uniform(25, 60))
    side = 1.0 if seed == 0 else float(rng.choice([-1.0, 1.0]))
    sun = (
        float(np.cos(elevation) * np.cos(azimuth)),
        float(side * np.cos(elevation) * np.sin(azimuth)),
        float(np.sin(elevation)),
    )
    brightness = 1.2 if seed == 0 else float(rng.uniform(0.98, 1.36))
    tint = np.ones(3) if seed == 0 else rng.uniform(0.96, 1.04, 3)
    exposure = (float(brightness * tint[0]), float(brightness * tint[1]), float(brightness * tint[2]))
    leaf = _LEAVES[1 if seed == 0 else int(rng.integers(len(_LEAVES)))]
    return Light(sun, sun_gain, sky_gain, zenith, horizon, haze, per_m, cover, exposure, leaf)
