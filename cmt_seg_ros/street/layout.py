"""Street layout: blocks of fixed length, filled from a hash of their index.

Any block can be made without the ones before it; that is what lets the street run on for ever and
lets frame k be drawn without frame k-1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cmt_seg_ros.street.noise import Color, rng_of

BLOCK_M = 48.0
JUNCTION_M = 9.0
LANE_Y = 1.6
PARKING_Y = 4.25
KERB_Y = 5.3
TREE_Y = 6.05
PAVEMENT_Y = 8.3
FRONT_Y = 8.4
GARDEN_Y = 12.2


@dataclass(frozen=True)
class StreetStyle:
    """Style that one street keeps along its whole length. Colours are blue, green, red.

    Attributes:
        hand: -1.0 where traffic keeps right, 1.0 where it keeps left.
        asphalt, pavement, kerb: base colours.
        slab_m: (length, width) of a paving slab, metres.
        edge_lines: whether the parking lane is marked off.
        density: share of parking bays that are taken, 0-1.
        greenery: probability of a tree at a place for one, 0-1.
        garden: probability of a garden instead of a building, 0-1.
        walkers: people (or couples) that walk along a block.
    """

    hand: float
    asphalt: Color
    pavement: Color
    kerb: Color
    slab_m: tuple[float, float]
    edge_lines: bool
    density: float
    greenery: float
    garden: float
    walkers: int


def make_style(seed: int) -> StreetStyle:
    """Make the style of a seed."""
    rng = rng_of(seed, 41)
    if seed == 0:
        return StreetStyle(-1.0, (98, 95, 93), (146, 152, 158), (168, 172, 174), (0.6, 0.6), True, 0.4, 0.7, 0.25, 4)
    grey = rng.uniform(72, 122)
    pavements: tuple[Color, ...] = ((148, 154, 160), (124, 138, 156), (132, 134, 136), (112, 122, 146), (164, 170, 174))
    slabs = ((0.6, 0.6), (0.9, 0.6), (0.25, 0.4), (1.2, 1.2))
    return StreetStyle(
        float(rng.choice([-1.0, 1.0])),
        (grey * 1.02, grey, grey * float(rng.uniform(0.94, 1.03))),
        pavements[int(rng.integers(len(pavements)))],
        (168.0, 172.0, 174.0),
        slabs[int(rng.integers(len(slabs)))],
        bool(rng.random() < 0.6),
        float(rng.uniform(0.25, 0.6)),
        float(rng.uniform(0.35, 0.95)),
        float(rng.uniform(0.1, 0.45)),
        int(rng.integers(1, 6)),
    )


@dataclass(frozen=True)
class Lot:
    """A stretch of one side: ``kind`` building (a facade at ``front_y``) or garden (fence, trees behind)."""

    kind: str
    side: float
    x0: float
    x1: float
    front_y: float
    height: float
    design: int
    fence: int
    open_end: bool = False


@dataclass(frozen=True)
class Plant:
    """A tree: foot in the world, height in metres, which picture."""

    x: float
    y: float
    height: float
    design: int


@dataclass(frozen=True)
class Post:
    """A pole or a sign post: ``kind`` is a name of the furniture table."""

    x: float
    y: float
    height: float
    kind: str


@dataclass(frozen=True)
class ParkedCar:
    """A parked car: place along the street, side, body, paint."""

    x: float
    y: float
    heading: float
    body: int
    paint: int


@dataclass(frozen=True)
class Block:
    """Everything that stands still in ``[x0, x0 + BLOCK_M)``; the ``shadow_`` fields reach into the neighbours."""

    index: int
    x0: float
    junction: bool
    lots: tuple[Lot, ...]
    trees: tuple[Plant, ...]
    garden_trees: tuple[Plant, ...]
    posts: tuple[Post, ...]
    cars: tuple[ParkedCar, ...]
    shadow_lots: tuple[Lot, ...] = field(default=())
    shadow_trees: tuple[Plant, ...] = field(default=())
    shadow_poles: tuple[Post, ...] = field(default=())


class Layout:
    """Makes and keeps blocks.

    Args:
        seed: of the street.
        style: of the street.
        designs: (width m, height m) of each building design.
    """

    def __init__(self, seed: int, style: StreetStyle, designs: tuple[tuple[float, float], ...]) -> None:
        self._seed, self._style, self._designs = seed, style, designs
        self._bare: dict[int, Block] = {}
        self._full: dict[int, Block] = {}

    def block(self, index: int) -> Block:
        """Return a block by its index (may be negative)."""
        if index not in self._full:
            near = [self._make(index + d) for d in (-1, 0, 1)]
            block = near[1]
            self._full[index] = Block(
                block.index, block.x0, block.junction, block.lots, block.trees, block.garden_trees, block.posts,
                block.cars, tuple(lot for b in near for lot in b.lots),
                tuple(tree for b in near for tree in b.trees + b.garden_trees),
                tuple(post for b in near for post in b.posts),
            )  # fmt: skip
        return self._full[index]

    def _make(self, index: int) -> Block:
        if index not in self._bare:
            rng = rng_of(self._seed, 43, index + 1_000_000)
            x0 = index * BLOCK_M
            junction = index > 0 and bool(rng.random() < 0.4)
            start = x0 + (JUNCTION_M + 1.5 if junction else 0.0)
            lots = self._lots(rng, x0, start, 1.0) + self._lots(rng, x0, start, -1.0)
            self._bare[index] = Block(
                index, x0, junction, lots, self._trees(rng, start, x0), self._garden_trees(rng, lots),
                self._posts(rng, start, x0, junction), self._cars(rng, start, x0, junction),
            )  # fmt: skip
        return self._bare[index]

    def _lots(self, rng: np.random.Generator, x0: float, start: float, side: float) -> tuple[Lot, ...]:
        stop = x0 + BLOCK_M
        parts: list[tuple[str, float, int]] = []
        used = 0.0
        while used < stop - start - 4.0:
            design = int(rng.integers(len(self._designs)))
            garden = rng.random() < self._style.garden
            width = float(rng.uniform(7, 14)) if garden else self._designs[design][0]
            parts.append(("garden" if garden else "building", width, design))
            used += width
        scale = (stop - start) / used
        lots, x = [], start
        for i, (kind, width, design) in enumerate(parts):
            x1 = x + width * scale
            set_back = kind == "building" and rng.random() < 0.22
            front = GARDEN_Y - 1.2 if set_back else FRONT_Y
            height = self._designs[design][1] if kind == "building" else 0.0
            lots.append(Lot(kind, side, x, x1, front, height, design, int(rng.integers(64)), i == 0))
            x = x1
        return tuple(lots)

    def _trees(self, rng: np.random.Generator, start: float, x0: float) -> tuple[Plant, ...]:
        trees = []
        for side in (-1.0, 1.0):
            for x in np.arange(start + float(rng.uniform(3, 7)), x0 + BLOCK_M - 2, 11.0):
                if rng.random() < self._style.greenery:
                    height = float(rng.uniform(4.6, 7.8))
                    trees.append(Plant(float(x + rng.uniform(-1, 1)), side * TREE_Y, height, int(rng.integers(64))))
        return tuple(trees)

    def _garden_trees(self, rng: np.random.Generator, lots: tuple[Lot, ...]) -> tuple[Plant, ...]:
        trees = []
        for lot in lots:
            if lot.kind == "garden":
                for x in np.arange(lot.x0 + 1.5, lot.x1 - 1.0, 2.6):
                    y = lot.side * float(rng.uniform(GARDEN_Y - 1.5, GARDEN_Y + 3))
                    trees.append(
                        Plant(float(x + rng.uniform(-0.6, 0.6)), y, float(rng.uniform(3.5, 8.5)), int(rng.integers(64)))
                    )
        return tuple(trees)

    def _posts(self, rng: np.random.Generator, start: float, x0: float, junction: bool) -> tuple[Post, ...]:
        posts = [
            Post(start + 5.0, -5.75, 7.0, "lamp_right"),
            Post(start + 26.0, 5.75, 7.0, "lamp_left"),
        ]
        signs = ("speed", "warning", "parking", "no_stopping", "crossing", "direction")
        for x in np.arange(start + 2.0, x0 + BLOCK_M - 3, 8.0):
            if rng.random() < 0.55:
                side = -1.0 if rng.random() < 0.65 else 1.0
                kind = signs[int(rng.integers(len(signs)))]
                posts.append(Post(float(x + rng.uniform(0, 5)), side * 5.65, float(rng.uniform(2.5, 3.1)), kind))
        if junction:
            posts += [Post(x0 - 0.8, -5.7, 3.4, "signal"), Post(x0 - 0.8, 5.7, 3.4, "signal")]
        for x in np.arange(start + 1.0, start + 7.0, 1.5):
            posts.append(Post(float(x), 5.62 * float(rng.choice([-1.0, 1.0])), 0.95, "bollard"))
        return tuple(posts)

    def _cars(self, rng: np.random.Generator, start: float, x0: float, junction: bool) -> tuple[ParkedCar, ...]:
        cars = []
        first = start + (6.0 if junction else 1.5) + 2.8
        for side in (-1.0, 1.0):
            for x in np.arange(first, x0 + BLOCK_M - 4.0, 5.6):
                if rng.random() < self._style.density:
                    along = side == self._style.hand or rng.random() < 0.2
                    heading = (0.0 if along else np.pi) + float(rng.normal(0, 0.012))
                    y = side * (PARKING_Y + float(rng.normal(0, 0.07)))
                    cars.append(
                        ParkedCar(
                            float(x + rng.uniform(-0.3, 0.3)), y, heading, int(rng.integers(64)), int(rng.integers(64))
                        )
                    )
        return tuple(cars)
