"""Texts from outside in what commands print: nothing is markup, and no control character reaches the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.table import Table
from support.clips import scene, write_bag
from support.evaluated_runs import write_run
from support.tiny_package import write_package

from cmt_seg_ros.cli import doctor, record
from cmt_seg_ros.cli.console import new_console, say
from cmt_seg_ros.cli.main import main
from cmt_seg_ros.cli.top_table import Board, render
from cmt_seg_ros.runtime.doctor import ERROR, CheckResult

HOSTILE = "[/x] :car: $x^{ <script>\x1b[2J\x07\r\n\u202e\x9b"
SHOWN = r"[/x] :car: $x^{ <script>\x1b[2J\x07\r\n\u202e\x9b"
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]")  # tqdm writes returns, tables newlines


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, in one line; it is safe."""
    out, err = capsys.readouterr()
    assert not CONTROL.search(out + err), "a control character was printed"
    return " ".join((out + err).split())


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A model in a folder, of a name and with classes that are all hostile."""
    folder = tmp_path / "m[b]\x1b"
    write_package(folder)
    description = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    for one in description["classes"]:
        one["name"] = f"{one['id']} {HOSTILE}"
    (folder / "model.yaml").write_text(yaml.safe_dump({**description, "name": HOSTILE}), encoding="utf-8")
    (folder / "README.md").write_text(f"# {HOSTILE}\n\n[link](http://x/\x1b)\n", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("no_plots")
def test_evaluate_predict_and_models(tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_bag(tmp_path / "b[/x]\x1b[31m\nag", scene(4), topic="/front[/x]\x1b\n")
    out = tmp_path / "out[/x]\x1b"
    options = ["--model", str(package), "--device", "CPU"]
    assert main(["evaluate", str(bag), "--out", str(out), *options]) == 0
    text = printed(capsys)
    assert SHOWN in text and r"out[/x]\x1b/report.html" in text.replace(" ", "")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert main(["evaluate", str(bag), "--out", str(out), *options, "--frames", "2"]) == 1
    assert r"out[/x]\x1b has results of other input" in printed(capsys)
    images = tmp_path / "images"
    images.mkdir()
    np.save(images / "no image", np.zeros(3))
    assert main(["predict", "--images", str(images), "--out", str(out / "p"), *options]) == 1
    printed(capsys)
    assert main(["models", str(package)]) == 0
    assert r"m[b]\x1b: files verified" in printed(capsys)


@pytest.mark.usefixtures("no_plots")
def test_an_encoding_that_is_refused(tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_bag(tmp_path / "bag", scene(4))
    (path,) = bag.glob("*.mcap")
    data = path.read_bytes().replace(b"bgr8", b"[/x\x1b")  # of all its images: as long, and no encoding
    path.write_bytes(data)
    assert main(["evaluate", str(bag), "--out", str(tmp_path / "out"), "--model", str(package), "--device", "CPU"]) == 1
    assert r"[/x\x1b" in printed(capsys)


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classes = [{"id": k, "name": f"{k} {HOSTILE}", "color": [0, 0, k]} for k in range(3)]
    runs = [write_run(tmp_path / f"{name}[/x]\x1b", summary={"classes": classes}) for name in "ab"]
    assert main(["compare", *map(str, runs), "--resamples", "100"]) == 0
    text = printed(capsys)
    assert r"b[/x]\x1b against" in text and "[/x] :car: $x^{ <script>" in text


def test_tables_of_top_record_and_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = Board()
    values = {"received": "1", "inferred": "1", "dropped": HOSTILE, f"dropped.{HOSTILE}": "1", "device": HOSTILE}
    status = {"name": f"/{HOSTILE}: {HOSTILE}", "level": 2, "message": HOSTILE, "hardware_id": "", "values": values}
    board.update(1.0, [status])
    console = new_console(width=400)
    console.print(render(board.cameras, 1.0, HOSTILE))
    camera = record.Camera(f"/{HOSTILE}", tmp_path / HOSTILE)
    state = record.State(True, {f"/{HOSTILE}": {"messages": 1, "bytes": 2, "lost": 0, "failed": 0}})
    console.print(record.summary(camera, state))
    console.print(record.overview([camera], 1.0))
    doctor._print_table([CheckResult(HOSTILE, ERROR, HOSTILE, HOSTILE)])
    assert printed(capsys).count("[/x] :car: $x^{ <script>") >= 10


def test_lines_and_titles(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    table = Table(HOSTILE, title=HOSTILE, caption=HOSTILE)
    table.add_row(HOSTILE)
    new_console(width=300).print(table, HOSTILE)
    assert printed(capsys).startswith(SHOWN)
