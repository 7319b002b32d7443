"""Several requests at a time: every frame comes out once, in order, as without any threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.waiting import DEADLINE_S, until

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.runtime.batching import Batcher
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.runtime.runner import Runner
from cmt_seg_ros.structures import Frame, Segmentation

MASKS = ("class_ids", "objectness")
MASK_NAMES = ("class_ids", "objectness", "confidence")
JPEG = np.frombuffer(cv2.imencode(".jpg", np.full((96, 160, 3), 90, np.uint8))[1].tobytes(), np.uint8)


@pytest.fixture(scope="module")
def config(tiny: str) -> SegmentationConfig:
    return SegmentationConfig(tiny, "CPU", num_requests=3, max_batch_size=2, drop_policy="none")


class Results:
    """What came out, in the order it came."""

    def __init__(self) -> None:
        self.delivered: list[Segmentation] = []
        self.refused: list[tuple[str, int, FrameError]] = []

    def deliver(self, frame: Frame, result: Segmentation) -> None:
        self.delivered.append(result)

    def refuse(self, frame: Frame, error: FrameError) -> None:
        self.refused.append((frame.camera, frame.stamp_ns, error))

    def until(self, count: int) -> None:
        until(lambda: len(self.delivered) + len(self.refused) >= count, f"{count} frames")


def frames(count: int) -> list[Frame]:
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (96, 160, 3)).astype(np.uint8) for _ in range(8)]
    cameras = itertools.cycle(("a", "b", "c"))
    return [Frame(next(cameras), stamp, pixels[stamp % 8]) for stamp in range(1, count + 1)]


def run(
    pipeline: Pipeline, frames: list[Frame], deliver: Callable[[Frame, Segmentation], None] | None = None
) -> Results:
    """Put all frames through, lossless."""
    results = Results()
    batcher = Batcher(pipeline.config.max_batch_size, 0.0, True, lambda *_: pytest.fail("lossless dropped a frame"))
    runner = Runner(pipeline, batcher, deliver or results.deliver, results.refuse)
    for frame in frames:
        batcher.put(frame, MASKS)
    results.until(len(frames))
    runner.stop()
    return results


def test_results_come_in_order_and_as_offline(config: SegmentationConfig) -> None:
    pipeline, sent = Pipeline(config), frames(120)
    found = run(pipeline, sent).delivered
    for camera in "abc":
        stamps = [r.stamp_ns for r in found if r.camera == camera]
        assert stamps == [f.stamp_ns for f in sent if f.camera == camera], camera
    expected = {f.stamp_ns: r for f, r in zip(sent, pipeline.process(sent[:8]), strict=False)}
    for result in found:
        if result.stamp_ns in expected:
            np.testing.assert_array_equal(result.class_ids, expected[result.stamp_ns].class_ids)
        assert result.confidence is None, "nobody wanted it"


def test_each_frame_gets_the_masks_requested_when_it_was_received(config: SegmentationConfig) -> None:
    pipeline, results = Pipeline(config), Results()
    batcher = Batcher(1, 0.0, True, lambda *_: None)
    runner = Runner(pipeline, batcher, results.deliver, results.refuse)
    requests = [("class_ids",), ("class_ids", "objectness"), ("class_ids", "confidence"), ("class_ids",)]
    for frame, masks in zip(frames(4), requests, strict=True):
        batcher.put(replace(frame, camera="a"), masks)
    results.until(4)
    runner.stop()
    found = [tuple(n for n in MASK_NAMES if getattr(r, n) is not None) for r in results.delivered]
    assert found == requests


def test_order_is_kept_when_a_later_inference_is_quicker(
    config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, overtaken = Pipeline(config), threading.Event()
    process = pipeline.segment

    def uneven(frames: list[Frame], masks: object) -> list[Segmentation]:
        results = process(frames, masks)  # type: ignore[arg-type]
        if frames[0].stamp_ns == 1:
            assert overtaken.wait(DEADLINE_S)
        elif frames[0].stamp_ns == 3:
            overtaken.set()
        return results

    monkeypatch.setattr(pipeline, "segment", uneven)
    sent = [replace(frame, camera="a") for frame in frames(6)]
    assert [r.stamp_ns for r in run(pipeline, sent).delivered] == [1, 2, 3, 4, 5, 6]


def test_bad_frame_is_refused_alone(config: SegmentationConfig) -> None:
    broken = Frame("a", 3, JPEG[:-200].copy()[:60], "jpeg")
    sent = [Frame("a", 1, JPEG, "jpeg"), Frame("a", 2, JPEG, "jpeg"), broken, Frame("a", 4, JPEG, "jpeg")]
    results = run(Pipeline(config), sent)
    assert [r.stamp_ns for r in results.delivered] == [1, 2, 4]
    ((camera, stamp, error),) = results.refused
    assert (camera, stamp, error.reason) == ("a", 3, "malformed")
    assert results.delivered[0].class_ids.shape == (96, 160)


def test_only_a_compressed_frame_is_asked_about_once_more(
    config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, raw = Pipeline(config), frames(1)[0]
    monkeypatch.setattr(pipeline.engine, "ready", lambda frame: False)
    assert pipeline.prepare(raw) is raw
    with pytest.raises(FrameError, match="the network is being compiled for 160x96 bgr8") as caught:
        pipeline.prepare(Frame("a", 1, JPEG, "jpeg"))
    assert caught.value.reason == "compiling"


def test_failed_inference_and_failed_delivery_cost_their_frames_only(
    config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, results = Pipeline(config), Results()
    process = pipeline.segment

    def fail(frames: list[Frame], masks: object) -> list[Segmentation]:
        if frames[0].stamp_ns == 2:
            raise RuntimeError("device lost")
        return process(frames, masks)  # type: ignore[arg-type]

    def deliver(frame: Frame, result: Segmentation) -> None:
        if frame.stamp_ns == 4:
            raise OSError("cannot publish data")
        results.deliver(frame, result)

    monkeypatch.setattr(pipeline, "segment", fail)
    sent = [replace(frame, camera="a") for frame in frames(6)]
    batcher = Batcher(1, 0.0, True, lambda *_: None)
    runner = Runner(pipeline, batcher, deliver, results.refuse)
    for frame in sent:
        batcher.put(frame, MASKS)
    results.until(6)
    runner.stop()
    assert [r.stamp_ns for r in results.delivered] == [1, 3, 5, 6]
    assert [(stamp, e.reason) for _, stamp, e in results.refused] == [(2, "inference"), (4, "publish")]


def test_error_nobody_thought_of_costs_its_frame_only(
    config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(config)
    prepare = pipeline.prepare

    def fail(frame: Frame) -> Frame:
        if frame.stamp_ns == 2:
            raise ValueError("nobody thought of this")
        return prepare(frame)

    monkeypatch.setattr(pipeline, "prepare", fail)
    results = run(pipeline, [replace(frame, camera="a") for frame in frames(6)])
    assert [r.stamp_ns for r in results.delivered] == [1, 3, 4, 5, 6]
    assert [(stamp, e.reason) for _, stamp, e in results.refused] == [(2, "inference")]


def test_frames_that_meet_are_one_batch(config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline(replace(config, drop_policy="oldest", num_requests=1))
    sizes: list[int] = []
    process, results = pipeline.segment, Results()

    def counted(frames: list[Frame], masks: object) -> list[Segmentation]:
        sizes.append(len(frames))
        return process(frames, masks)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "segment", counted)
    batcher = Batcher(2, 0.0, False, lambda *_: None)
    for camera in ("a", "b", "c", "d"):
        batcher.put(Frame(camera, 1, np.zeros((96, 160, 3), np.uint8)), MASKS)
    runner = Runner(pipeline, batcher, results.deliver, results.refuse)
    results.until(4)
    runner.stop()
    assert sizes == [2, 2]


def test_stopping_does_not_wait_for_frames(config: SegmentationConfig, tmp_path: Path) -> None:
    batcher = Batcher(1, 0.0, False, lambda *_: None)
    runner = Runner(Pipeline(config), batcher, lambda *_: None, lambda *_: None)
    runner.stop(timeout_s=DEADLINE_S)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("inference-")]


@pytest.mark.parametrize("fails", ["refuse", "deliver and refuse", "on_inferred", "fault"])
def test_callback_that_raises_costs_its_frame_and_no_thread(config: SegmentationConfig, fails: str) -> None:
    results, told = Results(), list[str]()

    def fail(frame: Frame, *_: object) -> None:
        if frame.stamp_ns == 2:
            raise RuntimeError("Logger severity cannot be changed")

    def deliver(frame: Frame, result: Segmentation) -> None:
        if "deliver" in fails:
            fail(frame)
        results.deliver(frame, result)

    def refuse(frame: Frame, error: FrameError) -> None:
        if fails != "on_inferred":
            fail(frame)
        results.refuse(frame, error)

    def on_fault(text: str) -> None:
        told.append(text)
        if fails == "fault":
            raise RuntimeError("the log fails, too")

    sent = [replace(frame, camera="a") for frame in frames(40)]
    if "deliver" not in fails and fails != "on_inferred":
        sent[1] = Frame("a", 2, JPEG[:60].copy(), "jpeg")
    on_inferred = fail if fails == "on_inferred" else lambda *_: None
    batcher = Batcher(1, 0.0, True, lambda *_: None)
    runner = Runner(Pipeline(config), batcher, deliver, refuse, on_inferred, on_fault)
    for frame in sent:
        batcher.put(frame, MASKS)
    answered = 40 if fails == "on_inferred" else 39
    results.until(answered)
    assert runner.gone == 0 and runner.faults == 1
    runner.stop()
    assert [r.stamp_ns for r in results.delivered] == [s for s in range(1, 41) if s != 2 or answered == 40]
    assert told == ["RuntimeError: Logger severity cannot be changed"]


def test_question_of_the_batcher_that_raises_costs_its_frame_only(config: SegmentationConfig) -> None:
    def is_late(frame: Frame) -> bool:
        if frame.stamp_ns == 1:
            raise RuntimeError("the clock is gone")
        return False

    results = Results()
    batcher = Batcher(1, 0.0, False, lambda *_: None, is_late=is_late)
    runner = Runner(Pipeline(config), batcher, results.deliver, results.refuse)
    for done, frame in enumerate([replace(frame, camera="a") for frame in frames(3)], start=1):
        batcher.put(frame, MASKS)
        results.until(done)
    runner.stop()
    ((_, stamp, error),) = results.refused
    assert (stamp, error.reason) == (1, "inference") and "the clock is gone" in str(error)
    assert [r.stamp_ns for r in results.delivered] == [2, 3]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_ends_is_told_and_holds_no_other_up(
    config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndOfThread(BaseException):
        pass

    pipeline, results, told = Pipeline(config), Results(), list[str]()
    process = pipeline.segment

    def end(frames: list[Frame], masks: object) -> list[Segmentation]:
        if frames[0].stamp_ns == 2:
            raise EndOfThread
        return process(frames, masks)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "segment", end)
    batcher = Batcher(1, 0.0, True, lambda *_: None)
    runner = Runner(pipeline, batcher, results.deliver, results.refuse, on_fault=told.append)
    for frame in frames(6):
        batcher.put(replace(frame, camera="a"), MASKS)
    results.until(5)
    until(lambda: runner.gone == 1)
    runner.stop()
    assert [r.stamp_ns for r in results.delivered] == [1, 3, 4, 5, 6]
    assert len(told) == 1 and "thread inference-" in told[0] and "has ended" in told[0]
