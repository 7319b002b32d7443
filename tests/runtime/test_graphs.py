"""Cameras that change the size of their images: what is compiled for them first, and what is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from support.tiny_package import write_package
from support.waiting import DEADLINE_S, until

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.runtime import graphs
from cmt_seg_ros.runtime.graph import GraphKey
from cmt_seg_ros.runtime.graphs import Graphs, Keys
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import Frame


class Core:
    """Compiles nothing, but counts; each compilation waits for ``go_on``."""

    def __init__(self) -> None:
        self.begun: list[Keys] = []
        self.go_on = threading.Semaphore(0)
        self.refuses = False

    def compile_model(self, keys: Keys, device: str, options: object) -> object:
        self.begun.append(keys)
        assert self.go_on.acquire(timeout=DEADLINE_S)
        if self.refuses:
            raise RuntimeError("no room")
        return object()

    def let(self, count: int) -> None:
        self.go_on.release(count)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return write_package(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Iterator[Core]:
    made = Core()
    monkeypatch.setattr(graphs, "build", lambda package, keys: keys)
    yield made
    made.let(1000)


def key(height: int) -> Keys:
    return (GraphKey(height, 640, "bgr8"),)


def make(package: ModelPackage, core: Any, folder: Path, clock: Clock | None = None, **settings: Any) -> Graphs:
    return Graphs(core, package, SegmentationConfig("tiny", cache_dir=str(folder), **settings), clock or Clock())


def test_only_the_newest_size_of_a_camera_waits_to_be_compiled(
    package: ModelPackage, core: Core, tmp_path: Path
) -> None:
    made = make(package, core, tmp_path)
    assert made.ready("CPU", key(100), "a") is None
    until(lambda: core.begun == [key(100)])
    for height in range(101, 200):
        made.ready("CPU", key(height), "a")
        made.ready("CPU", key(500), "b")
    assert made.compiling() == [key(100), key(199), key(500)], "of each camera the newest, in the order of their turn"
    core.let(3)
    until(lambda: not made.compiling())
    assert core.begun == [key(100), key(199), key(500)]
    assert made.ready("CPU", key(199), "a") is not None and made.ready("CPU", key(500), "b") is not None


def test_graphs_in_memory_are_the_last_used(package: ModelPackage, core: Core, tmp_path: Path) -> None:
    made = make(package, core, tmp_path, max_networks=4)
    core.let(1000)
    for height in range(100, 150):
        made.compile("CPU", key(height))
        made.compile("CPU", key(100))  # in use all the time
    assert made.used("CPU") == [key(147), key(148), key(149), key(100)]


def test_each_device_has_its_own_bound(package: ModelPackage, core: Core, tmp_path: Path) -> None:
    made = make(package, core, tmp_path, max_networks=2)
    core.let(1000)
    made.compile("CPU", key(100))
    for height in range(100, 110):
        made.compile("GPU", key(height))
    assert made.used("CPU") == [key(100)] and made.used("GPU") == [key(108), key(109)]


def test_memory_is_bounded_by_what_is_in_use(package: ModelPackage, core: Core, tmp_path: Path) -> None:
    clock = Clock()
    made = make(package, core, tmp_path, clock, max_networks_mb=1)
    core.let(1000)
    for k in range(20):
        clock.now = float(k)
        made.compile("CPU", key(1000 + k))
        assert len(made.used("CPU")) <= 3
    assert made.used("CPU") == [key(1018), key(1019)], "of the last two seconds"


def test_refusals_are_kept_for_a_bounded_number_of_sizes(package: ModelPackage, core: Core, tmp_path: Path) -> None:
    made = make(package, core, tmp_path, max_networks=3)
    core.refuses = True
    core.let(1000)
    for height in range(100, 110):
        made.ready("CPU", key(height), "a")
        until(lambda: made.refusal("CPU", key(height)) == "no room")  # noqa: B023
    assert [made.refusal("CPU", key(height)) for height in (106, 107, 109)] == ["", "no room", "no room"]


def test_graph_that_leaves_the_cache_while_it_infers_goes_on(package: ModelPackage, tmp_path: Path) -> None:
    made = make(package, ov.Core(), tmp_path, max_networks=2)
    frame = Frame("a", 1, np.full((96, 160, 3), 90, np.uint8))
    graph = made.compile("CPU", (GraphKey(96, 160, "bgr8"),))
    expected = graph.infer([frame], [("class_ids",)])[0]["class_ids"]
    for height in (98, 100):
        made.compile("CPU", (GraphKey(height, 160, "bgr8"),))
    assert graph.keys not in made.used("CPU")
    np.testing.assert_array_equal(graph.infer([frame], [("class_ids",)])[0]["class_ids"], expected)


def test_cache_folder_is_pruned_while_running(package: ModelPackage, tmp_path: Path) -> None:
    core = ov.Core()
    core.set_property({"CACHE_DIR": str(tmp_path)})
    made = make(package, core, tmp_path, max_cached_networks=2)
    for height in (96, 98, 100, 102):
        made.compile("CPU", (GraphKey(height, 160, "bgr8"),))
        assert 1 <= len(list(tmp_path.glob("*.blob"))) <= 2


def test_fault_of_the_model_is_told_as_one(
    package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Exception from src/core/src/model.cpp:706:\nOutput for name 'x' is not found.\n")

    monkeypatch.setattr(graphs, "build", fail)
    with pytest.raises(ModelError, match=r"^model tiny cannot be used: Output for name 'x' is not found\.$"):
        make(package, ov.Core(), tmp_path).compile("CPU", key(100))
