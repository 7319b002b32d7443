"""True boxes of MOTChallenge files: which count, and that nothing is left out without a word."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.truth.boxes import read_boxes
from cmt_seg_ros.structures import Box

BOX = "0,0,2,2"


def counted(path: Path, text: str, classes: Collection[str] = ()) -> tuple[dict[int, list[int]], Problems]:
    """Ids that count by frame, and what was said."""
    path.write_text(text, encoding="utf-8")
    problems = Problems()
    found = {frame: [*boxes.boxes_px] for frame, boxes in read_boxes(path, problems, classes).items()}
    return {frame: ids for frame, ids in found.items() if ids}, problems


def test_boxes_of_motchallenge(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,7,10,20,30.5,40,1,-1,-1,-1\n\n4,7,0,0,5,5,1\n4,8,-3,0,5,5\n4,9,0,0,5,5,0,-1,-1,-1\n")
    problems = Problems()
    found: dict[int, dict[int, Box]] = {k: boxes.boxes_px for k, boxes in read_boxes(path, problems).items()}
    assert found == {1: {7: (10.0, 20.0, 40.5, 60.0)}, 4: {7: (0.0, 0.0, 5.0, 5.0), 8: (-3.0, 0.0, 2.0, 5.0)}}
    assert problems.lines == []


def test_lines_that_are_no_boxes_are_said(tmp_path: Path) -> None:
    bad = ["2,7,1,1,1", "2,7,1,1,x,1,1", "-1,7,1,1,2,2,1", "2,7,1,1,0,2,1", "2.5,7,1,1,2,2,1", "2,7,1,nan,2,2,1"]
    twice = ["1,7,5,5,2,2,1", "1,8,5,5,2,2,1"]
    found, problems = counted(tmp_path / "gt.txt", "\n".join(["1,7,1,1,2,2,1", *bad, "1,8,1,1,2,2,0", *twice]))
    assert found == {1: [7]}
    said = [*range(2, 8), 9, 10]
    assert [f"line {i} is skipped" in line for i, line in zip(said, problems.lines, strict=True)] == [True] * len(said)
    assert "frame 1 has id 7 already" in problems.lines[-2] and problems.counts == {"bad_label": len(said)}
    (path := tmp_path / "gt.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="cannot be read"):
        read_boxes(path, problems)
    path.write_text("no boxes\n")
    with pytest.raises(SourceError, match="no line that can be used"):
        read_boxes(path, problems)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it has no boxes"),
        (f"1,7,{BOX},0\n", "1 with the flag 0"),
        (f"1,7,{BOX},1,3,1\n1,8,{BOX},0,1,1\n", "1 of car, 1 with the flag 0 (column 7); --truth-classes says"),
    ],
)
def test_truth_in_which_nothing_counts_is_said(text: str, words: str, tmp_path: Path) -> None:
    found, problems = counted(tmp_path / "gt.txt", text)
    assert found == {} and problems.counts == {"no_true_object": 1}
    assert "shows no object in the whole clip" in problems.lines[0] and words in problems.lines[0]


def test_a_file_that_counts_from_0_is_found_out(tmp_path: Path) -> None:
    found, problems = counted(tmp_path / "gt.txt", f"0,7,{BOX},1\n1,7,{BOX},1\n")
    assert found == {1: [7], 2: [7]} and problems.counts == {"numbering": 1}


def test_a_row_far_away_costs_nothing(tmp_path: Path) -> None:
    found, _ = counted(tmp_path / "gt.txt", "1,7,1,1,2,2,1\n9999999,7,1,1,2,2,1\n1e15,7,1,1,2,2,1\n")
    assert list(found) == [1, 9_999_999, 10**15]


CLASSES = "".join(f"1,{number},{number},0,2,2,{int(number < 4)},{number},0.5\n" for number in range(1, 14))


@pytest.mark.parametrize("rows", [CLASSES, CLASSES.replace(",0.5\n", "\n")])
@pytest.mark.parametrize(
    ("folder", "distractors"),
    [("MOT17-02", {2, 7, 8, 12}), ("MOT20-01", {2, 6, 7, 8, 12}), ("MOT20/MOT16-04", {2, 7, 8, 12})],
)
def test_from_mot16_on_pedestrians_count_and_distractors_are_known(
    rows: str, folder: str, distractors: set[int], tmp_path: Path
) -> None:
    (tmp_path / folder / "gt").mkdir(parents=True)
    (path := tmp_path / folder / "gt" / "gt.txt").write_text(rows)
    (boxes,) = read_boxes(path, Problems()).values()
    assert [*boxes.boxes_px] == [1]
    assert {int(other.box_px[0]) for other in boxes.others if other.is_distractor} == distractors
    assert [other.place for other in boxes.others] == [1] * 12


def test_seqinfo_says_that_a_file_is_of_mot20(tmp_path: Path) -> None:
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nname=MOT20-05\n")
    (path := tmp_path / "gt.txt").write_text(CLASSES)
    (boxes,) = read_boxes(path, Problems()).values()
    assert sum(other.is_distractor for other in boxes.others) == 5


def test_named_classes_count_instead(tmp_path: Path) -> None:
    assert counted(tmp_path / "gt.txt", CLASSES, {"car", "person_on_vehicle"})[0] == {1: [2, 3]}
    assert counted(tmp_path / "gt.txt", f"1,7,{BOX},1,-1,-1,-1\n", {"car"})[0] == {1: [7]}, "MOT15 knows no classes"


def test_columns_that_are_no_classes_of_motchallenge(tmp_path: Path) -> None:
    # World coordinates, another visibility, ten columns, classes from 0: each box counts.
    for tail in ("3,5.5", "3.5,1", "3,1,-1", "-1,-1", "0,1", "80,1"):
        assert counted(tmp_path / "gt.txt", f"1,7,{BOX},1,{tail}\n1,8,{BOX},1,{tail}\n")[0] == {1: [7, 8]}
    found, problems = counted(tmp_path / "gt.txt", f"1,7,{BOX},1,1,1\n1,8,{BOX},1,14,1\n")
    assert found == {1: [7]} and problems.counts == {"bad_label": 1}
    assert "line 2 is skipped: class is 14; MOTChallenge numbers its classes 1 to 13" in problems.lines[0]
