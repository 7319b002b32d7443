"""Which frames of a camera are in order, told by their stamps alone."""

from __future__ import annotations

import pytest

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.stamps import RESTART_AFTER, ReceiptStamps, StampOrder

OUT, SAME, AGAIN = "out_of_order", "duplicate_stamp", "again"
"""What becomes of a frame: why it is refused, or that the source has started again with it. Else its stamp."""

CASES: dict[str, tuple[list[int], list[int | str]]] = {
    "they increase": ([0, 1, 5, 6], [0, 1, 5, 6]),
    "one is late": ([1, 5, 3, 6], [1, 5, OUT, 6]),
    "two are late": ([5, 3, 4, 6], [5, OUT, OUT, 6]),
    "late now and then": ([5, 3, 6, 4, 5, 7], [5, OUT, 6, OUT, OUT, 7]),
    "one is repeated": ([1, 2, 2, 3], [1, 2, SAME, 3]),
    "the same for ever": ([3, 3, 3, 3, 3, 3, 4], [3, SAME, SAME, SAME, SAME, SAME, 4]),
    "the first is zero": ([0, 0, 0, 0, 0, 1], [0, SAME, SAME, SAME, SAME, 1]),
    "set back": ([50, 51, 3, 4, 5, 6], [50, 51, OUT, OUT, AGAIN, 6]),
    "set back, and stands still": ([50, 3, 3, 3, 3, 4], [50, OUT, OUT, AGAIN, SAME, 4]),
    "set back twice": ([9, 1, 2, 3, 4, 1, 2, 3, 4], [9, OUT, OUT, AGAIN, 4, OUT, OUT, AGAIN, 4]),
    "far ahead once": ([0, 9000, 1, 2, 3, 4], [0, 9000, OUT, OUT, AGAIN, 4]),
    "repeated while set back": ([50, 3, 50, 4, 50, 5, 6], [50, OUT, SAME, OUT, SAME, AGAIN, 6]),
    "before the epoch": ([-5, -4, -4, 0], [-5, -4, SAME, 0]),
}


def outcome(order: StampOrder, stamp: int) -> int | str:
    newest = order.newest_ns
    try:
        again = order.accept(stamp)
    except FrameError as error:
        assert order.newest_ns == newest
        return error.reason
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


def test_refusal_of_a_repetition_names_the_driver_s_fault() -> None:
    order = StampOrder()
    order.accept(8)
    with pytest.raises(
        FrameError, match=r"stamp 8 ns is that of the frame before, .* its driver gives several images one"
    ):
        order.accept(8)


NOW = 1_700_000_000_000_000_000
RECEIPTS: dict[str, tuple[list[tuple[int, int]], list[int]]] = {
    "set": ([(NOW, NOW + 5), (NOW + 9, NOW + 12)], [NOW, NOW + 9]),
    "never set": ([(0, NOW), (0, NOW + 5)], [NOW, NOW + 5]),
    "set after a while": ([(0, NOW), (NOW + 5, NOW + 7)], [NOW, NOW + 5]),
    "not set once": ([(NOW, NOW + 1), (0, NOW + 5), (NOW + 8, NOW + 9)], [NOW, NOW + 5, NOW + 8]),
    "simulated time": ([(0, 1), (5, 6), (0, 7), (9, 10)], [1, 5, 0, 9]),
    "another clock, not set once": ([(4, NOW), (0, NOW + 5), (9, NOW + 8)], [4, 0, 9]),
    "a clip of a file": ([(1, NOW), (5, NOW + 5)], [1, 5]),
}


@pytest.mark.parametrize("case", RECEIPTS)
def test_the_time_of_receipt_is_the_stamp_of_messages_that_have_none(case: str) -> None:
    messages, expected = RECEIPTS[case]
    rule = ReceiptStamps()
    assert [rule.stamp_ns(*message) for message in messages] == expected


def test_after_a_restart_that_is_known_any_stamp_may_follow() -> None:
    order = StampOrder()
    for stamp in (100, 1, 2):
        outcome(order, stamp)
    order.restart()
    assert order.newest_ns is None
    assert [outcome(order, stamp) for stamp in (1, 0, 2)] == [1, OUT, 2]
