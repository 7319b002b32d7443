"""Two runs against each other: which frames, which figures, and which differences are called real."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.evaluated_runs import CLASSES, PERIOD_NS, write_run

from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.compare.comparison import (
    BETTER,
    FEW,
    MISSING,
    NOT_JUDGED,
    SAME,
    WORSE,
    ComparedScore,
    Comparison,
    Settings,
)
from cmt_seg_ros.evaluation.compare.comparison import compare as compare_runs
from cmt_seg_ros.evaluation.compare.page import most_changed, write_comparison
from cmt_seg_ros.evaluation.compare.runs import load_run
from cmt_seg_ros.evaluation.compare.text import broken_limits, difference_text, interval_text, parse_limits, value_text
from cmt_seg_ros.evaluation.scores.summary import RunInfo, summarise
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics.segmentation import iou_per_class, mean_iou, pixel_accuracy
from cmt_seg_ros.metrics.tracking import clear_mot, combine_hota, hota, identity
from cmt_seg_ros.outputs import OutputFolder

QUICK = Settings(resamples=200)


def compare(baseline: Path, run: Path, settings: Settings = QUICK) -> Comparison:
    return compare_runs(load_run(baseline), load_run(run), settings)


def rows_of(comparison: Comparison) -> dict[str, ComparedScore]:
    return {row.name: row for row in comparison.rows}


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "frames.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "good", error=0.08, noise=0.01, seed=1)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "bad", error=0.2, noise=0.01, seed=2)


def test_a_run_equals_itself(good: Path) -> None:
    comparison = compare(good, good)
    judged = [row for row in comparison.rows if row.verdict != NOT_JUDGED]
    assert len(judged) == 14 + len(CLASSES) and comparison.warnings == ()
    for row in judged:
        assert (row.difference, row.low, row.high, row.verdict) == (0, 0, 0, SAME), row.name


def test_a_real_difference_is_found_in_both_directions(good: Path, bad: Path) -> None:
    found, reverse = rows_of(compare(good, bad)), rows_of(compare(bad, good))
    for name in (
        "mean_iou",
        "pixel_accuracy",
        "mean_boundary_f",
        "objectness_iou",
        "ece",
        "hota",
        "pq",
        "class_iou.Car",
    ):
        row = found[name]
        assert row.verdict == WORSE and row.change < 0 and reverse[name].verdict == BETTER, name
        assert row.low <= row.difference <= row.high
    assert found["ece"].difference > 0 and not found["ece"].higher_is_better
    assert found["result_share"].verdict == SAME


def test_mere_noise_is_mostly_not_called_a_difference(tmp_path: Path) -> None:
    runs = [
        load_run(write_run(tmp_path / str(seed), error=0.2, noise=0.05, seed=seed, frames=50)) for seed in range(41)
    ]
    comparisons = [compare_runs(one, other, QUICK) for one, other in itertools.pairwise(runs)]
    for name in ("mean_iou", "ece", "hota", "idf1", "mota", "pq"):
        verdicts = [rows_of(comparison)[name].verdict for comparison in comparisons]
        assert set(verdicts) <= {SAME, BETTER, WORSE}
        assert verdicts.count(SAME) >= 0.85 * len(verdicts), name


def test_values_are_those_of_the_metrics(tmp_path: Path) -> None:
    folder = write_run(tmp_path, error=0.2, noise=0.05, sequences=("a", "b"), frames=50)
    found = rows_of(compare(folder, folder))
    matrix = np.zeros((len(CLASSES), len(CLASSES) + 1), np.int64)
    for record in records(folder):
        for true, predicted, pixels in record["confusion"]:
            matrix[true, predicted] += pixels
    assert found["mean_iou"].value == pytest.approx(mean_iou(matrix))
    assert found["pixel_accuracy"].value == pytest.approx(pixel_accuracy(matrix))
    np.testing.assert_allclose([found[f"class_iou.{name}"].value for name in CLASSES], iou_per_class(matrix))
    # Track 999 is never confirmed: it does not count.
    matches: dict[str, list[Any]] = {"a": [], "b": []}
    for record in records(folder):
        match = record["match"]
        keep = [i for i, track in enumerate(match["tracks"]) if track != 999]
        iou = np.array(match["iou"]).reshape(len(match["truth"]), -1)[:, keep]
        matches[record["sequence"]].append((match["truth"], [match["tracks"][i] for i in keep], iou))
    assert found["hota"].value == pytest.approx(combine_hota([hota(m) for m in matches.values()]).hota)
    clear = [clear_mot(m) for m in matches.values()]
    assert found["id_switches"].value == sum(c.id_switches for c in clear) > 0
    truth = sum(c.tp + c.fn for c in clear)
    assert found["mota"].value == pytest.approx(sum(c.tp - c.fp - c.id_switches for c in clear) / truth)
    ids = [identity(m) for m in matches.values()]
    idtp, wrong = sum(i.idtp for i in ids), sum(i.idfn + i.idfp for i in ids)
    assert found["idf1"].value == pytest.approx(idtp / (idtp + wrong / 2))


def test_evaluate_and_compare_find_the_same(tmp_path: Path) -> None:
    folder = write_run(tmp_path, error=0.2, noise=0.05, sequences=("a", "b"), frames=50)
    labels = LabelSet.from_list(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["classes"])
    summary = summarise(read_records(folder), labels, RunInfo("clip", "offline", "some-model", {}))
    masks, objects, tracks = summary["masks"], summary["objectness"], summary["tracks"]
    assert masks and objects and tracks and summary["panoptic"] and summary["calibration"] and summary["temporal"]
    expected = {
        **{name: masks[name] for name in ("mean_iou", "pixel_accuracy", "mean_boundary_f")},
        **{f"objectness_{name}": objects[name] for name in ("iou", "precision", "recall")},
        **{name: tracks[name] for name in ("hota", "idf1", "mota", "id_switches")},
        **{f"class_iou.{name}": value for name, value in masks["class_iou"].items()},
        "pq": summary["panoptic"]["pq"],
        "ece": summary["calibration"]["ece"],
        "temporal_agreement": summary["temporal"]["agreement"],
    }
    found = rows_of(compare(folder, folder))
    assert {name: found[name].value for name in expected} == pytest.approx(expected, rel=1e-12)


def test_the_other_figures_by_hand(tmp_path: Path) -> None:
    folder = write_run(tmp_path, error=0.0, frames=6)
    lines = records(folder)
    for record in lines:
        record["objects"] = [[50, 10, 0], [8, 30, 2]]
        record["calibration"] = [[100, 40.0, 50], [300, 270.0, 240], *[[0, 0.0, 0]] * 13]
        record["boundary_f"] = [0.5 if record["index"] else None, 1.0, None]
        record["panoptic"] = [[0, 1.6, 2, 1, 1], [2, 0.5, 1, 0, 0]]
        record["temporal"] = [90, 100] if record["index"] else None
    (folder / "frames.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines))
    found = {name: row.value for name, row in rows_of(compare(folder, folder)).items()}
    assert found["objectness_iou"] == pytest.approx(30 / 50)
    assert (found["objectness_precision"], found["objectness_recall"]) == pytest.approx((30 / 40, 30 / 40))
    assert found["ece"] == pytest.approx((10 + 30) / 400)
    assert found["mean_boundary_f"] == pytest.approx((0.5 + 1.0) / 2)
    assert found["temporal_agreement"] == pytest.approx(0.9)
    assert found["pq"] == pytest.approx((1.6 / 3 + 0.5) / 2)


def test_times_are_shown_and_never_judged(good: Path, bad: Path) -> None:
    found = rows_of(compare(good, bad))
    infer = np.array([r["timing"]["infer_ms"] for r in records(good)])
    assert found["infer_p50_ms"].baseline == pytest.approx(np.median(infer))
    assert found["infer_mean_ms"].baseline == pytest.approx(infer.mean())
    for name in ("infer_p50_ms", "infer_mean_ms", "frames_per_s"):
        assert found[name].verdict == NOT_JUDGED and np.isnan(found[name].low)
    assert found["frames_per_s"].higher_is_better and not found["infer_mean_ms"].higher_is_better


def test_frames_of_one_run_only_are_left_out_and_told(tmp_path: Path) -> None:
    long = write_run(tmp_path / "long", frames=60)
    lines = records(long)
    short = write_run(tmp_path / "short", frames=60)
    (short / "frames.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines if 5 <= r["index"] < 50))
    comparison = compare(long, short)
    assert len(comparison.frames) == 45 and comparison.frames[0].index == 5
    assert comparison.warnings == ("15 frames are only in the baseline, and left out.",)
    assert rows_of(comparison)["mean_iou"].difference == 0


def test_lost_frames_count_in_one_figure_only(tmp_path: Path) -> None:
    whole, holes = write_run(tmp_path / "whole"), write_run(tmp_path / "holes", lost=range(0, 60, 2))
    comparison = compare(whole, holes)
    found = rows_of(comparison)
    assert found["result_share"].value == 0.5 and found["result_share"].verdict == WORSE
    assert found["mean_iou"].frames == 30 and found["mean_iou"].difference == pytest.approx(0)
    assert any("The run lost 30 frames" in warning for warning in comparison.warnings)


def test_repeated_stamps_are_paired_by_number(tmp_path: Path) -> None:
    stamps = [0] * 20 + [PERIOD_NS] * 20
    one = write_run(tmp_path / "one", frames=40, stamps=stamps)
    other = write_run(tmp_path / "other", frames=40)
    comparison = compare(one, other)
    assert len(comparison.frames) == 40 and comparison.warnings == ()


def test_sequences_are_paired_by_name_but_a_single_one_may_be_renamed(tmp_path: Path) -> None:
    both = write_run(tmp_path / "both", sequences=("left", "right"), frames=30)
    left = write_run(tmp_path / "left", sequences=("left",), frames=30)
    renamed = write_run(tmp_path / "renamed", sequences=("moved",), frames=30)
    assert compare(both, left).lengths == (30,)
    assert compare(left, renamed).lengths == (30,) and compare(both, both).lengths == (30, 30)
    with pytest.raises(ConfigError, match=r"no frame in common \(sequences left, right; moved\)"):
        compare(both, renamed)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("clip", "elsewhere", "other clips: 'invented' and 'elsewhere'"),
        ("mode", "live", "other modes: 'offline' and 'live'"),
        ("frames", {"with_truth": 3}, "ground truth: 60 in the baseline, 3 in the run"),
        ("tracks", {"truth": "boxes"}, "true masks and with true boxes"),
    ],
)
def test_unlike_runs_are_warned_of(good: Path, tmp_path: Path, key: str, value: Any, expected: str) -> None:
    (warning,) = compare(good, write_run(tmp_path, summary={key: value})).warnings
    assert expected in warning


def test_other_ground_truth_is_noticed_in_the_frames(good: Path, tmp_path: Path) -> None:
    (warning,) = compare(good, write_run(tmp_path, truth_seed=8)).warnings
    assert "60 of 60 frames have other true pixels" in warning


def test_what_only_one_run_has_is_shown_and_not_compared(good: Path, tmp_path: Path) -> None:
    without = write_run(tmp_path, without=("confusion", "match"))
    found = rows_of(compare(good, without))
    row = found["mean_iou"]
    assert (row.verdict, row.frames) == (MISSING, 0) and row.baseline > 0.8 and np.isnan(row.value)
    assert found["id_switches"].verdict == MISSING and np.isnan(found["id_switches"].value)
    assert found["ece"].verdict in (SAME, BETTER, WORSE)
    neither = rows_of(compare(without, without))
    assert "mean_iou" not in neither and "hota" not in neither and "ece" in neither


def test_few_frames_are_not_judged(tmp_path: Path) -> None:
    short = [write_run(tmp_path / name, error=error, frames=8) for name, error in (("a", 0.1), ("b", 0.4))]
    assert {row.verdict for row in compare(*short).rows} == {FEW, NOT_JUDGED}
    assert rows_of(compare(*short, Settings(resamples=200, block=1)))["mean_iou"].verdict == WORSE


def test_other_classes_cannot_be_compared(good: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Road, Car, Sky; .* has Road"):
        compare(
            good,
            write_run(
                tmp_path,
                summary={"classes": [{"id": 0, "name": "Road"}]},
                without=("confusion", "boundary_f", "panoptic"),
            ),
        )


@pytest.mark.parametrize("settings", [{"resamples": 99}, {"block": -1}, {"level": 1.0}, {"level": float("nan")}])
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="allowed"):
        Settings(**settings)


def test_files_are_checked(good: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"summary\.json is missing"):
        load_run(tmp_path)
    copy = write_run(tmp_path / "copy", frames=5)
    lines = (copy / "frames.jsonl").read_text(encoding="utf-8").splitlines()
    (copy / "frames.jsonl").write_text("\n".join([*lines[:3], lines[3][:40]]))
    with pytest.raises(SourceError, match="line 4: "):
        load_run(copy)
    (copy / "frames.jsonl").write_text(lines[0].replace('"confusion": [[0', '"confusion": [[9'))
    with pytest.raises(SourceError, match="do not fit"):
        load_run(copy)
    (copy / "frames.jsonl").unlink()
    with pytest.raises(SourceError, match=r"frames\.jsonl cannot be read"):
        load_run(copy / "summary.json")
    for text, expected in (('{"schema_version": 1}', "schema_version 1"), ("[]", "schema_version None"), ("{", "read")):
        (copy / "summary.json").write_text(text)
        with pytest.raises(SourceError, match=expected):
            load_run(copy)


def test_limits(good: Path, bad: Path, tmp_path: Path) -> None:
    comparison = compare(good, bad)
    limits = parse_limits(["mean_iou=-0.5", "ece=-1", "id_switches=-1000", "mota=-1e9"], CLASSES)
    broken = broken_limits(comparison, limits)
    assert [text.split(" ")[0] for text in broken] == ["mean_iou", "ece"]
    assert re.search(r"change towards better -\d+\.\d\d % points, the limit is -0.5", broken[0])
    assert broken_limits(compare(bad, good), parse_limits(["mean_iou=+5", "class_iou.Car=0"], CLASSES)) == []
    without = write_run(tmp_path, without=("confusion",))
    (missing,) = broken_limits(compare(good, without), {"mean_iou": -5.0})
    assert missing == f"mean_iou is missing in {tmp_path}; its limit is -5"
    (missing,) = broken_limits(compare(without, without), {"mean_iou": -5.0})
    assert " and in " in missing


@pytest.mark.parametrize("text", ["mean_iou", "mean_iou=", "mean_iou=nan", "=1", "miou=-1", "class_iou.Dog=-1"])
def test_limits_are_checked(text: str) -> None:
    with pytest.raises(ConfigError, match=r"NAME=CHANGE|allowed: mean_iou, .*class_iou\.Sky"):
        parse_limits([text], CLASSES)


def test_numbers_as_people_read_them() -> None:
    row = ComparedScore("ece", "Calibration error", "%", False, 0.1, 0.0876, -0.02, 1e-9, 60, SAME)
    assert (value_text(row, row.baseline), difference_text(row)) == ("10.0 %", "-1.24")
    assert interval_text(row) == "[-2.00, 0.00]"
    row = ComparedScore("id_switches", "Identity switches", "", False, 3.0, 5.0, float("nan"), float("nan"), 60, FEW)
    assert (value_text(row, 3.0), difference_text(row), interval_text(row)) == ("3", "+2", "")
    assert value_text(row, float("nan")) == "-"


def test_page_and_json(good: Path, bad: Path, tmp_path: Path) -> None:
    comparisons = [compare(good, bad), compare(good, good)]
    write_comparison(OutputFolder(tmp_path / "new" / "out"), comparisons, QUICK, ["a <limit>"])
    text = (tmp_path / "new" / "out" / "compare.html").read_text(encoding="utf-8")
    assert text.count('src="data:image/svg+xml;base64,') == 8 and "a &lt;limit&gt;" in text
    assert not re.search(r"https?:|@import|url\(", text)
    assert set(re.findall(r'(?:href|src)="([^"]{0,40})"', text)) == {"compare.json"}
    data = json.loads((tmp_path / "new" / "out" / "compare.json").read_text(encoding="utf-8"))
    assert data["schema_version"] == 1 and data["settings"]["resamples"] == 200 and data["failures"] == ["a <limit>"]
    figure = data["comparisons"][0]["figures"]["ece"]
    assert figure["change"] == -figure["difference"] < 0 and figure["unit"] == "share" and figure["verdict"] == WORSE
    assert data["comparisons"][0]["figures"]["frames_per_s"]["low"] is None


def test_page_of_runs_without_truth(tmp_path: Path) -> None:
    keys = ("confusion", "boundary_f", "objects", "calibration", "panoptic", "match")
    folder = write_run(tmp_path, without=keys)
    comparison = compare(folder, folder)
    write_comparison(OutputFolder(tmp_path / "out"), [comparison], QUICK)
    assert (tmp_path / "out" / "compare.html").read_text(encoding="utf-8").count("data:image/svg") == 1
    assert most_changed(comparison) == []


def test_the_frames_that_changed_most_are_named(good: Path, tmp_path: Path) -> None:
    lines = records(good)
    lines[17]["confusion"] = [
        [true, 2 - true if true != 1 else 0, pixels] for true, _, pixels in lines[17]["confusion"]
    ]
    other = write_run(tmp_path)
    (other / "frames.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines))
    (frame,) = most_changed(compare(good, other))
    assert frame.name == "000017" and frame.difference < -50
