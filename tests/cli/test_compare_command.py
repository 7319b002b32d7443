"""`cmt-seg compare`: what it prints, writes, and with which status it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.evaluated_runs import write_run

from cmt_seg_ros.cli.main import main

QUICK = ["--resamples", "200"]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    write_run(Path("old"), error=0.1)
    write_run(Path("new"), error=0.2, seed=1, summary={"mode": "live"})
    return tmp_path


def test_table_and_warnings(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old/summary.json", "new", *QUICK]) == 0
    out = capsys.readouterr().out
    lines = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    assert "worse" in lines["Mean IoU"] and "not judged" in lines["Frames per second"]
    assert "IoU of Car" in lines and "new against old" in out
    assert "60 frames of one sequence" in out and "warning: The runs are of other modes" in out


def test_several_runs_and_a_page(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old", "new", "old", "--out", "out", *QUICK]) == 0
    out = capsys.readouterr().out
    assert "new against old" in out and "old against old" in out and "out/compare.html" in out
    assert (runs / "out" / "compare.html").is_file() and (runs / "out" / "compare.json").is_file()


def test_a_page_of_somebody_else_stays(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = runs / "out" / "compare.html"
    for _ in range(2):
        assert main(["compare", "old", "new", "--out", "out", *QUICK]) == 0
    page.write_text("mine")
    assert main(["compare", "old", "new", "--out", "out", *QUICK]) == 1
    assert "out has compare.html, which cmt-seg did not write" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "mine"


def test_a_broken_limit_is_status_1_with_a_line_that_says_which(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--fail-below", "mean_iou=-0.5", "--fail-below", "pixel_accuracy=-90"]
    assert main(["compare", "old", "new", *limits, *QUICK]) == 1
    err = capsys.readouterr().err
    assert err.startswith("cmt-seg compare: mean_iou is ") and "the limit is -0.5" in err and "pixel" not in err
    assert main(["compare", "new", "old", *limits, *QUICK]) == 0


def test_unknown_scores_and_missing_files_are_explained(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old", "new", "--fail-below", "miou=-1"]) == 1
    assert "there is no score 'miou'; allowed: mean_iou, " in capsys.readouterr().err
    assert main(["compare", "old", "nowhere"]) == 1
    assert "nowhere/summary.json is missing" in capsys.readouterr().err
    assert main(["compare", "old", "new", "--level", "2"]) == 1
    assert "level is 2.0; allowed: 0.5 to 0.9999" in capsys.readouterr().err


def test_help_has_examples_for_ci(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "--fail-below mean_iou=-0.5" in out and "negative is worse" in out
