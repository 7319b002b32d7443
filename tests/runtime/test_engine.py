"""Devices of a chain: up to the better one when it is ready, down when it is lost.

The second device is OpenVINO's virtual one HETERO; it fails by a node of the graph that raises.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino as ov
import pytest
from support.tiny_package import write_package
from support.waiting import DEADLINE_S, until

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import DeviceError, FrameError, ModelError
from cmt_seg_ros.runtime import devices, engine, graphs
from cmt_seg_ros.runtime.engine import Engine
from cmt_seg_ros.runtime.model_package import ModelPackage
from cmt_seg_ros.structures import Frame

SPARE = "HETERO:CPU"
ALL = ("class_ids", "objectness", "confidence")


class Devices:
    """What the devices of one test do.

    Attributes:
        may_compile: by device; those that are missing compile at once.
        broken: set: the devices of ``breakable`` raise when they infer.
        failed: set as soon as one of them has raised.
        refused: so many compilations for SPARE fail before one succeeds.
    """

    def __init__(self) -> None:
        self.may_compile = {SPARE: threading.Event()}
        self.breakable = {SPARE}
        self.broken, self.failed = threading.Event(), threading.Event()
        self.refused = 0

    def release(self) -> None:
        """Let every compilation go on."""
        for event in self.may_compile.values():
            event.set()


class Breakable(ov.Op):
    """Hands its input on, or raises, as a device does that was unplugged."""

    def __init__(self, inputs: Any = None, devices: Devices | None = None) -> None:
        super().__init__(self)
        self.devices = devices
        if inputs is not None:
            self.set_arguments(inputs)
            self.constructor_validate_and_infer_types()

    def validate_and_infer_types(self) -> None:
        self.set_output_type(0, self.get_input_element_type(0), self.get_input_partial_shape(0))

    def clone_with_new_inputs(self, inputs: Any) -> Breakable:
        return Breakable(inputs, self.devices)

    def evaluate(self, outputs: Any, inputs: Any) -> bool:
        if self.devices is not None and self.devices.broken.is_set():
            self.devices.failed.set()
            raise RuntimeError("device lost")
        inputs[0].copy_to(outputs[0])
        return True

    def has_evaluate(self) -> bool:
        return True


class SeveralDevices(ov.Core):
    """Compiles as ``devices`` says."""

    devices: Devices

    def compile_model(self, model: ov.Model, device: str, options: Any = None) -> ov.CompiledModel:  # type: ignore[override]
        if device == SPARE and self.devices.refused:
            self.devices.refused -= 1
            raise RuntimeError("not back yet")
        if event := self.devices.may_compile.get(device):
            assert event.wait(DEADLINE_S)
        if device in self.devices.breakable:
            outputs = [Breakable([result.input_value(0)], self.devices).output(0) for result in model.get_results()]
            model = ov.Model(outputs, model.get_parameters(), "breakable")
            device, options = SPARE, {"INFERENCE_PRECISION_HINT": "f32"}
        return super().compile_model(model, device, options)


class Start(Protocol):
    def __call__(self, device: str = "CPU", live: bool = True, **changes: Any) -> Engine: ...


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return write_package(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def start(package: ModelPackage, tmp_path: Path) -> Iterator[Start]:
    """Makes engines; in the end they are closed, so that none tries a lost device during another test."""
    config = SegmentationConfig(str(package.folder), precision="f32", cache_dir=str(tmp_path))
    made: list[Engine] = []

    def start(device: str = "CPU", live: bool = True, **changes: Any) -> Engine:
        made.append(Engine(package, replace(config, device=device, **changes), live=live))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> Iterator[Devices]:
    found = Devices()

    def core() -> SeveralDevices:
        made = SeveralDevices()
        made.devices = found
        return made

    monkeypatch.setattr(engine.ov, "Core", core)
    yield found
    found.release()
    found.broken.clear()


def frame(camera: str = "a", height: int = 96, width: int = 160) -> Frame:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Frame(camera, 1, pixels)


def class_ids(engine: Engine, *frames: Frame) -> list[np.ndarray]:
    return [masks["class_ids"] for masks in engine.infer(frames, [ALL] * len(frames))]


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_live_starts_on_what_is_ready_first_and_moves_up(several: Devices, start: Start) -> None:
    made = start(f"{SPARE},CPU")
    assert made.device == "CPU" and f"{SPARE}: compiling" in made.device_reason
    (before,) = class_ids(made, frame())
    several.release()
    until(lambda: made.device == SPARE)
    assert "CPU: ready" in made.device_reason
    np.testing.assert_array_equal(class_ids(made, frame())[0], before)


def test_moves_up_only_once_all_that_is_used_is_compiled_there(several: Devices, start: Start) -> None:
    made, other = start(f"{SPARE},CPU"), frame("b", 70, 200)
    until(lambda: made.ready(other))
    several.release()
    until(lambda: made.device == SPARE)
    assert made.ready(other), "the camera would have to wait"


def test_not_live_the_device_stays(several: Devices, start: Start) -> None:
    several.release()
    made = start(f"{SPARE},CPU", live=False)
    class_ids(made, frame())
    several.broken.set()
    with pytest.raises(DeviceError, match=f"inference failed on {SPARE}: "):
        class_ids(made, frame())
    assert made.device == SPARE


def test_lost_device_is_left_without_losing_the_frame(several: Devices, start: Start) -> None:
    several.release()
    made = start(f"{SPARE},CPU")
    until(lambda: made.device == SPARE)
    (before,) = class_ids(made, frame())
    several.broken.set()
    np.testing.assert_array_equal(class_ids(made, frame())[0], before)
    assert made.device == "CPU" and f"{SPARE}: lost (" in made.device_reason


def test_the_device_is_lost_while_the_other_is_still_compiled_for(several: Devices, start: Start) -> None:
    several.release()
    several.may_compile["CPU"] = threading.Event()
    made = start(f"{SPARE},CPU")
    assert made.device == SPARE and "CPU: compiling" in made.device_reason
    (before,) = class_ids(made, frame())
    results: list[np.ndarray] = []
    several.broken.set()
    thread = in_thread(lambda: results.extend(class_ids(made, frame())))
    several.failed.wait(DEADLINE_S)
    several.release()
    thread.join(DEADLINE_S)
    np.testing.assert_array_equal(results, [before])
    assert made.device == "CPU" and f"{SPARE}: lost (" in made.device_reason


def test_two_devices_of_three_are_lost_at_once(several: Devices, start: Start) -> None:
    several.release()
    several.breakable.add("AUTO:CPU")
    made = start(f"{SPARE},AUTO:CPU,CPU")
    until(lambda: made.device == SPARE and "compiling" not in made.device_reason)
    (before,) = class_ids(made, frame())
    several.broken.set()
    np.testing.assert_array_equal(class_ids(made, frame())[0], before)
    assert made.device == "CPU" and made.device_reason.count("lost (") == 2


def test_closing_frees_a_frame_that_waits_for_a_device(several: Devices, start: Start) -> None:
    several.release()
    several.may_compile["CPU"] = threading.Event()
    made, errors = start(f"{SPARE},CPU"), list[Exception]()
    class_ids(made, frame())
    several.broken.set()

    def work() -> None:
        try:
            class_ids(made, frame())
        except DeviceError as error:
            errors.append(error)

    thread = in_thread(work)
    several.failed.wait(DEADLINE_S)
    made.close()
    thread.join(DEADLINE_S)
    assert len(errors) == 1 and not thread.is_alive()


def test_lost_device_is_used_again_when_it_is_back(
    several: Devices, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RETRY_S", 0.05)
    several.release()
    made = start(f"{SPARE},CPU")
    until(lambda: made.device == SPARE)
    several.broken.set()
    several.refused = 3
    several.may_compile[SPARE].clear()
    class_ids(made, frame())
    assert made.device == "CPU"
    several.broken.clear()
    several.release()
    until(lambda: made.device == SPARE)
    assert several.refused == 0, "it was tried again and again"
    class_ids(made, frame())
    assert made.device == SPARE


def test_the_only_device_that_fails_is_an_error_and_used_again(several: Devices, start: Start) -> None:
    several.release()
    made = start(SPARE, live=False)
    (before,) = class_ids(made, frame())
    several.broken.set()
    with pytest.raises(DeviceError, match=f"inference failed on {SPARE}: "):
        class_ids(made, frame())
    several.broken.clear()
    np.testing.assert_array_equal(class_ids(made, frame())[0], before)


def test_many_threads_lose_the_device_once(several: Devices, start: Start) -> None:
    several.release()
    made = start(f"{SPARE},CPU", num_requests=2)
    until(lambda: made.device == SPARE)
    (before,) = class_ids(made, frame())
    results: list[np.ndarray] = []

    def work() -> None:
        for _ in range(5):
            results.extend(class_ids(made, frame()))

    several.broken.set()
    for thread in [in_thread(work) for _ in range(3)]:
        thread.join(DEADLINE_S)
    assert len(results) == 15 and all(np.array_equal(r, before) for r in results)
    assert made.device == "CPU"


def test_new_size_is_compiled_beside_the_others(start: Start) -> None:
    made = start()
    assert made.ready(frame())
    assert made.ready(frame("large", 192, 320)), "the network sees it at the same size"
    other = frame("b", 70, 200)
    assert not made.ready(other), "nobody waits for a compilation"
    until(lambda: made.ready(other))
    assert set(made.infer([other], [ALL[:1]])[0]) == {"class_ids"}


def test_size_that_cannot_be_compiled_is_said(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    made = start()

    def refuse(*_: object) -> None:
        raise RuntimeError("Exception from somewhere\nshape is too large")

    monkeypatch.setattr(graphs, "build", refuse)
    other = frame("b", 70, 200)

    def refused() -> bool:
        try:
            made.ready(other)
        except FrameError as error:
            said = "the network cannot be compiled for 200x70 bgr8 on CPU: model tiny cannot be used: shape is"
            assert error.reason == "compile" and said in str(error)
            return True
        return False

    until(refused)


def test_cameras_of_one_network_size_are_one_batch(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    build = graphs.build

    def counted(package: ModelPackage, keys: Any) -> ov.Model:
        built.append(len(keys))
        return build(package, keys)

    monkeypatch.setattr(graphs, "build", counted)
    made = start(live=False)
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


def test_second_start_finds_the_compiled_network(start: Start) -> None:
    def loaded() -> bool:
        made = start(live=False)
        class_ids(made, frame())
        graph = made._graphs.any_of("CPU")
        assert graph is not None
        return bool(graph.compiled.get_property("LOADED_FROM_CACHE"))

    assert not loaded() and loaded()


def test_cache_that_cannot_be_written_costs_the_cache_only(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = start(live=False, cache_dir=str(tmp_path / "file" / "cache"))
    assert not made.cached and class_ids(made, frame())[0].shape == (96, 160)


def test_cache_does_not_grow_for_ever(tmp_path: Path) -> None:
    for k in range(4):
        path = tmp_path / f"{k}.blob"
        path.write_text("")
        os.utime(path, (k, k))
    assert devices.open_cache(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.blob", "3.blob"]


def test_any_error_of_a_compilation_is_told_to_who_waits_for_it(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    made = start()

    def fail(*_: object) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(graphs, "build", fail)
    other = frame("b", 70, 200)

    def told() -> bool:
        try:
            return not made.ready(other) and False
        except FrameError as error:
            return "nobody thought of this" in str(error)

    until(told)


def test_many_batches_do_not_push_out_what_is_used(start: Start) -> None:
    made = start(max_networks=2)
    cameras = [frame("a"), replace(frame("b"), encoding="rgb8")]
    for camera in cameras:
        until(lambda: made.ready(camera))  # noqa: B023
    for _ in range(5):
        made.infer(cameras, [ALL] * 2)
    assert sorted(len(keys) for keys in made._graphs.used("CPU")) == [1, 1]


@pytest.mark.parametrize(("device", "live"), [("CPU", False), ("CPU", True), (f"{SPARE},CPU", True)])
def test_model_that_cannot_be_used_is_no_fault_of_a_device(
    start: Start, monkeypatch: pytest.MonkeyPatch, device: str, live: bool
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Check 'a == b' failed at src/core/x.hpp:43:\nshapes are {1,2}\nthey must be equal.\n")

    monkeypatch.setattr(graphs, "build", fail)
    with pytest.raises(ModelError, match=r"^model tiny cannot be used: shapes are \{1,2\} they must be equal\.$"):
        start(device, live)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Exception from src/a.cpp:1:\nCheck 'x' failed at src/b.cpp:2:\nthe cause\n\n"), "the cause"),
        (RuntimeError("Exception from src/a.cpp:1:\n"), "Exception from src/a.cpp:1:"),
        (RuntimeError(""), "RuntimeError"),
        (ModelError("model.xml: the cause; export it again"), "model.xml: the cause; export it again"),
    ],
)
def test_cause_is_never_lost(error: Exception, said: str) -> None:
    assert devices.reason(error) == said


def test_openvinos_own_choice_of_device_is_named(start: Start) -> None:
    made = start("AUTO")
    assert class_ids(made, frame())[0].shape == (96, 160)
    assert made.device == "AUTO" and "AUTO runs it on CPU" in made.device_reason


def test_closing_begins_nothing_more(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    others, built, begun, go_on = {*threading.enumerate()}, list[int](), threading.Event(), threading.Event()
    made, build = start(), graphs.build

    def held(*arguments: Any) -> ov.Model:
        built.append(1)
        begun.set()
        assert go_on.wait(DEADLINE_S)
        return build(*arguments)

    monkeypatch.setattr(graphs, "build", held)
    for height in range(64, 128, 2):
        made.ready(frame("a", height))
    assert begun.wait(DEADLINE_S)
    made.close()
    made.close()
    go_on.set()
    until(lambda: {*threading.enumerate()} <= others)
    assert len(built) == 1
