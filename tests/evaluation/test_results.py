"""The files of a sequence come of one pass over its records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.small_street import INFO, records_of, street, write_records

from cmt_seg_ros.evaluation import results
from cmt_seg_ros.evaluation.checkpoint import RunState, read_records
from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.labels import CAMVID

pytestmark = pytest.mark.usefixtures("no_plots")


def test_all_records_are_read_once_and_those_of_the_examples_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []

    def counted(folder: Path, rows: Any = None) -> Iterator[Record]:
        read.append(rows)
        return read_records(folder, rows)

    monkeypatch.setattr(results, "read_records", counted)
    records = records_of(street())
    records[0]["tracks"] = [[*row[:2], 0, *row[3:]] for row in records[0]["tracks"]]  # nothing is confirmed yet
    expected, _ = write_records(tmp_path, records)
    found = results.finish(
        tmp_path, CAMVID, CAMVID, INFO, RunState(""), lambda wanted: (r for r in street() if r.index in wanted)
    )
    assert {k: v for k, v in found.items() if k != "timing"} == {k: v for k, v in expected.items() if k != "timing"}
    places = sorted({example["index"] for example in (found["examples"] or {}).values()})
    assert read == [None, places]
    files = {"examples", "frames.csv", "frames.jsonl", "report.html", "summary.json", "tracks.txt"}
    assert {path.name for path in tmp_path.iterdir()} == files
    # Tracks 11 to 13 are confirmed in the second frame or later, and seen before; 99 never is.
    rows = [
        tuple(map(int, line.split(",")[:2]))
        for line in (tmp_path / "tracks.txt").read_text(encoding="utf-8").splitlines()
    ]
    assert rows == [(k + 1, track) for k in range(9) for track in (11 if k < 5 else 13, 12)]
