from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmt_seg_ros.sources.truth.matching import ByStamp, file_stamp_ns
from cmt_seg_ros.structures import Frame

PIXELS = np.zeros((2, 2, 3), np.uint8)


def match(frames: list[int], truth: list[int], tolerance_ns: int = 0, window: int = 64) -> tuple[list[int | None], str]:
    """Which truth each frame gets, and the names of what is left."""
    matcher = ByStamp(lambda: ((t, str(t), t) for t in truth), tolerance_ns, window)
    found = [matcher.find(Frame("camera", stamp, PIXELS), k) for k, stamp in enumerate(frames)]
    return found, " ".join(matcher.unused())


def test_stamps_must_be_equal_or_near() -> None:
    assert match([10, 20, 30], [10, 21, 30, 40]) == ([10, None, 30], "21 40")
    assert match([10, 20, 30], [10, 21, 30, 40], tolerance_ns=1) == ([10, 21, 30], "40")
    assert match([10, 20], [8, 11, 19], tolerance_ns=5) == ([11, 19], "8")
    assert match([10, 11], [10], tolerance_ns=5) == ([10, None], "")


def test_truth_for_few_frames_or_from_before() -> None:
    assert match(list(range(100, 200)), [0, 1, 150, 199, 300])[1] == "0 1 300"
    assert match([5, 6], []) == ([None, None], "")


def test_frames_go_on_after_the_clock_was_set_back() -> None:
    assert match([100, 110, 0, 10, 20], [100, 120, 0, 10, 20]) == ([100, None, 0, 10, 20], "120")
    assert match([100, 110, 0, 10, 20], [100, 120, 130, 0, 10, 20]) == ([100, None, 0, 10, 20], "120 130")


def test_only_so_much_waits() -> None:
    read: list[int] = []

    def truth() -> Iterator[tuple[int, str, int]]:
        for stamp in range(1000):
            read.append(stamp)
            yield stamp, str(stamp), stamp

    matcher = ByStamp(truth, 0, window=4)
    assert matcher.find(Frame("camera", 3, PIXELS), 0) == 3 and read == [0, 1, 2, 3]
    assert matcher.find(Frame("camera", 6, PIXELS), 1) == 6
    assert matcher.find(Frame("camera", 4, PIXELS), 2) == 4
    assert matcher.find(Frame("camera", 1, PIXELS), 3) is None
    assert len(list(matcher.unused())) == 997


FAR = 10**18
STAMPS = list(range(0, 20_000, 10))


@pytest.mark.parametrize("odd", [[FAR], [FAR, FAR + 10], [15_000], [FAR, 5], [5, FAR]])
@pytest.mark.parametrize("at", [1, 3, 700])
def test_odd_stamps_cost_no_other_frame_its_truth(odd: list[int], at: int) -> None:
    frames = [*STAMPS[:at], *odd, *STAMPS[at + len(odd) :]]
    found, _ = match(frames, STAMPS)
    assert found == [*STAMPS[:at], *[None] * len(odd), *STAMPS[at + len(odd) :]]
    if odd != [15_000]:  # which truth has already
        assert match(frames, frames)[0] == frames  # truth has the images' stamps, odd ones too


def test_an_odd_first_stamp() -> None:
    assert match([FAR, *STAMPS[1:]], STAMPS)[0] == [None, *STAMPS[1:]]


@pytest.mark.parametrize("odd", [[FAR], [FAR, FAR + 10], [15_000]])
def test_odd_stamps_among_sparse_and_dense_truth(odd: list[int]) -> None:
    tenth = STAMPS[::10]
    found, _ = match([*STAMPS[:500], *odd, *STAMPS[500:]], tenth)
    assert [stamp for stamp in found if stamp is not None] == tenth
    found, _ = match([*tenth[:50], *odd, *tenth[50:]], STAMPS)
    assert found == [*tenth[:50], *[None] * len(odd), *tenth[50:]]


@pytest.mark.parametrize("step", [1, 2, 10, 63, 64, 65, 100])
def test_truth_denser_than_frames(step: int) -> None:
    frames = STAMPS[::step]
    found, left = match(frames, STAMPS)
    ahead = [0, None] if step > 64 else frames[:2]  # to the rule, a gap before the second frame
    assert found == [*ahead, *frames[2:]]
    assert len(left.split()) == len(STAMPS) - sum(stamp is not None for stamp in found)


@pytest.mark.parametrize("every", [1, 3, 100])
def test_the_frame_after_a_gap_may_lack_truth_and_no_other(every: int) -> None:
    truth = STAMPS[::every]
    frames = [*STAMPS[:400], *STAMPS[1400:]]
    found, _ = match(frames, truth)
    due = [stamp if stamp in set(truth) else None for stamp in frames]
    assert found[:400] == due[:400] and found[401:] == due[401:]
    assert match([*STAMPS[:10], *STAMPS[60:]], STAMPS)[0] == [*STAMPS[:10], *STAMPS[60:]]  # within the window


def test_truth_that_began_long_before_the_frames() -> None:
    assert match(STAMPS[500:], STAMPS)[0] == STAMPS[500:]


@pytest.mark.parametrize("step", [1, 10])
def test_a_clip_that_was_recorded_twice(step: int) -> None:
    frames = STAMPS[::step]
    assert match([*frames, *frames], [*STAMPS, *STAMPS])[0] == [*frames, *frames]
    assert match([*STAMPS, *STAMPS], [*frames, *frames])[0] == 2 * [s if s in set(frames) else None for s in STAMPS]


@given(st.lists(st.booleans(), max_size=40), st.integers(-3, 3))
def test_each_truth_goes_to_its_own_frame(kept: list[bool], shift: int) -> None:
    frames = [10 * i + 100 for i in range(len(kept))]
    truth = [stamp + shift for stamp, keep in zip(frames, kept, strict=True) if keep]
    found, left = match(frames, truth, tolerance_ns=3)
    assert found == [stamp + shift if keep else None for stamp, keep in zip(frames, kept, strict=True)] and left == ""


@pytest.mark.parametrize(
    ("name", "stamp_ns"),
    [
        ("1700000000123456789.png", 1_700_000_000_123_456_789),
        ("1700000000.25.png", 1_700_000_000_250_000_000),
        ("1700000000.1234567891.png", 1_700_000_000_123_456_789),
        ("1700000000_000000007.png", 1_700_000_000_000_000_007),
        ("000012.png", 12),
        ("frame12.png", None),
        ("12_frame.png", None),
    ],
)
def test_stamps_in_names_of_files(name: str, stamp_ns: int | None) -> None:
    assert file_stamp_ns(Path(name)) == stamp_ns
