"""Moving actors (cars, pedestrians, cyclists): each is a closed form of time and belongs to one block of the street.

A moving actor meets the camera at its block: it is at ``x`` when the camera is about there. Before
and after it is where its speed puts it, so it exists all the time and never pops into the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmt_seg_ros.street.camera import CameraPath
from cmt_seg_ros.street.layout import BLOCK_M, KERB_Y, LANE_Y, PAVEMENT_Y, Layout, StreetStyle
from cmt_seg_ros.street.noise import rng_of
from cmt_seg_ros.street.people import Person, make_person

_IDS_PER_BLOCK = 64
_ONCOMING = 9.0
"""Speed of oncoming cars, m/s: one for all, so they keep their distances."""


@dataclass(frozen=True)
class Actor:
    """One object of one kind (``car``, ``pedestrian``, ``bicyclist``) with its instance id.

    Attributes:
        x, y: metres at ``t0``.
        vx, vy: m/s; a crossing pedestrian moves in y only and only between the pavements.
        heading: radians, 0 = along the street.
        body, paint: numbers of a car's body and colour.
        person: looks of a person.
        y_stop: where a crossing ends (None = does not cross).
        sway: metres of slow lateral movement.
    """

    kind: str
    instance_id: int
    x: float
    y: float
    t0: float
    vx: float
    vy: float
    heading: float
    body: int = 0
    paint: int = 0
    person: Person | None = None
    y_stop: float | None = None
    sway: float = 0.0

    def at(self, t: float) -> tuple[float, float]:
        """Return (x, y) in metres at time ``t`` seconds."""
        dt = t - self.t0
        y = self.y + self.vy * dt + self.sway * math.sin(0.8 * dt + self.instance_id)
        if self.y_stop is not None:
            low, high = sorted((self.y, self.y_stop))
            y = min(max(y, low), high)
        return self.x + self.vx * dt, y

    def standing(self, t: float) -> bool:
        """Return whether a crossing pedestrian waits before or after the crossing."""
        return self.y_stop is not None and not 0 <= (t - self.t0) * abs(self.vy) <= abs(self.y_stop - self.y)

    def phase(self, t: float) -> float:
        """Return the phase of the stride or of the cranks, radians."""
        if self.standing(t):
            return 0.25
        travelled = math.hypot(self.vx, self.vy) * (t - self.t0)
        stride = 1.35 if self.kind == "bicyclist" or self.person is None else 4.3 / self.person.stride
        return stride * travelled + self.instance_id


class Traffic:
    """All actors of a street, block by block, and the car ahead."""

    def __init__(self, seed: int, style: StreetStyle, layout: Layout, path: CameraPath) -> None:
        self._seed, self._style, self._layout, self._path = seed, style, layout, path
        rng = rng_of(seed, 79)
        self._gap = (
            (30.0, 9.0, 0.0)
            if seed == 0
            else (float(rng.uniform(26, 38)), float(rng.uniform(4, 10)), float(rng.uniform(0, 6.3)))
        )
        self._lead_looks = (1, 3) if seed == 0 else (int(rng.integers(4)), int(rng.integers(64)))
        self._blocks: dict[int, tuple[Actor, ...]] = {}

    def lead_x(self, t: float) -> float:
        """Return the position of the car ahead along the street, metres."""
        mean, swing, phase = self._gap
        return self._path.x_at(t) + mean + swing * math.sin(0.21 * t + phase)

    def at(self, t: float) -> list[Actor]:
        """Return the actors that may be in sight at time ``t``."""
        here = math.floor(self._path.x_at(t) / BLOCK_M)
        hand = self._style.hand
        lead = Actor("car", 1, self.lead_x(t), hand * LANE_Y, t, 0.0, 0.0, 0.0, *self._lead_looks)
        return [lead] + [actor for index in range(here - 2, here + 7) for actor in self._block(index)]

    def _block(self, index: int) -> tuple[Actor, ...]:
        if index not in self._blocks:
            self._blocks[index] = tuple(self._make(index))
        return self._blocks[index]

    def _make(self, index: int) -> list[Actor]:
        rng = rng_of(self._seed, 83, index + 1_000_000)
        block = self._layout.block(index)
        first = 2 + (index % 1000 + 8) * _IDS_PER_BLOCK
        ids = iter(range(first, first + _IDS_PER_BLOCK))
        actors = [Actor("car", next(ids), c.x, c.y, 0.0, 0.0, 0.0, c.heading, c.body, c.paint) for c in block.cars]
        crossings = self._crossings(rng, index, ids)
        actors += self._walkers(rng, index, ids) + crossings + self._riders(rng, index, ids)
        return actors + [car for car in self._oncoming(rng, index, ids) if not _hits(car, crossings)]

    def _walkers(self, rng: np.random.Generator, index: int, ids: Iterator[int]) -> list[Actor]:
        walkers = []
        for _ in range(self._style.walkers):
            x = (index + rng.random()) * BLOCK_M
            side = float(rng.choice([-1.0, 1.0]))
            y = side * float(rng.uniform(KERB_Y + 1.3, PAVEMENT_Y - 0.5))
            speed = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.9, 1.6))
            t0 = self._path.time_at(x) - 2.5
            couple = 2 if rng.random() < 0.25 else 1
            for i in range(couple):
                at = y + i * 0.62 * (-1 if y > 0 else 1)
                heading = 0.0 if speed > 0 else math.pi
                walkers.append(
                    Actor(
                        "pedestrian",
                        next(ids),
                        x + 0.15 * i,
                        at,
                        t0,
                        speed,
                        0.0,
                        heading,
                        person=make_person(rng),
                        sway=0.06,
                    )
                )
        return walkers

    def _crossings(self, rng: np.random.Generator, index: int, ids: Iterator[int]) -> list[Actor]:
        """Return pedestrians who cross ahead of the camera, clear of it and of the car ahead."""
        block = self._layout.block(index)
        found: list[Actor] = []
        for _ in range(2):
            x = block.x0 + (11.0 if block.junction and rng.random() < 0.7 else float(rng.uniform(12, BLOCK_M - 6)))
            side = float(rng.choice([-1.0, 1.0]))
            speed = float(rng.uniform(1.25, 1.7))
            person = make_person(rng)
            start, stop = side * (KERB_Y + 0.7), -side * (KERB_Y + 0.7)
            number = next(ids)
            for lead_time in rng.uniform(2.0, 9.5, 10):
                t0 = self._path.time_at(x) - float(lead_time)
                actor = Actor(
                    "pedestrian",
                    number,
                    x,
                    start,
                    t0,
                    0.0,
                    -side * speed,
                    -side * math.pi / 2,
                    person=person,
                    y_stop=stop,
                )
                if self._clear(actor):
                    found.append(actor)
                    break
        return found

    def _clear(self, actor: Actor) -> bool:
        """Return whether neither the camera nor the car ahead is near while the walker is in their lane."""
        lane = self._style.hand * LANE_Y
        for t in np.arange(actor.t0, actor.t0 + 10.0, 0.2):
            x, y = actor.at(float(t))
            if abs(y - lane) < 1.7 and (
                -3.0 < x - self._path.x_at(float(t)) < 9.0 or abs(x - self.lead_x(float(t))) < 5.0
            ):
                return False
        return True

    def _riders(self, rng: np.random.Generator, index: int, ids: Iterator[int]) -> list[Actor]:
        riders = []
        for direction, chance in ((1.0, 0.6), (-1.0, 0.35)):
            if rng.random() < chance or (self._seed == 0 and index == 0):
                x = (index + float(rng.uniform(0.3, 0.7))) * BLOCK_M
                y = self._style.hand * direction * float(rng.uniform(2.95, 3.1))
                speed = direction * float(rng.uniform(4.0, 4.6))
                heading = 0.0 if direction > 0 else math.pi
                riders.append(
                    Actor(
                        "bicyclist",
                        next(ids),
                        x,
                        y,
                        self._path.time_at(x),
                        speed,
                        0.0,
                        heading,
                        person=make_person(rng),
                        sway=0.07,
                    )
                )
        return riders

    def _oncoming(self, rng: np.random.Generator, index: int, ids: Iterator[int]) -> list[Actor]:
        cars = []
        for slot in (0.2, 0.7):
            if rng.random() < 0.8:
                x = (index + slot + float(rng.uniform(-0.1, 0.1))) * BLOCK_M
                t0, lane = self._path.time_at(x), -self._style.hand * LANE_Y
                body, paint = (int(v) for v in rng.integers(0, 64, 2))
                cars.append(Actor("car", next(ids), x, lane, t0, -_ONCOMING, 0.0, math.pi, body, paint, sway=0.08))
        return cars


def _hits(car: Actor, crossings: list[Actor]) -> bool:
    """Return whether a car would drive into one of the walkers."""
    for walker in crossings:
        t = car.t0 + (walker.x - car.x) / car.vx
        if any(abs(walker.at(t + dt)[1] - car.y) < 1.6 for dt in (-0.4, 0.0, 0.4)):
            return True
    return False
