from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.motchallenge import MAX_FRAME, TrackRows, read_detections, row_of
from cmt_seg_ros.structures import Track, TrackState

GOOD = "1,-1,10,20,30,40,0.5,-1,-1,-1"
BOX = (10, 20, 40, 60)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def track(state: TrackState, track_id: int = 3) -> Track:
    return Track(track_id, 0, (1.0, 2.0, 4.504, 10.0), (0.0, 0.0), 0.876, state, 1.0, 0.0)


def test_boxes_come_by_frame_with_corners_and_scores_as_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "det.txt", "7,-1, 1.5,2.25,10,20.5,1", "", GOOD, "7,-1,-4,0,8,8,0,-1,-1,-1")
    boxes = read_detections(path, Problems(), class_id=2)
    assert {frame: len(found) for frame, found in boxes.items()} == {7: 2, 1: 1}
    first, outside = boxes[7]
    assert (first.class_id, first.box_px, first.score, first.mask) == (2, (1.5, 2.25, 11.5, 22.75), 1.0, None)
    np.testing.assert_allclose((*first.centroid_px, first.area_px), (6.5, 12.5, 205.0))
    assert outside.box_px == (-4, 0, 4, 8)
    assert boxes[1][0].score == 0.5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,-1,10,20,30,40", r"has 6 values.*expected frame, id, left"),
        ("1;-1;10;20;30;40;1", "has 1 values"),
        ("1,-1,ten,20,30,40,1", "left is 'ten'; it must be a number"),
        ("1,-1,10,nan,30,40,1", "top is 'nan'"),
        ("1,-1,10,20,inf,40,1", "width is 'inf'"),
        ("1,-1,10,20,0,40,1", "width is 0; it must be over 0"),
        ("1,-1,10,20,30,-4,1", "height is -4"),
        ("1,-1,10,20,30,40,nan", "score is 'nan'"),
        ("-1,-1,10,20,30,40,1", "frame is -1; it must be a whole number from 1"),
        ("1.5,-1,10,20,30,40,1", "frame is 1.5"),
        (f"{MAX_FRAME + 1},-1,10,20,30,40,1", "frame is 1e"),
    ],
)
def test_a_malformed_line_is_named_with_its_value_and_skipped(line: str, words: str, tmp_path: Path) -> None:
    problems = Problems()
    boxes = read_detections(write(tmp_path / "det.txt", GOOD, line, GOOD), problems)
    assert {frame: len(found) for frame, found in boxes.items()} == {1: 2}
    assert problems.counts == {"bad_line": 1} and re.search(rf"det.txt, line 2 is skipped.*{words}", problems.lines[0])
    with pytest.raises(SourceError, match=rf"no line that can be used.*Line 1: .*{words}"):
        read_detections(write(tmp_path / "det.txt", line), Problems())


@pytest.mark.parametrize("score", ["1.5", "-0.4", "90"])
def test_scores_of_another_scale_are_refused_not_skipped(score: str, tmp_path: Path) -> None:
    path = write(tmp_path / "det.txt", GOOD, GOOD.replace("0.5", score))
    with pytest.raises(SourceError, match=rf"line 2: score is {score}; it must be from 0 to 1"):
        read_detections(path, Problems())


def test_what_is_no_detections_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    for name in ("none", "binary"):
        with pytest.raises(SourceError, match="cannot be read"):
            read_detections(tmp_path / name, Problems())


@pytest.mark.parametrize("text", ["", "\n \n", "frame,id,left,top,width,height,score\n", "# nobody\n"])
def test_a_file_without_boxes_shows_no_object(text: str, tmp_path: Path) -> None:
    (path := tmp_path / "det.txt").write_text(text)
    problems = Problems()
    assert read_detections(path, problems) == {} and not problems.lines


ROWS = ("1,-1,10,20,30,40,0.5", "2,-1,10,20,30,40,0.5,-1,-1,-1")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + "\n".join(ROWS),
        "\r\n".join(ROWS) + "\r\n\r\n",
        "\n".join(ROWS).replace(",", ", "),
        "\n".join(ROWS).replace(",", "\t"),
        "\n".join(ROWS).replace(",", "  "),
        "\n".join(f" {row}, " for row in ROWS),
        "\ufeffframe,id,left,top,width,height,conf,x,y,z\n# by hand\n" + "\n".join(ROWS),
        "\n".join(ROWS).replace("1,-1", "1.0,-1.0", 1),
    ],
)
def test_text_is_read_as_editors_write_it(text: str, tmp_path: Path) -> None:
    (path := tmp_path / "det.txt").write_text(text, encoding="utf-8", newline="")
    problems = Problems()
    boxes = read_detections(path, problems)
    assert {frame: [s.box_px for s in found] for frame, found in boxes.items()} == {1: [BOX], 2: [BOX]}
    assert not problems.lines


def test_a_missing_value_shifts_no_others(tmp_path: Path) -> None:
    problems = Problems()
    read_detections(write(tmp_path / "det.txt", GOOD, "1,-1,,20,30,40,0.5,1"), problems)
    assert "left is ''; it must be a number" in problems.lines[0]


def test_a_file_that_counts_from_0_is_found_out(tmp_path: Path) -> None:
    problems = Problems()
    boxes = read_detections(write(tmp_path / "det.txt", GOOD, "0" + GOOD[1:]), problems)
    assert sorted(boxes) == [1, 2] and problems.counts == {"numbering": 1}
    assert "has a frame 0, so it is taken to count frames from 0" in problems.lines[0]


def test_results_have_confirmed_tracks_from_their_first_frame_on_and_only_where_they_are_seen() -> None:
    tentative, confirmed, occluded, lost = TrackState
    results = TrackRows()
    for states in (
        {1: tentative, 2: tentative},
        {1: tentative},
        {1: confirmed, 3: tentative},
        {1: occluded},
        {1: lost},
    ):
        results.add([track(state, track_id) for track_id, state in states.items()])
    assert results.frames == 5 and results.ids == {1}
    assert [row.split(",")[:2] for row in results.rows()] == [["1", "1"], ["2", "1"], ["3", "1"]]


def test_a_row_has_left_top_width_height_and_two_decimals() -> None:
    assert row_of(12, 3, (1.0, 2.0, 3.504, 8.0), 0.876) == "12,3,1.00,2.00,3.50,8.00,0.88,-1,-1,-1\n"
