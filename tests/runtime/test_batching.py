"""The batcher loses nothing without counting it, and serves every camera."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.runtime.batching import LOSSLESS_CAPACITY, Batch, Batcher
from cmt_seg_ros.structures import Frame

PIXELS = np.zeros((16, 16, 3), np.uint8)


def frame(camera: str, stamp: int) -> Frame:
    return Frame(camera, stamp, PIXELS)


class Drops(list):  # type: ignore[type-arg]
    def __call__(self, dropped: Frame, reason: str) -> None:
        self.append((dropped.camera, dropped.stamp_ns, reason))


def taken(batcher: Batcher) -> Batch:
    batch = batcher.get(5.0)
    assert batch is not None, "nothing came"
    return batch


def stamps_of(batcher: Batcher) -> list[int]:
    return [f.stamp_ns for f in taken(batcher).frames]


def cameras_of(batcher: Batcher) -> list[str]:
    return [f.camera for f in taken(batcher).frames]


def test_live_keeps_the_newest_and_counts_the_rest() -> None:
    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=False, on_drop=drops)
    for stamp in (1, 2, 3):
        batcher.put(frame("a", stamp))
    assert stamps_of(batcher) == [3]
    assert drops == [("a", 1, "newer_frame"), ("a", 2, "newer_frame")]
    assert batcher.get(0.0) is None


def test_lossless_keeps_order_and_holds_the_source_back() -> None:
    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=True, on_drop=drops)
    total = LOSSLESS_CAPACITY + 3
    putter = threading.Thread(target=lambda: [batcher.put(frame("a", s)) for s in range(1, total + 1)])
    putter.start()
    putter.join(timeout=0.2)
    assert putter.is_alive(), "more frames than the capacity were taken without waiting"
    taken = [stamps_of(batcher)[0] for _ in range(total)]
    putter.join(timeout=5.0)
    assert taken == list(range(1, total + 1)) and not drops and not putter.is_alive()


def test_cameras_share_a_batch_and_take_turns() -> None:
    batcher = Batcher(2, 0.0, lossless=False, on_drop=Drops())
    served = []
    for stamp in (1, 2, 3):
        for camera in ("a", "b", "c"):
            batcher.put(frame(camera, stamp))
        served += cameras_of(batcher)
    assert sorted(served) == ["a", "a", "b", "b", "c", "c"]


def test_waits_for_other_cameras_no_longer_than_told() -> None:
    batcher = Batcher(4, 5.0, lossless=False, on_drop=Drops())
    batcher.put(frame("a", 1))
    batcher.put(frame("b", 1))
    batcher.get(1.0)
    batcher.put(frame("a", 2))
    threading.Timer(0.05, lambda: batcher.put(frame("b", 2))).start()
    assert set(cameras_of(batcher)) == {"a", "b"}


def test_frame_back_in_time_is_refused_and_a_restart_is_understood() -> None:
    batcher = Batcher(4, 0.0, lossless=False, on_drop=Drops())
    batcher.put(frame("a", 100))
    with pytest.raises(FrameError, match="stamps of a camera must increase") as caught:
        batcher.put(frame("a", 50))
    assert caught.value.reason == "out_of_order"
    batcher.put(frame("a", 101))
    for stamp in (1, 2):
        with pytest.raises(FrameError):
            batcher.put(frame("a", stamp))
    batcher.put(frame("a", 3))
    assert stamps_of(batcher) == [3]


def test_closing_frees_waiting_threads_and_counts_what_was_left() -> None:
    drops = Drops()
    batcher = Batcher(4, 0.0, lossless=True, on_drop=drops)
    for stamp in range(LOSSLESS_CAPACITY):
        batcher.put(frame("a", stamp + 1))
    putter = threading.Thread(target=batcher.put, args=(frame("a", 99),))
    putter.start()
    batcher.close()
    putter.join(timeout=5.0)
    assert not putter.is_alive() and len(drops) == LOSSLESS_CAPACITY + 1
