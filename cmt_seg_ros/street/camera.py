"""Moving camera: its path along the street and the projection of points and planes.

World frame as in REP 103: x along the street, y left, z up, metres. Camera frame: x right, y down,
z forward. The camera never rolls, so each image row below the horizon sees the ground at one depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmt_seg_ros.street.noise import rng_of
from cmt_seg_ros.structures import F64

NEAR_M = 0.3


class View:
    """Pinhole view at one instant.

    Args:
        position: (x, y, z) of the camera in the world, metres.
        yaw: rotation to the left, radians.
        pitch: rotation upwards, radians.
        intrinsics: (3, 3) float64.
        size: (height, width) in pixels.
    """

    def __init__(
        self, position: tuple[float, float, float], yaw: float, pitch: float, intrinsics: F64, size: tuple[int, int]
    ) -> None:
        self.position = np.asarray(position, np.float64)
        self.yaw, self.pitch = yaw, pitch
        self.intrinsics = intrinsics
        self.height, self.width = size
        self.focal = float(intrinsics[0, 0])
        forward = np.array(
            [math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)], np.float64
        )
        right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
        self.rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
        world_to_camera = np.hstack([self.rotation.T, -self.rotation.T @ self.position[:, None]])
        self.matrix: F64 = intrinsics @ world_to_camera
        self._rows: list[list[float]] = self.matrix.tolist()

    @property
    def pose(self) -> F64:
        """(4, 4) float64, world from camera."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation
        pose[:3, 3] = self.position
        return pose

    def project(self, points: F64) -> tuple[F64, F64]:
        """Project world points to pixels and depths.

        Args:
            points: (..., 3) float64, metres.

        Returns:
            (..., 2) float64 pixel (x, y), and (...) float64 depth in metres. Depths under ``NEAR_M``
            are reported as they are, their pixels are meaningless.
        """
        h = points @ self.matrix[:, :3].T + self.matrix[:, 3]
        depth = h[..., 2]
        return h[..., :2] / np.maximum(depth, 1e-3)[..., None], depth

    def pixel(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Project one world point to pixel (x, y) and depth; faster than :meth:`project` for single points."""
        (a, b, c, d), (e, f, g, h), (i, j, k, m) = self._rows
        depth = i * x + j * y + k * z + m
        w = max(depth, 1e-3)
        return (a * x + b * y + c * z + d) / w, (e * x + f * y + g * z + h) / w, depth

    def depth_of(self, x: float, y: float) -> float:
        """Return the depth of a point on the ground, metres."""
        a, b, _, d = self._rows[2]
        return a * x + b * y + d

    def plane(self, origin: F64, across: F64, down: F64) -> F64:
        """Return the (3, 3) homography from texture pixels to image pixels.

        Args:
            origin: (3,) world point of texture pixel (0, 0).
            across: (3,) metres a texture pixel to the right.
            down: (3,) metres a texture pixel down.
        """
        frame = np.zeros((4, 3))
        frame[:3, 0], frame[:3, 1], frame[:3, 2], frame[3, 2] = across, down, origin, 1.0
        return np.asarray(self.matrix @ frame, np.float64)

    def clip(self, low: Sequence[float], high: Sequence[float]) -> tuple[int, int, int, int] | None:
        """Return (x0, y0, x1, y1) px of a bounding box inside the image, x1 and y1 exclusive; None if outside."""
        x0, y0 = max(0, math.floor(low[0])), max(0, math.floor(low[1]))
        x1, y1 = min(self.width, math.ceil(high[0]) + 1), min(self.height, math.ceil(high[1]) + 1)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None

    @property
    def horizon_row(self) -> float:
        """Image row of the horizon."""
        return float(self.intrinsics[1, 2] + self.focal * math.tan(self.pitch))

    def ground_depth(self, row: float) -> float:
        """Return the depth at which an image row sees the ground, metres; inf on and above the horizon."""
        y = (row - self.intrinsics[1, 2]) / self.focal
        fall = math.cos(self.pitch) * y - math.sin(self.pitch)
        return self.position[2] / fall if fall > 1e-9 else math.inf

    def ground_row(self, depth: float) -> float:
        """Return the image row that sees the ground at a depth; the inverse of :meth:`ground_depth`."""
        y = (self.position[2] / depth + math.sin(self.pitch)) / math.cos(self.pitch)
        return float(self.intrinsics[1, 2] + self.focal * y)


@dataclass(frozen=True)
class CameraPath:
    """Closed form of the drive: the view at any time is computed without those before it.

    Attributes:
        speed: mean speed along the street, m/s.
        lane_y: lateral position of the lane centre, metres (left positive).
        height: of the camera above the ground, metres.
        phases: (6,) of the slow variations, radians.
        intrinsics: (3, 3) float64.
        size: (height, width) of the image.
    """

    speed: float
    lane_y: float
    height: float
    phases: tuple[float, ...]
    intrinsics: F64
    size: tuple[int, int]

    def x_at(self, t: float) -> float:
        """Return the distance driven at time ``t`` seconds, metres."""
        p = self.phases
        return self.speed * t + 1.3 * (math.sin(0.45 * t + p[0]) - math.sin(p[0]))

    def time_at(self, x: float) -> float:
        """Estimate when the camera is at ``x``, from the mean speed only."""
        return x / self.speed

    def view_at(self, t: float) -> View:
        """Return the view at time ``t`` seconds."""
        p = self.phases
        y = self.lane_y + 0.16 * math.sin(0.31 * t + p[1]) + 0.05 * math.sin(0.9 * t + p[2])
        yaw = 0.009 * math.sin(0.37 * t + p[3]) + 0.16 * 0.31 / self.speed * math.cos(0.31 * t + p[1])
        bounce = 0.0016 * math.sin(5.3 * t + p[4]) + 0.0011 * math.sin(8.9 * t + p[5])
        return View(
            (self.x_at(t), y, self.height + 0.01 * math.sin(6.1 * t + p[5])),
            yaw,
            -0.022 + bounce,
            self.intrinsics,
            self.size,
        )


def make_path(seed: int, width: int, height: int, hand: float) -> CameraPath:
    """Make the drive of a seed; ``hand`` is -1 where traffic keeps right, 1 where it keeps left."""
    rng = rng_of(seed, 23)
    focal = 0.80 * max(width, height) * float(1.0 if seed == 0 else rng.uniform(0.9, 1.15))
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], np.float64)
    phases = tuple(float(v) for v in rng.uniform(0, 2 * math.pi, 6))
    speed = 7.2 if seed == 0 else float(rng.uniform(6.2, 8.4))
    camera_height = 1.5 if seed == 0 else float(rng.uniform(1.35, 1.85))
    return CameraPath(speed, hand * 1.6, camera_height, phases, intrinsics, (height, width))
