"""`cmt-seg evaluate` as a user types it: what it finds, writes, prints, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.clips import scene, write_bag

from cmt_seg_ros.cli.main import main
from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.inputs import find_inputs
from cmt_seg_ros.street import StreetScene

pytestmark = pytest.mark.usefixtures("no_plots")


def run(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "--device", "CPU"])


def summary_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


def test_a_bag_with_its_truth(tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_bag(tmp_path / "drive", scene(6))
    assert run(bag, "--model", tiny, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "Mean IoU" in printed and f"report: {tmp_path / 'out' / 'report.html'}" in printed.replace("\n", "")
    found = summary_in(tmp_path / "out")
    assert found["clip"] == "drive" and found["frames"]["evaluated"] == found["masks"]["frames"] == 6
    assert found["tracks"]["truth"] == "masks" and found["schema_version"] == 2


def test_a_folder_of_bags_one_of_them_damaged(tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_bag(tmp_path / "bags" / "day" / "one", scene(4))
    write_bag(tmp_path / "bags" / "two", scene(4, seed=1))
    (tmp_path / "bags" / "bad.mcap").write_bytes(b"\x89MCAP0\r\n")
    arguments = (tmp_path / "bags", "--model", tiny, "--out", tmp_path / "out", "--no-annotate")
    assert run(*arguments) == 3
    printed = capsys.readouterr().out
    assert "bad was not evaluated" in printed
    found = summary_in(tmp_path / "out")
    assert sorted(row["name"] for row in found["sequences"]) == ["bad", "day_one", "two"]
    assert found["frames"]["evaluated"] == 8 and found["problems"]["counts"] == {"not_evaluated": 1}
    (tmp_path / "bags" / "preview.png").touch()
    # Again: what is finished is not done once more, and the status stays what it was.
    before = (tmp_path / "out" / "two" / "frames.jsonl").stat().st_mtime_ns
    assert run(*arguments) == 3 and (tmp_path / "out" / "two" / "frames.jsonl").stat().st_mtime_ns == before


def test_bad_stamps_and_label_ids_are_told_and_the_exit_status_says_so(
    tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = scene(5)
    truth = frames[1].truth
    assert truth is not None and truth.class_ids is not None
    odd = truth.class_ids.copy()
    odd[:4] = 77
    frames[1] = replace(frames[1], truth=replace(truth, class_ids=odd))
    stamps = [frame.stamp_ns for frame in frames]
    stamps[3] = stamps[2]
    bag = write_bag(tmp_path / "bag", frames, stamps)
    assert run(bag, "--model", tiny, "--out", tmp_path / "out", "--no-annotate") == 3
    counts = summary_in(tmp_path / "out")["problems"]["counts"]
    assert counts["duplicate_stamp"] == 1 and counts["unknown_label_id"] == 1
    printed = capsys.readouterr().out
    assert "77" in printed and "stamps of a camera must increase" in printed


def test_images_with_labels_and_settings(tmp_path: Path, tiny: str) -> None:
    for name in ("images", "labels"):
        (tmp_path / "drive" / name).mkdir(parents=True)
    for k, frame in enumerate(StreetScene(160, 96, frames=4)):
        assert frame.truth is not None
        cv2.imwrite(str(tmp_path / "drive" / "images" / f"{k}.png"), frame.pixels)
        cv2.imwrite(str(tmp_path / "drive" / "labels" / f"{k}.png"), frame.truth.class_ids)
    images = tmp_path / "drive" / "images"
    out = tmp_path / "out"
    settings = ("--set", "score_threshold=0.2", "--set", "min_hits=2", "--legend", "camvid")
    assert run(images, "--model", tiny, "--out", out, "--no-annotate", *settings) == 0
    found = summary_in(out)
    assert found["masks"]["frames"] == 4 and found["settings"]["tracker"] == {"min_hits": 2}
    assert found["settings"]["segmentation"]["score_threshold"] == 0.2
    with pytest.raises(SystemExit):
        main(["evaluate", str(images)])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.mcap"], "nowhere.mcap does not exist"),
        (["scene", "--workers", "0"], "--workers is 0"),
        (["scene", "--live", "--workers", "2"], "--live plays one clip after the other"),
        (["scene", "--set", "speed=1"], "there is no parameter 'speed'"),
        (["scene", "--model", "none"], "model 'none' not found"),
        (["scene", "--ground-truth", "nowhere"], "ground truth"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--out", tmp_path / "out") == 1
    assert words in capsys.readouterr().err


def test_fresh_looks_at_all_folders_before_it_deletes_and_keeps_what_is_beside_the_results(
    tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        write_bag(tmp_path / "bags" / name, scene(3))
    out = tmp_path / "out"
    options = (tmp_path / "bags", "--model", tiny, "--out", out, "--fresh")
    assert run(*options) == 0
    mine = [out / "notes.txt", out / "a" / "notes.txt", out / "b" / "examples" / "notes.txt"]
    for path in mine:
        path.write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert run(*options, "--frames", "2") == 1
    assert f"{mine[2]} is a file that no evaluation wrote" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    mine.pop().unlink()
    assert run(*options, "--frames", "2") == 0 and summary_in(out)["frames"]["in"] == 4
    assert [path.read_text(encoding="utf-8") for path in mine] == ["mine", "mine"]
    (out / "b").rename(tmp_path / "elsewhere")
    (out / "b").symlink_to(tmp_path / "elsewhere")
    assert run(*options) == 1 and "b is a link" in capsys.readouterr().err
    assert (tmp_path / "elsewhere" / "summary.json").exists()


def test_sequences_have_names_that_are_folders(tmp_path: Path) -> None:
    frames = scene(1)
    for name in ("a", "b"):
        write_bag(tmp_path / name / "drive", frames)
    (tmp_path / "stereo").mkdir()
    names = [one.name for one in find_inputs([str(tmp_path / "a"), str(tmp_path / "b"), "scene"], [], SourceConfig())]
    assert names == ["drive", "drive_2", "scene"]
    topics = ["/left/image_raw", "/right/cam/image_raw"]
    truth = SourceConfig(ground_truth="labels/{name}", instances="{camera}/i")
    several = find_inputs([str(tmp_path / "a")], topics, truth)
    assert [one.source.instances for one in several] == ["/left/i", "/right/cam/i"]
    assert [one.name for one in several] == ["drive_left", "drive_right_cam"]
    assert [one.source.ground_truth for one in several] == ["labels/drive_left", "labels/drive_right_cam"]
    assert [one.source.bag_topic for one in several] == topics
    with pytest.raises(ConfigError, match="ground truth /left/labels is one, but bag"):
        find_inputs([str(tmp_path / "a")], topics, SourceConfig(ground_truth="/left/labels"))
    with pytest.raises(ConfigError, match="is one, but there are 2 sequences"):
        find_inputs([str(tmp_path / "a"), str(tmp_path / "b")], [], SourceConfig(ground_truth=str(tmp_path)))
    with pytest.raises(ConfigError, match="neither bags"):
        find_inputs([str(tmp_path / "stereo")], [], SourceConfig())


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def write_named(folder: Path, images: dict[bytes, np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for name, image in images.items():
        Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return folder


@pytest.mark.parametrize("locale", [{}, ASCII])
def test_names_that_are_not_utf8_and_an_ascii_terminal_stop_nothing(locale: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"in\xff")
    frames = {b"f\xe9_%d.png" % k: np.full((24, 32, 3), 50 * k, np.uint8) for k in range(3)}
    masks = {name: np.full((24, 32), 3, np.uint8) for name in frames}
    images = write_named(root / "images", frames)
    for folder in ("labels", "masks"):
        write_named(root / folder, masks)
    (images / os.fsdecode(b"f\xe9_1.png")).write_bytes(b"damaged")
    out = tmp_path / os.fsdecode(b"out\xc3\xa4")
    program = "import sys; from cmt_seg_ros.evaluation.report import report; report._plots = lambda *a: {};"
    program += "from cmt_seg_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "evaluate", images, "--masks", root / "masks", "--legend", "camvid"]
    done = subprocess.run(
        [*command, "--out", out], capture_output=True, text=True, errors="replace", env={**os.environ, **locale}
    )
    said = done.stdout + done.stderr
    assert done.returncode == 3 and "report that" not in said and "Traceback" not in said, said
    assert "problem: " in said and r"f\xe9_1.png cannot be decoded" in said
    assert summary_in(out)["frames"]["evaluated"] == 2
    assert r"f\udce9_2" in (out / "frames.csv").read_text(encoding="utf-8")
    assert r"f\xe9_1" in (out / "report.html").read_text(encoding="utf-8")
