from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.sources.problems import Problems
from cmt_seg_ros.sources.truth_matching import ByStamp, file_stamp_ns
from cmt_seg_ros.sources.truth_motchallenge import read_boxes
from cmt_seg_ros.structures import Frame

PIXELS = np.zeros((2, 2, 3), np.uint8)


def match(frames: list[int], truth: list[int], tolerance_ns: int = 0, window: int = 64) -> tuple[list[int | None], str]:
    """Which truth each frame gets, and the names of what is left."""
    matcher = ByStamp(((t, str(t), t) for t in truth), tolerance_ns, window)
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


def test_only_so_much_waits() -> None:
    reads = 0

    def truth() -> object:
        nonlocal reads
        for stamp in range(1000):
            reads += 1
            yield stamp, str(stamp), stamp

    matcher = ByStamp(truth(), 0, window=4)
    assert matcher.find(Frame("camera", 10, PIXELS), 0) == 10 and reads == 11
    assert matcher.find(Frame("camera", 8, PIXELS), 1) == 8
    assert matcher.find(Frame("camera", 2, PIXELS), 2) is None
    assert len(list(matcher.unused())) == 998


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


def test_boxes_of_motchallenge(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,7,10,20,30.5,40,1,1,0.8\n\n4,7,0,0,5,5,1\n4,8,-3,0,5,5\n4,9,0,0,5,5,0,1,1\n")
    problems = Problems()
    assert read_boxes(path, problems) == {
        1: {7: (10.0, 20.0, 40.5, 60.0)},
        2: {},
        3: {},
        4: {7: (0.0, 0.0, 5.0, 5.0), 8: (-3.0, 0.0, 2.0, 5.0)},
    }
    assert problems.lines == []


def test_lines_that_are_no_boxes_are_said(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    bad = ["2,7,1,1,1", "2,7,1,1,x,1,1", "0,7,1,1,2,2,1", "2,7,1,1,0,2,1", "2.5,7,1,1,2,2,1", "2,7,1,nan,2,2,1"]
    path.write_text("\n".join(["1,7,1,1,2,2,1", *bad]))
    problems = Problems()
    assert read_boxes(path, problems) == {1: {7: (1.0, 1.0, 3.0, 3.0)}}
    assert [f"line {i} is skipped" in line for i, line in enumerate(problems.lines, start=2)] == [True] * len(bad)
    for text in ("", "1,7,1,1,2,2,0\n"):
        path.write_text(text)
        with pytest.raises(SourceError, match="has no boxes"):
            read_boxes(path, problems)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="cannot be read"):
        read_boxes(path, problems)
