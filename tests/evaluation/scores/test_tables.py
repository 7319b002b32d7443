from __future__ import annotations

from pathlib import Path

import pytest
from support.small_street import records_of, street, write_records

from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.scores.tables import class_rows, number, percent, result_rows, stage_rows, tiles


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return write_records(tmp_path, records_of(street()))[0]


def test_the_summary_has_the_known_numbers(summary: Summary) -> None:
    masks, tracks = summary["masks"], summary["tracks"]
    # 16 x 16 pixels: 1 unlabelled, 41 car, 214 road. The mask: 14 of the road are pavement, 1 of the cars road.
    road, car = 200 / 215, 40 / 41
    assert masks["pixel_accuracy"] == pytest.approx(240 / 255)
    assert masks["mean_iou"] == pytest.approx((road + car) / 3)
    assert masks["class_iou"]["Sky"] is None and masks["worst_class"] == {"name": "Pavement", "iou": 0.0}
    assert summary["objectness"]["iou"] == pytest.approx(40 / 41) and summary["objectness"]["precision"] == 1.0
    # The outlines of the cars fit, 12 (one is at the border) and 14 pixels; that of the speck, 1 pixel, is missed.
    assert masks["class_boundary_f"]["Car"] == pytest.approx(2 * (26 / 27) / (1 + 26 / 27))
    assert masks["true_pixels"]["Road"] == 214 * 9
    # 9 frames, 2 objects and the speck; one changes its track after 5 frames: IDTP = 9 + 5 of 18 found.
    assert (tracks["frames"], tracks["true_objects"], tracks["tracks"], tracks["id_switches"]) == (9, 3, 3, 1)
    assert tracks["mota"] == pytest.approx(1 - (9 + 1) / 27)
    assert tracks["idf1"] == pytest.approx(2 * 14 / (18 + 27))
    assert (summary["frames"]["in"], summary["frames"]["evaluated"], summary["frames"]["lost"]) == (10, 9, 1)


def test_every_row_says_what_it_was_computed_on(summary: Summary) -> None:
    rows = {row.name: row for row in result_rows(summary)}
    assert all(row.computed_on and row.value for row in rows.values())
    assert rows["Worst class: Pavement"].value == "0.0 %" and rows["Objectness recall"].value == "97.6 %"
    assert rows["Time to infer: p50 / p90 / p99 / max"].value == "24.0 / 27.2 / 27.9 / 28.0 ms"


def test_tiles_are_of_what_is_known(summary: Summary) -> None:
    assert ("4.50", "frames/s", "whole run") in tiles(summary) and ("1", "of 10", "frames lost") in tiles(summary)
    for part in ("masks", "objectness", "calibration", "tracks", "panoptic"):
        summary[part] = None
    summary["timing"] |= {"frames_per_s": None, "stages_ms": {}}
    assert [meaning for *_, meaning in tiles(summary)] == ["temporal agreement", "frames lost"]
    assert [row.name for row in result_rows(summary)][4:] == [
        "Temporal agreement",
        "Time",
        "CPU time per frame",
        "Memory, peak",
    ]


def test_classes_are_in_the_order_of_their_iou(summary: Summary) -> None:
    rows = class_rows(summary)
    assert [row["name"] for row in rows[:3]] == ["Car", "Road", "Pavement"] and len(rows) == 11
    assert rows[0]["color"] == "#400080" and rows[0]["iou"] == "97.6 %" and rows[0]["share"] == "16.08 %"
    assert rows[3]["iou"] == "not defined"


def test_stages_and_numbers(summary: Summary) -> None:
    assert [name for name, *_ in stage_rows(summary)] == ["read", "infer", "score"]
    assert [number(v) for v in (None, 0.123, 12.34, 1234.5)] == ["?", "0.12", "12.3", "1234"]
    assert (percent(None), percent(0.5)) == ("not defined", "50.0 %")


def test_without_true_objects_mota_is_not_defined(tmp_path: Path) -> None:
    records = [
        {**record, "match": record["match"] and {"kind": "masks", "truth": [], "tracks": [12], "iou": []}}
        for record in records_of(street())
    ]
    summary, _ = write_records(tmp_path, records)
    tracks = summary["tracks"]
    assert tracks["mota"] is None and tracks["hota"] == tracks["idf1"] == 0.0 and tracks["true_objects"] == 0
    assert {row.name: row.value for row in result_rows(summary)}["MOTA"] == "not defined"
