"""Bags that were cut anywhere or overwritten somewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin
from support.bag_writing import ROS1, ROS2, image, storage_file, write_bag

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources import BagSource
from cmt_seg_ros.sources.bag import camera_topics
from cmt_seg_ros.structures import Frame

KINDS = (
    "mcap",
    "mcap storage",
    "mcap message",
    "mcap file",
    "db3",
    "db3 message",
    "db3 file",
    "ros1",
    "ros1 bz2",
    "ros1 lz4",
)
COUNT = 12


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (24, 24, 3), dtype=np.uint8) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory, pixels: list[np.ndarray]) -> dict[str, Path]:
    """A bag's file of each kind."""
    folder = tmp_path_factory.mktemp("bags")
    found = {}
    for kind in KINDS:
        format_, _, compression = kind.partition(" ")
        store, plugin = ROS1 if format_ == "ros1" else ROS2, StoragePlugin.MCAP
        if format_ == "db3":
            plugin = StoragePlugin.SQLITE3
        path = folder / (f"ros1{compression}.bag" if format_ == "ros1" else kind.replace(" ", "_"))
        messages = [image(store, i, p) for i, p in enumerate(pixels)]
        found[kind] = storage_file(write_bag(path, {"/i": messages}, store, plugin, compression))
    return found


def read(path: Path) -> tuple[list[Frame], dict[int, str], Problems]:
    """Frames, lost messages and problems; nothing where the bag is refused."""
    problems = Problems()
    frames: list[Frame] = []
    try:
        camera_topics(path, problems)
        source = BagSource(path, problems=problems)
        for frame in source:
            frames.append(frame)
    except SourceError:
        return frames, {}, problems
    return frames, source.lost, problems


@pytest.mark.parametrize("kind", KINDS)
def test_a_bag_that_was_cut_gives_its_first_frames(
    kind: str, bags: dict[str, Path], pixels: list[np.ndarray], tmp_path: Path
) -> None:
    data = bags[kind].read_bytes()
    cut = tmp_path / f"cut{''.join(bags[kind].suffixes)}"
    counts = []
    for size in range(0, len(data), 97):
        cut.write_bytes(data[:size])
        frames, lost, problems = read(cut)
        numbers = [int(f.name) for f in frames]
        assert sorted(numbers + list(lost)) == list(range(len(numbers) + len(lost)))
        assert all(np.array_equal(f.pixels, pixels[i]) for i, f in zip(numbers, frames, strict=True))
        assert problems.counts["damaged_bag"], size
        counts.append(len(frames))
    assert counts[0] == 0 and (counts[-1] >= COUNT - 2 or "file" in kind)
    if kind in ("mcap", "mcap message", "ros1"):  # nothing in them is compressed in larger pieces than messages
        assert set(range(COUNT)) <= set(counts) and counts == sorted(counts)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 0.999), rubbish=st.binary(min_size=1, max_size=40))
def test_a_bag_with_rubbish_in_it_raises_nothing_else(
    kind: str, bags: dict[str, Path], tmp_path: Path, place: float, rubbish: bytes
) -> None:
    data = bytearray(bags[kind].read_bytes())
    at = int(place * len(data))
    data[at : at + len(rubbish)] = rubbish
    damaged = tmp_path / f"damaged{''.join(bags[kind].suffixes)}"
    damaged.write_bytes(data)
    frames, _, _ = read(damaged)
    assert [f.name for f in frames] == sorted(f.name for f in frames)
