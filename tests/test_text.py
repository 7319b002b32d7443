"""Text from outside: what it holds beside letters is shown, not done."""

from __future__ import annotations

import os

from cmt_seg_ros.errors import CmtSegError, FrameError
from cmt_seg_ros.text import printable, printable_lines, shortened


def test_control_characters_are_shown_as_people_write_them() -> None:
    assert printable("a\x1b[2J\r\n\x00\x7f\x9b\u202e\u2028") == r"a\x1b[2J\r\n\x00\x7f\x9b\u202e\u2028"
    assert printable("Straße 東京 🚗 [/x] \\") == "Straße 東京 🚗 [/x] \\"
    assert printable_lines("a\nb\r\t") == "a\nb\\r\\t"


def test_names_of_files_that_are_not_utf8_show_their_bytes() -> None:
    assert printable(os.fsdecode(b"caf\xe9.png")) == r"caf\xe9.png"


def test_a_long_value_is_cut() -> None:
    assert shortened([1, 2]) == "[1, 2]" and shortened("x" * 500) == "'" + "x" * 99 + "..."


def test_errors_are_one_safe_line_and_an_example_stays_below() -> None:
    told = FrameError("Check failed at a.cpp:1:\n\n  topic \x1b[31m[/x]\r", "bad_encoding")
    assert str(told) == r"Check failed at a.cpp:1: topic \x1b[31m[/x]\r" and told.reason == "bad_encoding"
    assert str(CmtSegError("write it:", below="a: 1\nb: \x1b")) == "write it:\na: 1\nb: \\x1b"
