"""Devices of a chain: up to the better one when it is ready, down when it is lost.

The second device is OpenVINO's virtual one HETERO; it fails by a node of the graph that raises.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from support.tiny_package import write_package

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import DeviceError, FrameError
from cmt_seg_ros.runtime import devices, engine, graphs
from cmt_seg_ros.runtime.engine import Engine
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import Frame

SPARE = "HETERO:CPU"
ALL = ("class_ids", "objectness", "confidence")


class Breakable(ov.Op):
    """Hands its input on, or raises, as a device does that was unplugged."""

    broken = threading.Event()

    def __init__(self, inputs: Any = None) -> None:
        super().__init__(self)
        if inputs is not None:
            self.set_arguments(inputs)
            self.constructor_validate_and_infer_types()

    def validate_and_infer_types(self) -> None:
        self.set_output_type(0, self.get_input_element_type(0), self.get_input_partial_shape(0))

    def clone_with_new_inputs(self, inputs: Any) -> Breakable:
        return Breakable(inputs)

    def evaluate(self, outputs: Any, inputs: Any) -> bool:
        if Breakable.broken.is_set():
            raise RuntimeError("device lost")
        inputs[0].copy_to(outputs[0])
        return True

    def has_evaluate(self) -> bool:
        return True


class TwoDevices(ov.Core):
    """Compiles for the second device only once it is told to."""

    may_compile = threading.Event()
    refused = 0

    def compile_model(self, model: ov.Model, device: str, options: Any = None) -> ov.CompiledModel:  # type: ignore[override]
        if device == SPARE:
            if TwoDevices.refused:
                TwoDevices.refused -= 1
                raise RuntimeError("not back yet")
            assert TwoDevices.may_compile.wait(30.0)
            outputs = [Breakable([result.input_value(0)]).output(0) for result in model.get_results()]
            model = ov.Model(outputs, model.get_parameters(), "breakable")
            options = {"INFERENCE_PRECISION_HINT": "f32"}
        return super().compile_model(model, device, options)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return write_package(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def config(package: ModelPackage, tmp_path: Path) -> SegmentationConfig:
    return SegmentationConfig(str(package.folder), f"{SPARE},CPU", precision="f32", cache_dir=str(tmp_path))


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(engine.ov, "Core", TwoDevices)
    TwoDevices.may_compile.clear()
    Breakable.broken.clear()
    yield
    TwoDevices.may_compile.set()
    Breakable.broken.clear()


def frame(camera: str = "a", height: int = 96, width: int = 160) -> Frame:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Frame(camera, 1, pixels)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def class_ids(engine: Engine, *frames: Frame) -> list[np.ndarray]:
    return [masks["class_ids"] for masks in engine.infer(frames, [ALL] * len(frames))]


@pytest.mark.usefixtures("two_devices")
def test_live_starts_on_what_is_ready_first_and_moves_up(package: ModelPackage, config: SegmentationConfig) -> None:
    made = Engine(package, config, live=True)
    assert made.device == "CPU" and f"{SPARE}: compiling" in made.device_reason
    (before,) = class_ids(made, frame())
    TwoDevices.may_compile.set()
    until(lambda: made.device == SPARE)
    assert "CPU: ready" in made.device_reason
    np.testing.assert_array_equal(class_ids(made, frame())[0], before)


@pytest.mark.usefixtures("two_devices")
def test_moves_up_only_once_all_that_is_used_is_compiled_there(
    package: ModelPackage, config: SegmentationConfig
) -> None:
    made, other = Engine(package, config, live=True), frame("b", 70, 200)
    until(lambda: made.ready(other, ALL))
    TwoDevices.may_compile.set()
    until(lambda: made.device == SPARE)
    assert made.ready(other, ALL), "the camera would have to wait"


@pytest.mark.usefixtures("two_devices")
def test_not_live_the_device_stays(package: ModelPackage, config: SegmentationConfig) -> None:
    TwoDevices.may_compile.set()
    made = Engine(package, config)
    class_ids(made, frame())
    Breakable.broken.set()
    with pytest.raises(DeviceError, match=f"inference failed on {SPARE}: "):
        class_ids(made, frame())
    assert made.device == SPARE


@pytest.mark.usefixtures("two_devices")
def test_lost_device_is_left_without_losing_the_frame(package: ModelPackage, config: SegmentationConfig) -> None:
    TwoDevices.may_compile.set()
    made = Engine(package, config, live=True)
    until(lambda: made.device == SPARE)
    (before,) = class_ids(made, frame())
    Breakable.broken.set()
    np.testing.assert_array_equal(class_ids(made, frame())[0], before)
    assert made.device == "CPU" and f"{SPARE}: lost (" in made.device_reason


@pytest.mark.usefixtures("two_devices")
def test_lost_device_is_used_again_when_it_is_back(
    package: ModelPackage, config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RETRY_S", 0.05)
    TwoDevices.may_compile.set()
    made = Engine(package, config, live=True)
    until(lambda: made.device == SPARE)
    Breakable.broken.set()
    TwoDevices.refused = 3
    class_ids(made, frame())
    assert made.device == "CPU"
    Breakable.broken.clear()
    until(lambda: made.device == SPARE)
    assert TwoDevices.refused == 0, "it was tried again and again"
    class_ids(made, frame())
    assert made.device == SPARE


@pytest.mark.usefixtures("two_devices")
def test_the_only_device_that_fails_is_an_error_and_used_again(
    package: ModelPackage, config: SegmentationConfig
) -> None:
    TwoDevices.may_compile.set()
    made = Engine(package, replace(config, device=SPARE))
    (before,) = class_ids(made, frame())
    Breakable.broken.set()
    with pytest.raises(DeviceError, match=f"inference failed on {SPARE}: "):
        class_ids(made, frame())
    Breakable.broken.clear()
    np.testing.assert_array_equal(class_ids(made, frame())[0], before)


@pytest.mark.usefixtures("two_devices")
def test_many_threads_lose_the_device_once(package: ModelPackage, config: SegmentationConfig) -> None:
    TwoDevices.may_compile.set()
    made = Engine(package, replace(config, num_requests=2), live=True)
    until(lambda: made.device == SPARE)
    (before,) = class_ids(made, frame())
    results: list[np.ndarray] = []

    def work() -> None:
        for _ in range(5):
            results.extend(class_ids(made, frame()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    Breakable.broken.set()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert len(results) == 15 and all(np.array_equal(r, before) for r in results)
    assert made.device == "CPU"


def test_new_size_is_compiled_beside_the_others(package: ModelPackage, config: SegmentationConfig) -> None:
    made = Engine(package, replace(config, device="CPU"), live=True)
    assert made.ready(frame(), ALL)
    other = frame("b", 70, 200)
    assert not made.ready(other, ALL[:1]), "nobody waits for a compilation"
    until(lambda: made.ready(other, ALL[:1]))
    until(lambda: set(made.infer([other], [ALL[:1]])[0]) == {"class_ids"})


def test_size_that_cannot_be_compiled_is_said(
    package: ModelPackage, config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Engine(package, replace(config, device="CPU"), live=True)

    def refuse(*_: object) -> None:
        raise RuntimeError("Exception from somewhere\nshape is too large")

    monkeypatch.setattr(graphs, "build", refuse)
    other = frame("b", 70, 200)

    def refused() -> bool:
        try:
            made.ready(other, ALL)
        except FrameError as error:
            assert error.reason == "compile" and "cannot compile the network for 200x70 bgr8: shape is" in str(error)
            return True
        return False

    until(refused)


def test_cameras_of_one_network_size_are_one_batch(
    package: ModelPackage, config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    build = graphs.build

    def counted(package: ModelPackage, keys: Any, config: SegmentationConfig) -> ov.Model:
        built.append(len(keys))
        return build(package, keys, config)

    monkeypatch.setattr(graphs, "build", counted)
    made = Engine(package, replace(config, device="CPU"))
    grey = replace(frame("grey", 192, 320), pixels=frame("grey", 192, 320).pixels[:, :, 0].copy(), encoding="mono8")
    frames = [frame("a"), frame("large", 192, 320), grey, frame("other", 70, 200)]
    alone = [class_ids(made, f)[0] for f in frames]
    built.clear()
    together = class_ids(made, *frames)
    assert built == [3], "three sizes and encodings that the network sees alike, and one that it does not"
    for found, expected in zip(together, alone, strict=True):
        assert np.mean(found == expected) > 0.999
    class_ids(made, *frames[::-1])
    assert built == [3], "the order does not matter"


def test_second_start_finds_the_compiled_network(package: ModelPackage, config: SegmentationConfig) -> None:
    def loaded() -> bool:
        made = Engine(package, replace(config, device="CPU"))
        class_ids(made, frame())
        graph = made._graphs.any_of("CPU")
        assert graph is not None
        return bool(graph.compiled.get_property("LOADED_FROM_CACHE"))

    assert not loaded() and loaded()


def test_cache_that_cannot_be_written_costs_the_cache_only(
    package: ModelPackage, config: SegmentationConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    made = Engine(package, replace(config, device="CPU", cache_dir=str(tmp_path / "file" / "cache")))
    assert not made.cached and class_ids(made, frame())[0].shape == (96, 160)


def test_cache_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "BLOBS_KEPT", 2)
    for k in range(4):
        path = tmp_path / f"{k}.blob"
        path.write_text("")
        os.utime(path, (k, k))
    assert devices.open_cache(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.blob", "3.blob"]


def test_any_error_of_a_compilation_is_told_to_who_waits_for_it(
    package: ModelPackage, config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Engine(package, replace(config, device="CPU"), live=True)

    def fail(*_: object) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(graphs, "build", fail)
    other = frame("b", 70, 200)

    def told() -> bool:
        try:
            return not made.ready(other, ALL) and False
        except FrameError as error:
            return "nobody thought of this" in str(error)

    until(told)


def test_many_batches_do_not_push_out_what_is_used(
    package: ModelPackage, config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "MAX_GRAPHS", 2)
    made = Engine(package, replace(config, device="CPU"), live=True)
    cameras = [frame("a"), frame("b", 192, 320)]
    for camera in cameras:
        until(lambda: made.ready(camera, ALL))  # noqa: B023
    for _ in range(5):
        made.infer(cameras, [ALL] * 2)
    assert sorted(len(keys) for keys in made._graphs.used("CPU")) == [1, 1]


def test_openvinos_own_choice_of_device_is_named(package: ModelPackage, config: SegmentationConfig) -> None:
    made = Engine(package, replace(config, device="AUTO"), live=True)
    assert class_ids(made, frame())[0].shape == (96, 160)
    assert made.device == "AUTO" and "AUTO runs it on CPU" in made.device_reason


def test_closing_begins_nothing_more(package: ModelPackage, config: SegmentationConfig) -> None:
    made = Engine(package, replace(config, device="CPU"), live=True)
    for height in range(64, 128, 2):
        made.ready(frame("a", height), ALL)
    made.close()
    made.close()
    assert len(made._graphs.used("CPU")) < 10
