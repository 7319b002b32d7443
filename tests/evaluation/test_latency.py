from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.latency import read_arrivals

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def table(path: Path, rows: list[tuple[str, int, int]]) -> Path:
    path.write_text("topic,stamp_ns,received_ns\n" + "".join(f"{t},{s},{r}\n" for t, s, r in rows))
    return path


def test_ages_and_rates(tmp_path: Path) -> None:
    rows = [
        ("/camera/segmentation/mask", NOW + i * SECOND // 10, NOW + i * SECOND // 10 + (i + 1) * 1_000_000)
        for i in range(101)
    ]
    rows += [("/camera/tracking/tracks", NOW, NOW + SECOND)]
    found = read_arrivals(table(tmp_path / "arrivals.csv", rows))
    mask, tracks = found["segmentation/mask"], found["tracking/tracks"]
    assert len(mask) == 101
    assert [mask.percentile_ms(p) for p in (0, 50, 99, 100)] == pytest.approx([1, 51, 100, 101])
    assert mask.fps == pytest.approx(100 / 10.1)
    assert np.isnan(tracks.fps) and tracks.received_s.tolist() == pytest.approx([0.999])


def test_stamps_of_another_clock_give_no_ages(tmp_path: Path) -> None:
    rows = [("/c/segmentation/mask", i * SECOND, NOW + i * SECOND) for i in range(5)]
    mask = read_arrivals(table(tmp_path / "arrivals.csv", rows))["segmentation/mask"]
    assert mask.age_ms is None and np.isnan(mask.percentile_ms(50)) and mask.fps == pytest.approx(1.0)


def test_a_table_without_rows_or_of_another_kind(tmp_path: Path) -> None:
    assert read_arrivals(table(tmp_path / "a.csv", [])) == {}
    (tmp_path / "b.csv").write_text("time,value\n1,2\n")
    (tmp_path / "c.csv").write_text("topic,stamp_ns,received_ns\nx,y,z\n")
    for name in ("b.csv", "c.csv", "none.csv"):
        with pytest.raises(SourceError, match=r"expected the arrivals\.csv"):
            read_arrivals(tmp_path / name)
