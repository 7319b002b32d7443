"""What segmentation_node reports when something goes wrong that nobody foresaw, and that it goes on."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image
from support.ros_harness import Bench, image, stamps
from support.waiting import DEADLINE_S

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.runtime import graphs
from cmt_seg_ros.runtime.graph import network_size
from cmt_seg_ros.runtime.model_package import ModelPackage

NODE = "/segmentation_node"
MS = 1_000_000


def fail(*_: object) -> None:
    raise RuntimeError("Logger severity cannot be changed between calls")


def values(ros: Bench) -> dict[str, str]:
    status = ros.status(f"{NODE}: camera")
    return {v.key: v.value for v in status.values} if status else {}


def state(ros: Bench) -> tuple[bytes, str]:
    status = ros.status(f"{NODE}: camera")
    return (status.level, status.message) if status else (b"", "")


def start(ros: Bench, tiny: str) -> tuple[SegmentationNode, list[Image]]:
    node = ros.add(SegmentationNode, device="CPU", model=tiny)
    masks = ros.listen(Image, "/segmentation/mask")
    ros.until(lambda: node._outputs[""].requested_masks())
    return node, masks


def keep_sending(ros: Bench, until: Callable[[], object], **how: Any) -> None:
    """Send images, as a camera does, until something holds."""
    for stamp in itertools.count(1000):
        if until():
            return
        ros.send("/image_raw", image(stamp * MS, **how))
        threading.Event().wait(0.05)


def test_refusal_that_raises_is_counted_and_the_next_frame_is_answered(
    ros: Bench, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, masks = start(ros, tiny)
    monkeypatch.setattr(node._report, "refuse", fail)
    ros.send("/image_raw", image(1, encoding="mono8"))
    ros.until(lambda: len(masks) == 1)
    ros.send("/image_raw", image(1, encoding="mono8"))  # repeated: refused in the callback
    ros.until(lambda: node._report.faults.count == 1)  # else the next image may take its place in the queue
    assert node._pipeline is not None
    segment = node._pipeline.segment
    monkeypatch.setattr(node._pipeline, "segment", fail)
    ros.send("/image_raw", image(2))  # refused in the thread
    ros.until(lambda: node._report.faults.count == 2)
    monkeypatch.setattr(node._pipeline, "segment", segment)
    ros.send("/image_raw", image(3))
    ros.until(lambda: len(masks) == 2)
    assert stamps(masks) == [1, 3]
    ros.until(lambda: values(ros).get("faults") == "2")
    assert any("RuntimeError: Logger severity cannot be changed" in error for error in ros.errors())


def test_error_nobody_foresaw_in_a_callback_costs_its_frame(
    ros: Bench, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, masks = start(ros, tiny)
    assert node._pipeline is not None
    with monkeypatch.context() as patch:
        patch.setattr(node._pipeline, "check", fail)
        ros.send("/image_raw", image(1))
        ros.until(lambda: node._cameras[""].statistics.counts()[2] == {"fault": 1})
    ros.send("/image_raw", image(2))
    ros.until(lambda: masks)
    assert stamps(masks) == [2]


def test_thread_that_has_ended_is_an_error(ros: Bench, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node, _ = start(ros, tiny)
    assert node._runner is not None and state(ros)[0] != DiagnosticStatus.ERROR
    monkeypatch.setattr(type(node._runner), "gone", 1)
    ros.until(lambda: state(ros)[0] == DiagnosticStatus.ERROR)
    assert "1 inference threads have ended; deactivate and activate the node" in state(ros)[1]
    ros.until(lambda: any("inference threads have ended" in error for error in ros.errors()))


def test_frames_that_wait_for_a_compilation_are_an_error_with_the_reason(
    ros: Bench, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, build = threading.Event(), graphs.build
    _, masks = start(ros, tiny)

    def held(*arguments: Any) -> Any:
        assert go_on.wait(DEADLINE_S)
        return build(*arguments)

    monkeypatch.setattr(graphs, "build", held)
    try:
        keep_sending(ros, lambda: state(ros)[0] == DiagnosticStatus.ERROR, width=112)
        height, width = network_size(ModelPackage.load(tiny), 64, 112)
        assert f"and no result: the network is being compiled for an input of {width}x{height} bgr8" in state(ros)[1]
        assert not masks
    finally:
        go_on.set()
    keep_sending(ros, lambda: state(ros)[0] == DiagnosticStatus.OK, width=112)
    assert masks


def test_frames_that_are_all_refused_are_an_error_with_the_last_reason(
    ros: Bench, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = start(ros, tiny)

    def refuse(*_: object) -> None:
        raise FrameError("the cable is loose", "malformed")

    assert node._pipeline is not None
    monkeypatch.setattr(node._pipeline, "check", refuse)
    keep_sending(ros, lambda: state(ros)[0] == DiagnosticStatus.ERROR)
    assert "the last refused: the cable is loose; dropped: malformed " in state(ros)[1]


def test_nobody_subscribing_is_ok_and_said(ros: Bench, tiny: str) -> None:
    ros.add(SegmentationNode, device="CPU", model=tiny)
    ros.send("/image_raw", image(1))
    ros.until(lambda: state(ros) == (DiagnosticStatus.OK, "nobody subscribes to a result, so nothing is inferred"))
