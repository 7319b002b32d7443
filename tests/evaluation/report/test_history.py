from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support.small_street import PERIOD_NS, START_NS, history_of, records_of, street

from cmt_seg_ros.evaluation.report.history import RunHistory, TrackSpan
from cmt_seg_ros.evaluation.report.style import thinned
from cmt_seg_ros.evaluation.report.timeline import timeline, track_strip
from cmt_seg_ros.labels import CAMVID


def test_a_row_for_each_frame() -> None:
    history = history_of(records_of(street()))
    assert history.x_name == "time, s" and history.x[:9].tolist() == pytest.approx([i / 10 for i in range(9)])
    assert history.columns["infer_ms"][:9].tolist() == [20.0 + i for i in range(9)]
    assert history.columns["objects_found"][:9].tolist() == [2.0] * 9 and np.isnan(history.columns["mean_iou"][9])
    assert "age_ms" not in history.columns
    assert (history.lost, history.starts) == ([9], [0])
    assert history.frame_time("street", 3) == ("000003", pytest.approx(0.3))


def test_spans_are_of_confirmed_tracks_and_short_gaps_are_none() -> None:
    records = records_of(street(20))
    for row in (5, 6, 11, 12, 13):  # 2 frames of the right car are hidden, then 3
        records[row]["tracks"] = [track for track in records[row]["tracks"] if track[0] != 12]
    spans = history_of(records).spans
    assert {i: span.pieces for i, span in spans.items()} == {
        11: [[0, 9]],
        12: [[0, 10], [14, 18]],
        13: [[10, 18]],
    }
    assert spans[12].frames == 14


@pytest.mark.parametrize(
    "stamps",
    [[0, 0, 0, 0], [0, 100, 50, 150], [0, 1_700_000_000 * 10**9, 1_700_000_001 * 10**9, 1_700_000_002 * 10**9]],
)
def test_stamps_that_are_no_time_give_numbers_of_frames(stamps: list[int]) -> None:
    records = [{**r, "stamp_ns": stamp} for r, stamp in zip(records_of(street(5)), stamps, strict=False)]
    history = history_of(records)
    assert history.x_name == "frame" and history.x.tolist() == [0, 1, 2, 3]


def test_a_lost_frame_with_a_wrong_stamp_stays_between_its_neighbours() -> None:
    records = records_of(street(10))
    for row, stamp in ((0, -5), (3, 5), (4, START_NS + 4 * PERIOD_NS)):
        records[row] |= {"lost": "out_of_order", "stamp_ns": stamp}
    history = history_of(records)
    assert history.x.tolist() == pytest.approx([0, 0.1, 0.2, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert (history.x_name, history.lost) == ("time, s", [0, 3, 4, 9])


def test_values_between_lost_frames_are_seen() -> None:
    def markers(lost: list[int]) -> int:
        records = records_of(street(12))
        for row in lost:
            records[row] = {**records[-1], "index": row, "stamp_ns": records[row]["stamp_ns"]}
        return timeline(history_of(records)).count("<use")

    assert markers([1, 3, 5]) > markers([1, 2, 3])


def test_several_sequences_follow_each_other() -> None:
    history = history_of([*records_of(street(5), "a"), *records_of(street(5), "b")])
    assert history.x.tolist() == list(range(10)) and history.starts == [0, 5] and history.spans == {}


def test_few_points_keep_the_peaks() -> None:
    y = np.sin(np.arange(50_000) / 3000.0)
    y[[12_345, 40_000]], y[20_000:21_000] = (9.0, -9.0), np.nan
    x, thin = thinned(np.arange(50_000.0), y)
    assert len(x) <= 800 and (np.diff(x) > 0).all()
    assert x[np.nanargmax(thin)] == 12_345 and x[np.nanargmin(thin)] == 40_000 and np.isnan(thin).any()
    assert thinned(x[:800], thin[:800])[0] is not None


def test_pictures_of_a_long_clip_are_small() -> None:
    rng, rows = np.random.default_rng(0), 30_000
    names = ("mean_iou", "objectness_iou", "true_objects", "objects_found", "tracks", "infer_ms", "memory_mb")
    columns = {name: rng.random(rows) for name in names}
    spans = {i: TrackSpan(Counter({8: 5}), [[j, j + 20] for j in range(i, rows - 30, 60)]) for i in range(200)}
    history = RunHistory(
        np.arange(rows) * PERIOD_NS / 1e9, "time, s", columns, [*range(0, rows, 50)], [], [], spans, [0]
    )
    assert len(timeline(history)) < 400_000
    assert len(track_strip(history, CAMVID)) < 800_000
