"""StreetScene: renders any frame of an endless street together with its exact ground truth.

A frame is built back to front: sky, ground, facades and gardens, then everything that stands or
moves on the street from far to near. Nothing on the street can be behind a facade (both it and the
camera are between the two fronts), so these two groups need no common order.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Protocol

import cv2
import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.street.actors import Actor, Traffic
from cmt_seg_ros.street.bodies import Patch, Place, draw_car, draw_person, draw_shadow, soft_box
from cmt_seg_ros.street.camera import CameraPath, View, make_path
from cmt_seg_ros.street.canvas import Canvas
from cmt_seg_ros.street.cars import PAINTS, CarMesh, make_cars
from cmt_seg_ros.street.facades import make_buildings, make_fences
from cmt_seg_ros.street.furniture import Furniture, make_furniture
from cmt_seg_ros.street.ground import GroundMaker
from cmt_seg_ros.street.impostors import PX_PER_M, Impostors
from cmt_seg_ros.street.layout import BLOCK_M, Block, Layout, Plant, Post, StreetStyle, make_style
from cmt_seg_ros.street.light import Light, Shader, make_light
from cmt_seg_ros.street.lots import LotPainter
from cmt_seg_ros.street.noise import rng_of, to_u8
from cmt_seg_ros.street.people import riding, walking
from cmt_seg_ros.street.plants import make_trees
from cmt_seg_ros.street.sky import Sky
from cmt_seg_ros.street.terrain import Terrain
from cmt_seg_ros.structures import U8, Frame, GroundTruth

_ID = {name: i for i, name in enumerate(CAMVID.names)}
_ACTOR_CLASS = {"car": _ID["Car"], "pedestrian": _ID["Pedestrian"], "bicyclist": _ID["Bicyclist"]}
_SIGHT_M, _TREE_SIGHT_M, _ACTOR_SIGHT_M = 170.0, 110.0, 85.0


_PHASES = 12
_PHASE_STEP = 2 * math.pi / _PHASES
"""Poses of a far walker or rider in one cycle."""


class _Draw(Protocol):
    def __call__(self, view: View, place: Place, haze: float) -> Patch | None: ...


@dataclass(frozen=True, eq=False)
class _Scenery:
    """What a street of a seed is made of, whatever the camera; while a frame is drawn, its ``lock`` is held."""

    light: Light
    style: StreetStyle
    shader: Shader
    lots: LotPainter
    trees: Sequence[list[U8]]
    furniture: Mapping[str, Furniture]
    cars: Sequence[tuple[CarMesh, CarMesh]]
    layout: Layout
    terrain: Terrain
    lock: threading.Lock = field(default_factory=threading.Lock)


@lru_cache(maxsize=3)
def _scenery_of(seed: int) -> _Scenery:
    """Make what takes two seconds; the last three, some 70 MB each, are kept."""
    light, style, buildings = make_light(seed), make_style(seed), make_buildings(seed)
    shader = Shader(light)
    lots = LotPainter(buildings, make_fences(seed), shader)
    layout = Layout(seed, style, tuple((b.width, b.height) for b in buildings))
    terrain = Terrain(GroundMaker(seed, style, light), layout, light)
    return _Scenery(light, style, shader, lots, make_trees(seed, light), make_furniture(), make_cars(), layout, terrain)


class StreetScene:
    """Camera drive along a street generated from a seed; the same arguments give the same bytes.

    Args:
        width: of the image, 64-4096 pixels.
        height: of the image, 64-4096 pixels.
        fps: frames per second, over 0.
        frames: length of the sequence, at least 1; the street itself has no end.
        seed: 0 or more; picks street, weather, traffic and camera.
        camera: name the frames carry.

    Raises:
        SourceError: an argument outside the ranges above.
    """

    labels = CAMVID

    def __init__(
        self,
        width: int = 640,
        height: int = 360,
        fps: float = 15.0,
        frames: int = 300,
        seed: int = 0,
        camera: str = "camera",
    ) -> None:
        _check(width, height, fps, frames, seed)
        self.width, self.height, self.fps = width, height, float(fps)
        self.frames, self.seed, self.camera = frames, seed, camera
        scenery = self._scenery = _scenery_of(seed)
        self._light, self._shader, self._terrain = scenery.light, scenery.shader, scenery.terrain
        self._lots, self._trees, self._layout = scenery.lots, scenery.trees, scenery.layout
        self._furniture, self._cars = scenery.furniture, scenery.cars
        self._path: CameraPath = make_path(seed, width, height, scenery.style.hand)
        with scenery.lock:
            self._traffic = Traffic(seed, scenery.style, self._layout, self._path)
        self._sky = Sky(seed, self._light, (height, width), self._path.intrinsics[0, 0])
        self._contact, self._cast = soft_box(0.45, 0.30), soft_box(0.35, self._light.shadow)
        self._impostors = Impostors()
        self._lens = self._make_lens()
        self._noise = self._make_noise()

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(i) for i in range(self.frames))

    def frame(self, index: int) -> Frame:
        """Draw one frame; the order of calls does not matter.

        Raises:
            IndexError: ``index`` outside 0 to ``len(self) - 1``.
        """
        if not 0 <= index < self.frames:
            raise IndexError(f"frame {index} does not exist; the scene has frames 0 to {self.frames - 1}")
        with self._scenery.lock:
            return self._draw(index)

    def _draw(self, index: int) -> Frame:
        t = index / self.fps
        view = self._path.view_at(t)
        canvas = Canvas((self.height, self.width))
        blocks = self._blocks_ahead(view)
        actors = self._actors_in_sight(view, t)
        # 1. What is behind everything.
        self._sky.draw(view, canvas.color, canvas.classes)
        self._terrain.draw(view, canvas)
        self._draw_shadows(view, canvas, actors)
        # 2. What lines the street, far to near.
        self._draw_lots(view, canvas, blocks)
        # 3. What stands and moves on it, far to near.
        self._draw_street(view, canvas, blocks, actors, t)
        # 4. Labels are done; the picture goes through lens and sensor.
        objectness = np.asarray(cv2.LUT(canvas.classes, CAMVID.is_object_lut), np.uint8)
        canvas.ids[objectness == 0] = 0
        truth = GroundTruth(canvas.classes, objectness, canvas.ids, None, view.pose, self._path.intrinsics.copy())
        return Frame(
            self.camera, round(index * 1e9 / self.fps), self._expose(canvas.color, index), "bgr8",
            f"{self.camera}_optical_frame", f"{index:06d}", truth,
        )  # fmt: skip

    # -- what is where ---------------------------------------------------------------------------

    def _blocks_ahead(self, view: View) -> list[Block]:
        """Return the blocks in sight, farthest first."""
        first = math.floor(view.position[0] / BLOCK_M)
        last = math.floor((view.position[0] + _SIGHT_M) / BLOCK_M)
        return [self._layout.block(i) for i in range(last, first - 1, -1)]

    def _actors_in_sight(self, view: View, t: float) -> list[tuple[float, Actor, Place]]:
        found = []
        for actor in self._traffic.at(t):
            x, y = actor.at(t)
            depth = view.depth_of(x, y)
            reach = 0.62 * view.width / view.focal * depth + 4.0
            if -3.0 < depth < _ACTOR_SIGHT_M and abs(y - view.position[1]) < reach:
                heading = actor.heading if not actor.standing(t) else actor.heading + 0.5
                found.append((depth, actor, Place(x, y, heading, self._terrain.sunlit(x, y))))
        return found

    def _draw_shadows(self, view: View, canvas: Canvas, actors: list[tuple[float, Actor, Place]]) -> None:
        """Darken the ground under near actors, and where they block the sun."""
        shift_x, shift_y = self._shader.shadow_shift
        for depth, actor, place in actors:
            x, y = place.x, place.y
            if not -1 < depth < (45 if actor.kind == "car" else 26):
                continue
            sunny = depth < 26 and place.sunlit > 0.5 and self._shader.shadow < 0.85
            if actor.kind == "car":
                length, width, height = self._cars[actor.body % len(self._cars)][0].size
                half, grown = 0.45 * height, (length + 0.8 * height * abs(shift_x), width + 0.8 * height * abs(shift_y))
                contact, along = (length + 0.5, width + 0.6), place.heading
            else:
                half, grown = 0.85, (1.75 * math.hypot(shift_x, shift_y) + 0.3, 0.55)
                contact, along = (0.8, 0.7) if actor.kind == "pedestrian" else (1.9, 0.6), math.atan2(shift_y, shift_x)
            if sunny:
                draw_shadow(canvas, view, self._cast, (x + half * shift_x, y + half * shift_y), along, grown)
            draw_shadow(canvas, view, self._contact, (x, y), place.heading, contact)

    def _draw_lots(self, view: View, canvas: Canvas, blocks: list[Block]) -> None:
        sides = [
            sorted((lot for block in blocks for lot in block.lots if lot.side == side), key=lambda lot: -lot.x0)
            for side in (1.0, -1.0)
        ]
        for lots in sides:
            self._lots.draw_buildings(view, canvas, lots)
        greens = [tree for block in blocks for tree in block.garden_trees if tree.x - view.position[0] < _TREE_SIGHT_M]
        for tree in sorted(greens, key=lambda tree: -tree.x):
            self._draw_tree(view, canvas, tree)
        for lots in sides:
            self._lots.draw_fences(view, canvas, lots)

    # -- the street itself -----------------------------------------------------------------------

    def _draw_street(
        self, view: View, canvas: Canvas, blocks: list[Block], actors: list[tuple[float, Actor, Place]], t: float
    ) -> None:
        items: list[tuple[float, Plant | Post | tuple[Actor, Place]]] = []
        for block in blocks:
            items += [(view.depth_of(p.x, p.y), p) for p in block.trees + block.posts]
        items += [(depth, (actor, place)) for depth, actor, place in actors]
        for _, item in sorted(items, key=lambda item: -item[0]):
            if isinstance(item, Plant):
                self._draw_tree(view, canvas, item)
            elif isinstance(item, Post):
                self._draw_post(view, canvas, item)
            else:
                self._draw_actor(view, canvas, *item, t)

    def _draw_tree(self, view: View, canvas: Canvas, tree: Plant) -> None:
        u, v, depth = view.pixel(tree.x, tree.y, 0.0)
        if 1.5 < depth < _TREE_SIGHT_M:
            height_px = v - view.pixel(tree.x, tree.y, tree.height)[1]
            mips = self._trees[tree.design % len(self._trees)]
            canvas.sprite(view, mips, (u, v), height_px, 0.5, self._shader.table("lit", depth), _ID["Tree"])

    def _draw_post(self, view: View, canvas: Canvas, post: Post) -> None:
        u, v, depth = view.pixel(post.x, post.y, 0.0)
        kind = self._furniture[post.kind]
        if depth < 1.5 or depth > kind.sight_m:
            return
        height_px = v - view.pixel(post.x, post.y, post.height)[1]
        table = self._shader.table("post", depth)
        canvas.sprite(view, kind.pole, (u, v), height_px, kind.foot, table, _ID["Pole"])
        if kind.sign is not None:
            canvas.sprite(view, kind.sign, (u, v), height_px, kind.foot, table, _ID["SignSymbol"])

    def _draw_actor(self, view: View, canvas: Canvas, actor: Actor, place: Place, t: float) -> None:
        depth = view.depth_of(place.x, place.y)
        px_per_m = view.focal / max(depth, 1.0)
        draw, key = self._drawing(actor, t, px_per_m)
        class_id = _ACTOR_CLASS[actor.kind]
        if px_per_m < PX_PER_M:
            table = self._shader.table("lit", depth)
            self._impostors.draw(canvas, view, key, partial(draw, haze=0.0), place, table, class_id, actor.instance_id)
            return
        patch = draw(view, place, haze=self._light.haze_at(depth))
        if patch is not None:
            canvas.premultiplied(patch.image, patch.x0, patch.y0, class_id, actor.instance_id)

    def _drawing(self, actor: Actor, t: float, px_per_m: float) -> tuple[_Draw, tuple[int, ...]]:
        """Return the function that draws an actor in a view, and the numbers that identify its appearance."""
        if actor.person is None:
            meshes = self._cars[actor.body % len(self._cars)]
            mesh = meshes[0 if px_per_m > 36.0 else 1]

            def draw_one(view: View, place: Place, haze: float) -> Patch | None:
                return draw_car(view, self._shader, mesh, place, actor.paint, haze)

            return draw_one, (0, actor.body % len(self._cars), actor.paint % len(PAINTS))
        phase = actor.phase(t)
        if px_per_m < PX_PER_M:
            phase = round(phase / _PHASE_STEP) % _PHASES * _PHASE_STEP
        person = actor.person

        def draw_other(view: View, place: Place, haze: float) -> Patch | None:
            limbs, wheels = walking(person, phase) if actor.kind == "pedestrian" else riding(person, phase)
            return draw_person(view, self._shader, limbs, wheels, place, haze)

        return draw_other, (1, actor.instance_id, round(phase / _PHASE_STEP))

    # -- lens and sensor -------------------------------------------------------------------------

    def _make_lens(self) -> U8:
        """Return (H, W, 3) uint8: vignette times exposure, 170 = 1."""
        y, x = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        r2 = ((x / self.width - 0.5) ** 2 + (y / self.height - 0.5) ** 2) / 0.5
        fall = 1.0 - 0.24 * r2**1.4
        return to_u8(fall[..., None] * np.asarray(self._light.exposure, np.float32) * 170.0)

    def _make_noise(self) -> U8:
        """Return (H + 64, W + 64, 3) uint8 sensor noise about 128."""
        rng = rng_of(self.seed, 89)
        sigma = 2.0 if self.seed == 0 else float(rng.uniform(1.2, 4.0))
        noise = rng.normal(0, sigma * 1.35, (self.height + 64, self.width + 64, 3)).astype(np.float32)
        return to_u8(cv2.GaussianBlur(noise, (3, 3), 0.45) + 128.0)

    def _expose(self, color: U8, index: int) -> U8:
        """Apply slight lens blur, vignette, exposure and a shifted cut of the noise."""
        x, y = (int(v) for v in rng_of(self.seed, 97, index).integers(0, 64, 2))
        image = cv2.GaussianBlur(color, (3, 3), 0.5)
        image = cv2.multiply(image, self._lens, scale=1.0 / 170.0)
        noise = self._noise[y : y + self.height, x : x + self.width]
        return np.asarray(cv2.addWeighted(image, 1.0, noise, 1.0, -128.0), np.uint8)


def _check(width: int, height: int, fps: float, frames: int, seed: int) -> None:
    for name, value in (("width", width), ("height", height)):
        if not 64 <= value <= 4096:
            raise SourceError(f"{name} of the scene is {value}; it must be 64 to 4096 pixels")
    if not (math.isfinite(fps) and fps > 0):
        raise SourceError(f"fps of the scene is {fps}; it must be over 0")
    if frames < 1:
        raise SourceError(f"frames of the scene is {frames}; it must be at least 1")
    if seed < 0:
        raise SourceError(f"seed of the scene is {seed}; it must be 0 or more")
