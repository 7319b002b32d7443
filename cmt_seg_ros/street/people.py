"""Pedestrians and cyclists: skeletons of tapered limbs, posed by a closed form of time.

Body frame: x ahead, y left, z up, origin on the ground below the hips, metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cmt_seg_ros.street.noise import Color

Point = tuple[float, float, float]
SKINS: tuple[Color, ...] = ((150, 178, 220), (120, 152, 204), (88, 120, 172), (60, 84, 124))
HAIRS: tuple[Color, ...] = ((30, 34, 40), (42, 60, 86), (84, 128, 168), (24, 24, 26), (140, 144, 148))
TOPS: tuple[Color, ...] = (
    (60, 52, 170), (150, 96, 44), (62, 62, 66), (206, 210, 212), (84, 128, 60), (52, 140, 196), (120, 70, 110),
    (44, 40, 38), (170, 160, 110), (128, 132, 70),
)  # fmt: skip
_SHOES: tuple[Color, ...] = ((36, 36, 40), (210, 212, 214), (40, 52, 80))
BOTTOMS: tuple[Color, ...] = ((110, 76, 48), (44, 42, 40), (70, 96, 120), (96, 92, 88), (60, 48, 40), (130, 104, 74))


@dataclass(frozen=True)
class Limb:
    """A tapered capsule: ends, radii in metres, colour; limbs of the torso are shaded as one body."""

    a: Point
    b: Point
    ra: float
    rb: float
    color: Color
    torso: bool = False


@dataclass(frozen=True)
class Wheel:
    """A bicycle wheel: hub, radius in metres."""

    hub: Point
    radius: float


@dataclass(frozen=True)
class Person:
    """Appearance of one person, from a seed."""

    height: float
    skin: Color
    hair: Color
    top: Color
    bottom: Color
    shoes: Color
    skirt: bool
    coat: bool
    backpack: bool
    long_hair: bool
    stride: float
    frame: Color


def make_person(rng: np.random.Generator) -> Person:
    """Make a person of random appearance."""

    def pick(colors: tuple[Color, ...]) -> Color:
        return colors[int(rng.integers(len(colors)))]

    tall = 1.12 if rng.random() < 0.1 else float(rng.normal(1.72, 0.08))
    skirt = bool(rng.random() < 0.2)
    return Person(
        tall, pick(SKINS), pick(HAIRS), pick(TOPS), pick(BOTTOMS), pick(_SHOES), skirt,
        bool(rng.random() < 0.3), bool(rng.random() < 0.3), skirt or bool(rng.random() < 0.25),
        float(rng.uniform(0.9, 1.1)), pick(TOPS),
    )  # fmt: skip


def _knee(hip: Point, foot: Point, thigh: float, shin: float) -> Point:
    """Return the joint between two bones of given lengths, bent forwards."""
    dx, dz = foot[0] - hip[0], foot[2] - hip[2]
    reach = min(math.hypot(dx, dz), 0.999 * (thigh + shin))
    along = (thigh**2 - shin**2 + reach**2) / (2 * reach)
    out = math.sqrt(max(0.0, thigh**2 - along**2))
    ux, uz = dx / reach, dz / reach
    return hip[0] + ux * along - uz * out, (hip[1] + foot[1]) / 2, hip[2] + uz * along + ux * out


def walking(person: Person, phase: float) -> tuple[list[Limb], list[Wheel]]:
    """Return the limbs of a walker, and no wheels; ``phase`` in radians, 2 pi = two steps."""
    k = person.height / 1.75
    swing, bob = 0.40 * person.stride, 0.02 * math.cos(2 * phase)
    hip_z = (0.90 + bob) * k
    limbs: list[Limb] = []
    for side, at in ((1.0, phase), (-1.0, phase + math.pi)):
        hip = (0.0, side * 0.09 * k, hip_z)
        lift = max(0.0, math.cos(at)) * 0.13
        ankle = (math.sin(at) * swing * k, side * 0.085 * k, (0.09 + lift) * k)
        knee = _knee(hip, ankle, 0.44 * k, 0.42 * k)
        toe = (ankle[0] + 0.17 * k, ankle[1], ankle[2] - (0.05 - 0.3 * lift) * k)
        limbs.append(Limb(hip, knee, 0.088 * k, 0.062 * k, person.skin if person.skirt else person.bottom))
        limbs.append(Limb(knee, ankle, 0.060 * k, 0.042 * k, person.skin if person.skirt else person.bottom))
        limbs.append(Limb(ankle, toe, 0.048 * k, 0.036 * k, person.shoes))
    limbs += _trunk(person, k, (0.0, hip_z), (0.03 * k, hip_z + 0.50 * k))
    for side, at in ((1.0, phase + math.pi), (-1.0, phase)):
        shoulder = (0.02 * k, side * 0.19 * k, hip_z + 0.50 * k)
        angle = 0.55 * math.sin(at) * person.stride
        elbow = (shoulder[0] + math.sin(angle) * 0.28 * k, side * 0.235 * k, shoulder[2] - math.cos(angle) * 0.28 * k)
        bend = angle + 0.45
        hand = (elbow[0] + math.sin(bend) * 0.25 * k, side * 0.22 * k, elbow[2] - math.cos(bend) * 0.25 * k)
        limbs += [
            Limb(shoulder, elbow, 0.062 * k, 0.046 * k, person.top),
            Limb(elbow, hand, 0.045 * k, 0.033 * k, person.top),
        ]
        limbs.append(Limb(hand, (hand[0] + 0.02, hand[1], hand[2] - 0.07 * k), 0.036 * k, 0.028 * k, person.skin))
    if person.skirt or person.coat:
        color = person.bottom if person.skirt else person.top
        limbs.append(Limb((0.0, 0.0, hip_z + 0.05 * k), (0.0, 0.0, hip_z - 0.30 * k), 0.15 * k, 0.19 * k, color))
    return limbs, []


def _trunk(person: Person, k: float, hip: tuple[float, float], neck: tuple[float, float]) -> list[Limb]:
    """Return torso, neck, head, hair and perhaps a backpack between (x, z) of hips and shoulders."""
    limbs = []
    for y in (-0.085 * k, 0.085 * k):
        limbs.append(Limb((hip[0], y, hip[1]), (neck[0], y * 1.25, neck[1]), 0.105 * k, 0.095 * k, person.top, True))
    limbs.append(Limb((hip[0], 0.0, hip[1] - 0.01), (neck[0], 0.0, neck[1]), 0.11 * k, 0.11 * k, person.top, True))
    limbs.append(
        Limb((hip[0], -0.06 * k, hip[1] - 0.02), (hip[0], 0.06 * k, hip[1] - 0.02), 0.105 * k, 0.105 * k, person.bottom)
    )
    lean = (neck[0] - hip[0]) * 0.25
    head = (neck[0] + lean + 0.03 * k, 0.0, neck[1] + 0.25 * k)
    limbs.append(
        Limb(
            (neck[0], 0.0, neck[1] + 0.04 * k),
            (head[0] - 0.02, 0.0, head[2] - 0.06 * k),
            0.055 * k,
            0.05 * k,
            person.skin,
        )
    )
    limbs.append(
        Limb((head[0], 0.0, head[2] - 0.035 * k), (head[0], 0.0, head[2] + 0.03 * k), 0.085 * k, 0.098 * k, person.skin)
    )
    limbs.append(
        Limb(
            (head[0] - 0.035 * k, 0.0, head[2] + 0.0 * k),
            (head[0] - 0.005, 0.0, head[2] + 0.055 * k),
            0.092 * k,
            0.09 * k,
            person.hair,
        )
    )
    if person.long_hair:
        limbs.append(
            Limb(
                (head[0] - 0.06 * k, 0.0, head[2]),
                (neck[0] - 0.08 * k, 0.0, neck[1] + 0.02 * k),
                0.085 * k,
                0.07 * k,
                person.hair,
            )
        )
    if person.backpack:
        x = (hip[0] + neck[0]) / 2 - 0.15 * k
        limbs.append(
            Limb((x, 0.0, neck[1] - 0.04 * k), (x - 0.02, 0.0, hip[1] + 0.12 * k), 0.13 * k, 0.15 * k, person.frame)
        )
    return limbs


def riding(person: Person, phase: float) -> tuple[list[Limb], list[Wheel]]:
    """Return a rider's limbs with the bicycle's frame, and its wheels; ``phase`` of the cranks in radians."""
    k = person.height / 1.75
    r = 0.34
    rear, front, crank = (-0.52, 0.0, r), (0.52, 0.0, r), (-0.08, 0.0, 0.30)
    seat, bars = (-0.24, 0.0, 0.92), (0.40, 0.0, 0.98)
    tube = person.frame
    limbs = [
        Limb(a, b, 0.020, 0.020, tube)
        for a, b in ((rear, crank), (rear, seat), (crank, seat), (crank, bars), (seat, (0.38, 0.0, 0.84)))
    ]
    limbs += [
        Limb(front, bars, 0.018, 0.018, (70, 70, 72)),
        Limb((bars[0], -0.24, 1.0), (bars[0], 0.24, 1.0), 0.018, 0.018, (40, 40, 42)),
    ]
    limbs.append(Limb((-0.34, 0.0, 0.95), (-0.14, 0.0, 0.95), 0.055, 0.03, (30, 30, 32)))
    for side, at in ((1.0, phase), (-1.0, phase + math.pi)):
        pedal = (crank[0] + 0.16 * math.cos(at), side * 0.11, crank[2] + 0.16 * math.sin(at) + 0.06)
        hip = (seat[0] + 0.02, side * 0.09 * k, 0.98)
        knee = _knee(hip, pedal, 0.45 * k, 0.45 * k)
        limbs += [
            Limb(hip, knee, 0.088 * k, 0.064 * k, person.bottom),
            Limb(knee, pedal, 0.060 * k, 0.044 * k, person.bottom),
        ]
        limbs.append(
            Limb(
                (pedal[0] - 0.05, pedal[1], pedal[2]),
                (pedal[0] + 0.13, pedal[1], pedal[2] - 0.02),
                0.045,
                0.035,
                person.shoes,
            )
        )
    neck = (seat[0] + 0.28 * k, 1.0 + 0.46 * k)
    limbs += _trunk(person, k, (seat[0] + 0.02, 1.0), neck)
    for side in (1.0, -1.0):
        shoulder, hand = (neck[0], side * 0.19 * k, neck[1]), (bars[0], side * 0.22, 1.02)
        elbow = ((shoulder[0] + hand[0]) / 2 - 0.04, side * 0.27, (shoulder[2] + hand[2]) / 2 - 0.08)
        limbs += [
            Limb(shoulder, elbow, 0.058 * k, 0.045 * k, person.top),
            Limb(elbow, hand, 0.045 * k, 0.034 * k, person.skin),
        ]
    head = (neck[0] + 0.11 * k, 0.0, neck[1] + 0.29 * k)
    limbs.append(
        Limb((head[0] - 0.05, 0.0, head[2]), (head[0] + 0.05, 0.0, head[2] + 0.02), 0.10 * k, 0.09 * k, person.frame)
    )
    return limbs, [Wheel(rear, r), Wheel(front, r)]
