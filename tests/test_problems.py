from __future__ import annotations

import logging

import pytest

from cmt_seg_ros.problems import MAX_LINES, Problems


def test_the_same_text_counts_once(caplog: pytest.LogCaptureFixture) -> None:
    problems = Problems()
    for text in ("a", "b", "a"):
        problems.add("bad_label", text)
    problems.add("damaged_bag", "c")
    assert problems.lines == ["a", "b", "c"] and problems.counts == {"bad_label": 2, "damaged_bag": 1}
    assert [record.message for record in caplog.records] == ["a", "b", "c"]


def test_all_are_counted_some_are_kept_few_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    problems = Problems()
    with caplog.at_level(logging.WARNING):
        for number in range(MAX_LINES + 5):
            problems.add("damaged_message", f"message {number}")
    assert problems.counts == {"damaged_message": MAX_LINES + 5}
    assert len(problems.lines) == MAX_LINES and problems.lines[-1] == f"message {MAX_LINES - 1}"
    assert len(caplog.records) == 21 and "not logged" in caplog.records[-1].message
