"""Speed and memory of trackers on an endless street of moving blobs with a constant number of objects."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.sources.masks import OBJECT
from cmt_seg_ros.structures import F64, U8, Segmentation
from cmt_seg_ros.tracking.tracker import Tracker
from support.measures import Median, rss_mb
from support.mot15 import component_boxes
from support.other_trackers import RIVALS, Rival, detections, segmentation, segments

FPS = 10.0
PERIOD = 120  # frames after which the street begins again, without a seam
SHOWN = 2 / 3  # of the period in which an object is there; long away, it comes back as another
OURS, OURS_IMAGE, OURS_BOXES = "ours, masks", "ours, masks and images", "ours, boxes"
COMPONENTS = "cv2.connectedComponentsWithStats"


@dataclass(frozen=True, eq=False)
class StreetFrame:
    """mask: (H, W) uint8 0/1; image: (H, W, 3) uint8; boxes: (n, 5) of the components, for other trackers."""

    mask: U8
    image: U8
    boxes: F64


def street(size: tuple[int, int], objects: int, crossing: bool) -> list[StreetFrame]:
    """One period of it.

    Args:
        size: (width, height), pixels.
        objects: how many are there at a time.
        crossing: they cross and cover each other, in a crowd; else each keeps to its place and touches nobody.
    """
    width, height = size
    random = np.random.default_rng(0)
    ground = random.integers(60, 120, (height, width, 3), np.uint8)
    people = round(objects / SHOWN)
    colours = random.integers(0, 256, (people, 3))
    phases = random.uniform(0, 2 * np.pi, (people, 2))
    axes = (max(3, width // 60), max(6, height // 18))
    if crossing:
        centres = random.uniform((0.15, 0.15), (0.85, 0.85), (people, 2)) * size
        reach = random.uniform(0.03, 0.15, (people, 2)) * size
    else:
        columns = math.ceil(math.sqrt(people))
        cell = np.array(size) / columns
        centres = (np.stack(np.divmod(np.arange(people), columns), axis=1)[:, ::-1] + 0.5) * cell
        reach = np.maximum(cell / 2 - axes - 2, 0) * random.uniform(0.3, 1.0, (people, 2))
    frames = []
    for k in range(PERIOD):
        mask, image = np.zeros((height, width), np.uint8), ground.copy()
        x, y = (centres + reach * np.sin(2 * np.pi * k / PERIOD + phases)).round().astype(int).T
        for i in range(people):
            if (k + i * PERIOD // people) % PERIOD < SHOWN * PERIOD:
                place = (int(x[i]), int(y[i])), axes, 0, 0, 360
                cv2.ellipse(mask, *place, 1, cv2.FILLED)
                cv2.ellipse(image, *place, colours[i].tolist(), cv2.FILLED)
        frames.append(StreetFrame(mask, image, component_boxes(mask, 0.0)))
    return frames


def measure_speed(frames: list[StreetFrame], rounds: int) -> dict[str, Median]:
    """CPU milliseconds a frame of each tracker, on one core: medians over rounds of the mean of a round.

    Frame by frame all take their turns, so that what else the machine does meets all of them; a round is one period;
    one before the first is not counted.
    """
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runners = _runners(frames[0].mask.shape)
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for number in track(range(rounds + 1), "rounds", transient=True):
        spent = dict.fromkeys(runners, 0.0)
        for k, frame in enumerate(frames):
            stamp_ns = round((number * len(frames) + k) * 1e9 / FPS)
            for name, (prepare, step) in runners.items():
                given = prepare(frame, stamp_ns)
                begun = time.process_time()
                step(given)
                spent[name] += time.process_time() - begun
        for name in runners if number else ():
            seconds[name].append(1e3 * spent[name] / len(frames))
    return {name: Median.of(values) for name, values in seconds.items()}


def measure_memory(frames: list[StreetFrame], count: int, with_images: bool) -> list[tuple[int, float]]:
    """Memory of this process while our tracker follows ``count`` frames: (frames so far, 1e6 bytes), ten times."""
    tracker = Tracker(OBJECT, TrackerConfig())
    known: list[tuple[int, float]] = []
    for number in track(range(1, count + 1), "memory", transient=True):
        frame, stamp_ns = frames[number % len(frames)], round(number * 1e9 / FPS)
        tracker.update(segmentation(frame.mask, stamp_ns), frame.image if with_images else None)
        if number * 10 // count > (number - 1) * 10 // count:
            known.append((number, rss_mb(os.getpid())))
    return known


def _runners(size: tuple[int, int]) -> dict[str, tuple[Callable[[StreetFrame, int], Any], Callable[[Any], Any]]]:
    """For each: what makes its input of a frame, not measured, and what takes it."""
    ours = {name: Tracker(OBJECT, TrackerConfig()) for name in (OURS, OURS_IMAGE, OURS_BOXES)}
    others = {name: Rival(name, FPS) for name in RIVALS}

    def given_boxes(frame: StreetFrame, stamp_ns: int) -> tuple[Any, int]:
        return segments(frame.boxes), stamp_ns

    def given_mask(frame: StreetFrame, stamp_ns: int) -> Segmentation:
        return segmentation(frame.mask, stamp_ns)

    def given_both(frame: StreetFrame, stamp_ns: int) -> tuple[Segmentation, U8]:
        return segmentation(frame.mask, stamp_ns), frame.image

    return {
        OURS: (given_mask, ours[OURS].update),
        OURS_IMAGE: (given_both, lambda given: ours[OURS_IMAGE].update(*given)),
        OURS_BOXES: (given_boxes, lambda given: ours[OURS_BOXES].update_segments(*given, size)),
        **{name: (lambda frame, _: detections(frame.boxes), rival.update) for name, rival in others.items()},
        COMPONENTS: (lambda frame, _: frame.mask, lambda mask: cv2.connectedComponentsWithStats(mask, connectivity=8)),
    }
