"""The batcher loses nothing without counting it, and serves every camera."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waiting import DEADLINE_S, until

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.runtime.batching import GONE_AFTER_S, LOSSLESS_CAPACITY, Batch, Batcher
from cmt_seg_ros.structures import Frame

MASKS = ("class_ids",)
PIXELS = np.zeros((16, 16, 3), np.uint8)


def frame(camera: str, stamp: int) -> Frame:
    return Frame(camera, stamp, PIXELS)


class Drops(list):  # type: ignore[type-arg]
    def __call__(self, dropped: Frame, reason: str) -> None:
        self.append((dropped.camera, dropped.stamp_ns, reason))


def taken(batcher: Batcher) -> Batch:
    batch = batcher.get(DEADLINE_S)
    assert batch is not None, "nothing came"
    return batch


def stamps_of(batcher: Batcher) -> list[int]:
    return [r.frame.stamp_ns for r in taken(batcher).requests]


def cameras_of(batcher: Batcher) -> list[str]:
    return [r.frame.camera for r in taken(batcher).requests]


def test_live_keeps_the_newest_and_counts_the_rest() -> None:
    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=False, on_drop=drops)
    for stamp in (1, 2, 3):
        batcher.put(frame("a", stamp), MASKS)
    assert stamps_of(batcher) == [3]
    assert drops == [("a", 1, "newer_frame"), ("a", 2, "newer_frame")]
    assert batcher.get(0.0) is None


def test_lossless_keeps_order_and_holds_the_source_back() -> None:
    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=True, on_drop=drops)
    total = LOSSLESS_CAPACITY + 3
    accepted, taken = list[int](), list[int]()

    def put_all() -> None:
        for stamp in range(1, total + 1):
            batcher.put(frame("a", stamp), MASKS)
            accepted.append(stamp)

    putter = threading.Thread(target=put_all)
    putter.start()
    until(lambda: len(accepted) >= LOSSLESS_CAPACITY)
    for _ in range(total):
        assert len(accepted) <= len(taken) + LOSSLESS_CAPACITY, "more than the capacity were accepted without waiting"
        taken += stamps_of(batcher)
    putter.join(timeout=DEADLINE_S)
    assert taken == list(range(1, total + 1)) and not drops and not putter.is_alive()


def test_cameras_share_a_batch_and_take_turns() -> None:
    batcher = Batcher(2, 0.0, lossless=False, on_drop=Drops())
    served = []
    for stamp in (1, 2, 3):
        for camera in ("a", "b", "c"):
            batcher.put(frame(camera, stamp), MASKS)
        served += cameras_of(batcher)
    assert sorted(served) == ["a", "a", "b", "b", "c", "c"]


def test_waits_for_other_cameras_no_longer_than_told() -> None:
    batcher = Batcher(4, DEADLINE_S, lossless=False, on_drop=Drops(), clock=lambda: 0.0)
    batcher.put(frame("a", 1), MASKS)
    batcher.put(frame("b", 1), MASKS)
    batcher.get(1.0)
    batcher.put(frame("a", 2), MASKS)
    threading.Timer(0.05, lambda: batcher.put(frame("b", 2), MASKS)).start()
    assert set(cameras_of(batcher)) == {"a", "b"}


def test_frame_back_in_time_is_refused_and_a_restart_is_understood() -> None:
    batcher = Batcher(4, 0.0, lossless=False, on_drop=Drops())
    batcher.put(frame("a", 100), MASKS)
    with pytest.raises(FrameError, match="stamps of a camera must increase") as caught:
        batcher.put(frame("a", 50), MASKS)
    assert caught.value.reason == "out_of_order"
    batcher.put(frame("a", 101), MASKS)
    for stamp in (1, 2):
        with pytest.raises(FrameError):
            batcher.put(frame("a", stamp), MASKS)
    batcher.put(frame("a", 3), MASKS)
    assert stamps_of(batcher) == [3]


def test_closing_frees_waiting_threads_and_counts_what_was_left() -> None:
    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=True, on_drop=drops)
    for stamp in range(LOSSLESS_CAPACITY):
        batcher.put(frame("a", stamp + 1), MASKS)
    putter = threading.Thread(target=batcher.put, args=(frame("a", 99), MASKS))
    putter.start()
    batcher.close()
    putter.join(timeout=DEADLINE_S)
    assert not putter.is_alive() and len(drops) == LOSSLESS_CAPACITY + 1


def test_lossless_frames_never_meet_in_a_batch() -> None:
    batcher = Batcher(4, 5.0, lossless=True, on_drop=Drops())
    for camera in ("a", "b"):
        batcher.put(frame(camera, 1), MASKS)
    assert [len(taken(batcher).requests) for _ in range(2)] == [1, 1]


def test_camera_that_is_gone_is_not_waited_for() -> None:
    now = [0.0]
    batcher = Batcher(4, 5.0, lossless=False, on_drop=Drops(), clock=lambda: now[0])
    for camera in ("a", "b"):
        batcher.put(frame(camera, 1), MASKS)
    assert set(cameras_of(batcher)) == {"a", "b"}
    now[0] = GONE_AFTER_S + 1
    batcher.put(frame("a", 2), MASKS)
    assert cameras_of(batcher) == ["a"], "it would have waited for ever: the clock stands still"


def test_old_frames_are_dropped_when_their_turn_comes() -> None:
    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=False, on_drop=drops, is_late=lambda f: f.stamp_ns < 10)
    batcher.put(frame("a", 1), MASKS)
    batcher.put(frame("b", 11), MASKS)
    assert cameras_of(batcher) == ["b"]
    batcher.put(frame("a", 2), MASKS)
    assert batcher.get(0.0) is None
    assert drops == [("a", 1, "too_old"), ("a", 2, "too_old")]


def test_frame_waits_while_its_network_is_compiled_and_others_go_on() -> None:
    drops, ready = Drops(), {"b"}
    batcher = Batcher(4, 0.0, lossless=False, on_drop=drops, is_ready=lambda f: f.camera in ready)
    batcher.put(frame("a", 1), MASKS)
    batcher.put(frame("b", 1), MASKS)
    assert cameras_of(batcher) == ["b"] and batcher.get(0.0) is None
    batcher.put(frame("a", 2), MASKS)
    assert drops == [("a", 1, "newer_frame")]
    ready.add("a")
    assert stamps_of(batcher) == [2]


def test_frame_that_can_never_be_inferred_is_passed_on_with_the_reason() -> None:
    def is_ready(frame: Frame) -> bool:
        if frame.camera == "b":
            raise FrameError("the device refuses it", "compile")
        return True

    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=False, on_drop=drops, is_ready=is_ready)
    batcher.put(frame("a", 1), MASKS)
    batcher.put(frame("b", 1), MASKS)
    found = {r.frame.camera: r.error for r in taken(batcher).requests}
    assert found["a"] is None and found["b"] is not None and found["b"].reason == "compile" and not drops


def test_frame_that_is_ready_is_not_asked_about_again() -> None:
    asked: list[int] = []

    def is_ready(frame: Frame) -> bool:
        asked.append(frame.stamp_ns)
        return len(asked) > 2

    batcher = Batcher(4, 0.0, lossless=False, on_drop=Drops(), is_ready=is_ready)
    batcher.put(frame("a", 1), MASKS)
    while batcher.get(0.0) is None:
        pass
    assert asked == [1] * 3


def test_masks_are_those_requested_when_the_frame_was_received() -> None:
    batcher = Batcher(1, 0.0, lossless=True, on_drop=Drops())
    requests = (MASKS, ("class_ids", "confidence"), MASKS)
    for stamp, masks in enumerate(requests):
        batcher.put(frame("a", stamp), masks)
    assert [taken(batcher).requests[0].masks for _ in requests] == list(requests)


def test_clock_that_was_set_back_is_followed_at_once_when_told() -> None:
    batcher = Batcher(1, 0.0, lossless=False, on_drop=Drops())
    batcher.put(frame("a", 100), MASKS)
    batcher.restart()
    batcher.put(frame("a", 1), MASKS)
    assert stamps_of(batcher) == [1]


def test_cameras_are_served_alike_under_overload() -> None:
    """Four cameras offer three times what is taken."""
    served: Counter[str] = Counter()
    batcher = Batcher(1, 0.0, lossless=False, on_drop=Drops())
    for stamp in range(1, 301):
        for camera in "abcd" if stamp % 2 else "dcba":
            batcher.put(frame(camera, stamp), MASKS)
        if stamp % 3 == 0:
            served.update(cameras_of(batcher))
    assert set(served.values()) == {25}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=60), st.integers(1, 4))
def test_every_frame_is_taken_or_dropped_exactly_once(steps: list[tuple[str, int]], size: int) -> None:
    drops, refused, out = Drops(), 0, 0
    batcher = Batcher(size, 0.0, lossless=False, on_drop=drops)
    for stamp, (camera, takes) in enumerate(steps):
        try:
            batcher.put(frame(camera, stamp // 2), MASKS)
        except FrameError:
            refused += 1
        for _ in range(takes):
            batch = batcher.get(0.0)
            out += len(batch.requests) if batch else 0
            assert batch is None or len({r.frame.camera for r in batch.requests}) == len(batch.requests) <= size
    batcher.close()
    assert len(steps) == refused + out + len(drops)


def test_an_error_of_any_kind_while_asking_costs_one_frame() -> None:
    def fail(frame: Frame) -> bool:
        if frame.stamp_ns == 1:
            raise RuntimeError("can't start new thread")
        return True

    batcher = Batcher(1, 0.0, lossless=False, on_drop=Drops(), is_ready=fail)
    for stamp in (1, 2):
        batcher.put(frame("a", stamp), MASKS)
        batch = batcher.get(DEADLINE_S)
        assert batch is not None
        (request,) = batch.requests
        if stamp == 1:
            assert request.error is not None and request.error.reason == "inference"
            assert "can't start new thread" in str(request.error)
        else:
            assert request.error is None and request.ready
