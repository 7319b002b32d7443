"""Which frames of a camera are in order, told by their stamps alone."""

from __future__ import annotations

import pytest

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.stamps import RESTART_AFTER, StampOrder

OUT, AGAIN = "out", "again"
"""What becomes of a frame: it is refused; it is accepted, and the source has started again. Else its stamp."""

CASES: dict[str, tuple[list[int], list[int | str]]] = {
    "they increase": ([0, 1, 5, 6], [0, 1, 5, 6]),
    "one is late": ([1, 5, 3, 6], [1, 5, OUT, 6]),
    "two are late": ([5, 3, 4, 6], [5, OUT, OUT, 6]),
    "late now and then": ([5, 3, 6, 4, 5, 7], [5, OUT, 6, OUT, OUT, 7]),
    "one is repeated": ([1, 2, 2, 3], [1, 2, OUT, 3]),
    "the same for ever": ([3, 3, 3, 3, 3, 3, 4], [3, OUT, OUT, OUT, OUT, OUT, 4]),
    "the first is zero": ([0, 0, 0, 0, 0, 1], [0, OUT, OUT, OUT, OUT, 1]),
    "set back": ([50, 51, 3, 4, 5, 6], [50, 51, OUT, OUT, AGAIN, 6]),
    "set back, and stands still": ([50, 3, 3, 3, 3, 4], [50, OUT, OUT, AGAIN, OUT, 4]),
    "set back twice": ([9, 1, 2, 3, 4, 1, 2, 3, 4], [9, OUT, OUT, AGAIN, 4, OUT, OUT, AGAIN, 4]),
    "far ahead once": ([0, 9000, 1, 2, 3, 4], [0, 9000, OUT, OUT, AGAIN, 4]),
    "repeated while set back": ([50, 3, 50, 4, 50, 5, 6], [50, OUT, OUT, OUT, OUT, AGAIN, 6]),
    "before the epoch": ([-5, -4, -4, 0], [-5, -4, OUT, 0]),
}


def outcome(order: StampOrder, stamp: int) -> int | str:
    newest = order.newest_ns
    try:
        again = order.accept(stamp)
    except FrameError as error:
        assert error.reason == "out_of_order" and order.newest_ns == newest
        return OUT
    assert order.newest_ns == stamp
    return AGAIN if again else stamp


@pytest.mark.parametrize("case", CASES)
def test_order_of_stamps(case: str) -> None:
    stamps, expected = CASES[case]
    order = StampOrder()
    assert [outcome(order, stamp) for stamp in stamps] == expected


def test_refusal_names_both_stamps_and_what_is_allowed() -> None:
    order = StampOrder()
    order.accept(8)
    expected = f"stamp 7 ns is not after 8 ns, .* must increase .after {RESTART_AFTER} in a row that go back"
    with pytest.raises(FrameError, match=expected):
        order.accept(7)


def test_after_a_restart_that_is_known_any_stamp_may_follow() -> None:
    order = StampOrder()
    for stamp in (100, 1, 2):
        outcome(order, stamp)
    order.restart()
    assert order.newest_ns is None
    assert [outcome(order, stamp) for stamp in (1, 0, 2)] == [1, OUT, 2]
