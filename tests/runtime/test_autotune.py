"""Autotune measures once, keeps the table, and takes the fastest that is quick enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.tiny_package import write_package

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime import autotune
from cmt_seg_ros.runtime.autotune import Measurement, choose
from cmt_seg_ros.runtime.pipeline import Pipeline

ROWS = [Measurement(1, 1, 50.0, 20.0), Measurement(1, 2, 56.0, 38.0), Measurement(4, 2, 60.0, 150.0)]


@pytest.mark.parametrize(("limit", "expected"), [(0.0, (4, 2)), (100.0, (1, 2)), (25.0, (1, 1)), (5.0, (1, 1))])
def test_fastest_within_the_limit_else_the_quickest(limit: float, expected: tuple[int, int]) -> None:
    best = choose(ROWS, limit)
    assert (best.batch, best.requests) == expected


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SegmentationConfig:
    monkeypatch.setattr(autotune, "MEASURE_S", 0.02)
    package = write_package(tmp_path / "tiny")
    return SegmentationConfig(
        str(package.folder),
        "NOSUCH,CPU",
        max_batch_size=3,
        num_requests=2,
        autotune=True,
        cache_dir=str(tmp_path / "c"),
    )


def test_every_combination_is_measured_and_the_best_is_used(config: SegmentationConfig) -> None:
    pipeline = Pipeline(config)
    lines = pipeline.tuning.splitlines()
    combinations = [tuple(map(int, line.split()[:2])) for line in lines[2:]]
    assert combinations == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    (chosen,) = [line for line in lines if line.endswith("<- chosen")]
    assert tuple(map(int, chosen.split()[:2])) == (pipeline.config.max_batch_size, pipeline.config.num_requests)
    rates = [float(line.split()[2]) for line in lines[2:]]
    assert float(chosen.split()[2]) == max(rates)


def test_measured_once_for_model_device_and_settings(
    config: SegmentationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Pipeline(config).tuning

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(autotune, "measure", refuse)
    assert Pipeline(config).tuning == first
    limited = Pipeline(replace(config, max_latency_ms=1e-3)).tuning
    assert "none is within 0.001 ms; the quickest was taken" in limited, (
        "the limit only chooses among what was measured"
    )
    with pytest.raises(AssertionError, match="measured again"):
        Pipeline(replace(config, num_threads=1))


def test_damaged_table_is_measured_again(config: SegmentationConfig, tmp_path: Path) -> None:
    Pipeline(config)
    (table,) = (tmp_path / "c" / "autotune").glob("tiny-CPU-*.json")
    table.write_text('[{"batch": 1}]')
    assert len(Pipeline(config).tuning.splitlines()) == 8
    assert table.read_text(encoding="utf-8") != '[{"batch": 1}]'
