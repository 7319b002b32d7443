"""One sequence, from the clip to its files: complete, the same each time, and resumed without loss."""

from __future__ import annotations

import csv
import json
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from support import ROOT
from support.clips import job, scene, write_bag
from support.full_disk import file_limit

from cmt_seg_ros.config import SourceConfig, TrackerConfig
from cmt_seg_ros.errors import ConfigError, SourceError
from cmt_seg_ros.evaluation import checkpoint, run_writer
from cmt_seg_ros.evaluation.folder import RESULTS_MARK, SEVERAL, claimed, clear
from cmt_seg_ros.evaluation.sequence import evaluate
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.metrics.segmentation import MaskMeter

FILES = {"annotated", "examples", "frames.csv", "frames.jsonl", "report.html", "summary.json", "tracks.txt"}
FILES |= {RESULTS_MARK}

pytestmark = pytest.mark.usefixtures("no_plots")


def without_times(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in summary.items() if key != "timing"}


def masks_in(folder: Path) -> list[np.ndarray]:
    with AnyReader([folder / "annotated"]) as reader:
        connections = [c for c in reader.connections if c.topic.endswith("segmentation/mask")]
        messages = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(connections)]
    return [m.data.reshape(m.height, m.width) for m in messages]


def test_all_files_are_there_and_agree(tmp_path: Path, tiny: str) -> None:
    seen: list[tuple[int, int]] = []
    summary = evaluate(job(tmp_path / "out", tiny), lambda done, total: seen.append((done, total)))
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == FILES and json.loads(
        (out / "summary.json").read_text(encoding="utf-8")
    ) == summary
    assert seen == [(k, 12) for k in range(1, 13)]
    assert summary["frames"]["in"] == summary["frames"]["evaluated"] == summary["frames"]["with_truth"] == 12
    meter = MaskMeter(CAMVID)
    for frame, mask in zip(scene(12), masks_in(out), strict=True):
        assert frame.truth is not None and frame.truth.class_ids is not None
        meter.add(frame.truth.class_ids, mask, None)
    expected = meter.to_dict()
    for name, ours in (("miou", "mean_iou"), ("pixel_accuracy", "pixel_accuracy"), ("boundary_f", "mean_boundary_f")):
        assert summary["masks"][ours] == pytest.approx(expected[name], abs=5e-5)
    rows = list(csv.DictReader((out / "frames.csv").open()))
    assert [row["index"] for row in rows] == [str(k) for k in range(12)]
    assert float(rows[3]["infer_ms"]) > 0 and 0 <= float(rows[3]["mean_iou"]) <= 1
    assert summary["tracks"]["frames"] == summary["panoptic"]["frames"] == summary["calibration"]["frames"] == 12
    assert summary["temporal"]["frames"] == 11 and summary["problems"]["counts"] == {}


def test_two_runs_give_the_same_but_for_times(tmp_path: Path, tiny: str) -> None:
    first, second = (evaluate(job(tmp_path / name, tiny, annotate=False)) for name in "ab")
    assert without_times(first) == without_times(second) and first["tracks"] is not None
    tables = [[r | {"timing": None} for r in checkpoint.read_records(tmp_path / name)] for name in "ab"]
    assert tables[0] == tables[1]
    assert (tmp_path / "a" / "tracks.txt").read_bytes() == (tmp_path / "b" / "tracks.txt").read_bytes()


def run_in_process(out: Path, tiny: str, bag: Path, kill_at: int = 0) -> list[int]:
    """Evaluate a bag in a process of its own, which kills itself; the frames it reported."""
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from support.clips import job
from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.evaluation import run_writer
from cmt_seg_ros.evaluation.report import report
from cmt_seg_ros.evaluation.sequence import evaluate
report._plots = lambda *arguments: {{}}  # as no_plots
run_writer.CHECKPOINT_FRAMES = 7
def progress(done, total):
    print(done, flush=True)
    if done == {kill_at}:
        os.kill(os.getpid(), signal.SIGKILL)
evaluate(job(Path({str(out)!r}), {tiny!r}, source=SourceConfig(bag={str(bag)!r}), use_images=True), progress)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == (-signal.SIGKILL if kill_at else 0), ended.stderr
    return [int(line) for line in ended.stdout.split()]


def test_a_killed_run_goes_on_without_loss(tmp_path: Path, tiny: str) -> None:
    whole, out = tmp_path / "whole", tmp_path / "killed"
    bag = write_bag(tmp_path / "bag", scene(30))
    assert run_in_process(whole, tiny, bag) == list(range(1, 31))
    assert run_in_process(out, tiny, bag, kill_at=18) == list(range(1, 19))
    assert not (out / "summary.json").exists() and (out / "state.npz").exists()
    assert run_in_process(out, tiny, bag) == list(range(15, 31)), "it begins behind the last checkpoint, frame 14"
    summaries = [
        without_times(json.loads((folder / "summary.json").read_text(encoding="utf-8"))) for folder in (out, whole)
    ]
    assert summaries[0] == summaries[1] and {path.name for path in out.iterdir()} == FILES
    np.testing.assert_array_equal(masks_in(out), masks_in(whole))
    assert (out / "tracks.txt").read_bytes() == (whole / "tracks.txt").read_bytes()


def test_a_full_disk_is_a_sentence_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_writer, "CHECKPOINT_FRAMES", 5)
    whole, out = tmp_path / "whole", tmp_path / "out"
    expected = evaluate(job(whole, tiny))
    for limit in (100, 9_000):
        with file_limit(limit), pytest.raises((SourceError, ConfigError), match=r"cannot be written: .*File too large"):
            evaluate(job(out, tiny))
    assert without_times(evaluate(job(out, tiny))) == without_times(expected)
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}
    assert all(np.array_equal(a, b) for a, b in zip(masks_in(out), masks_in(whole), strict=True))


def test_what_is_finished_is_not_done_again_and_other_results_are_not_overwritten(tmp_path: Path, tiny: str) -> None:
    first = evaluate(job(tmp_path, tiny, 4, annotate=False))
    assert evaluate(job(tmp_path, tiny, 4, annotate=False), lambda done, total: pytest.fail("again")) == first
    with pytest.raises(ConfigError, match="has results of other input or settings"):
        evaluate(job(tmp_path, tiny, 5, annotate=False))
    (tmp_path / "thesis.tex").touch()
    clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", RESULTS_MARK}
    assert evaluate(job(tmp_path, tiny, 5, annotate=False))["frames"]["in"] == 5


def test_one_folder_belongs_to_one_run_of_one_job(tmp_path: Path, tiny: str) -> None:
    one = job(tmp_path / "out", tiny, 4)
    with claimed(one.folder, one.fingerprint()), pytest.raises(ConfigError, match="another evaluation is writing"):
        evaluate(one)
    # An unfinished one of another job is not lost either.
    with pytest.raises(ConfigError, match="other input or settings"), claimed(one.folder, SEVERAL):
        pass
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="cannot be written"):
            evaluate(replace(one, out=str(place)))


def test_live_and_offline_are_different_jobs_and_labels_beside_the_images_count(tmp_path: Path, tiny: str) -> None:
    one = job(tmp_path / "out", tiny, source=SourceConfig(images=str(tmp_path / "images")))
    faster = replace(one, segmentation=replace(one.segmentation, num_threads=1))
    assert len({one.fingerprint(), one.fingerprint(live=True), faster.fingerprint(live=True)}) == 3
    assert faster.fingerprint() == one.fingerprint()
    before = one.fingerprint()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.png").write_bytes(b"another label")
    assert one.fingerprint() != before


def test_damaged_images_are_rows_too_and_the_others_keep_their_places(tmp_path: Path) -> None:
    """Six images, the third cannot be read; masks and MOTChallenge rows belong to places, not to what came."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for k in range(6):
        mask = np.zeros((96, 160), np.uint8)
        mask[20:36, 10 + 5 * k : 22 + 5 * k] = 255
        cv2.imwrite(str(tmp_path / "masks" / f"{k}.png"), mask)
        cv2.imwrite(str(tmp_path / "images" / f"{k}.png"), cv2.merge([mask] * 3))
    (tmp_path / "images" / "2.png").write_bytes(b"no image")
    (tmp_path / "gt.txt").write_text("\n".join(f"{k + 1},1,{10 + 5 * k},20,12,16,1,-1,-1,-1" for k in range(6)))
    source = SourceConfig(images=str(tmp_path / "images"), ground_truth=str(tmp_path / "gt.txt"))
    tracker = TrackerConfig(min_hits=1)
    one = job(tmp_path / "out", "unused", source=source, masks=str(tmp_path / "masks"), tracker=tracker)
    found = evaluate(one)
    assert found["frames"] == found["frames"] | {"in": 6, "evaluated": 5, "lost_by_reason": {"malformed": 1}}
    rows = list(csv.DictReader((tmp_path / "out" / "frames.csv").open()))
    assert [row["lost"] for row in rows] == ["", "", "malformed", "", "", ""]
    frames = [line.split(",")[0] for line in (tmp_path / "out" / "tracks.txt").read_text(encoding="utf-8").splitlines()]
    assert frames == ["1", "2", "4", "5", "6"] and found["tracks"]["mota"] == 1.0


def test_a_bag_with_bad_stamps_is_evaluated_with_a_line_for_each(tmp_path: Path, tiny: str) -> None:
    frames = scene(8)
    stamps = [frame.stamp_ns for frame in frames]
    stamps[3], stamps[5] = stamps[2], stamps[1]
    bag = write_bag(tmp_path / "bag", frames, stamps)
    found = evaluate(job(tmp_path / "out", tiny, source=SourceConfig(bag=str(bag)), annotate=False))
    assert found["frames"]["in"] == 8 and found["frames"]["evaluated"] == 6
    assert found["frames"]["lost_by_reason"] == {"duplicate_stamp": 1, "out_of_order": 1} == found["problems"]["counts"]
    assert [line.split(" is lost")[0] for line in found["problems"]["lines"]] == ["frame 3 of bag", "frame 5 of bag"]
    assert found["masks"]["frames"] == 6


def test_given_masks_of_repeated_frames_are_left_out_as_those_of_the_model(tmp_path: Path, tiny: str) -> None:
    frames = scene(6)
    stamps = [frame.stamp_ns for frame in frames]
    stamps[2], stamps[4] = stamps[1], stamps[0]
    (tmp_path / "masks").mkdir()
    for k, frame in enumerate(frames):
        assert frame.truth is not None and frame.truth.class_ids is not None
        cv2.imwrite(str(tmp_path / "masks" / f"{k}.png"), frame.truth.class_ids)
    source = SourceConfig(bag=str(write_bag(tmp_path / "bag", frames, stamps)))
    given = evaluate(job(tmp_path / "given", "unused", source=source, masks=str(tmp_path / "masks"), annotate=False))
    model = evaluate(job(tmp_path / "model", tiny, source=source, annotate=False))
    assert given["frames"]["lost_by_reason"] == {"duplicate_stamp": 1, "out_of_order": 1}
    assert given["problems"] == model["problems"] and given["frames"]["evaluated"] == 4


def test_given_masks_are_tracked_and_scored_against_boxes(tmp_path: Path) -> None:
    """Two squares that pass each other on a video; the truth is theirs, but for one frame."""
    video = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 96))
    (tmp_path / "masks").mkdir()
    rows = []
    for k in range(12):
        mask = np.zeros((96, 160), np.uint8)
        for number, (x, y) in enumerate(((10 + 5 * k, 20), (120 - 5 * k, 60)), start=1):
            mask[y : y + 16, x : x + 12] = 255
            rows.append(f"{k + 1},{number},{x},{y},12,16,{int(k != 3)},-1,-1,-1")
        cv2.imwrite(str(tmp_path / "masks" / f"{k:03d}.png"), mask)
        video.write(cv2.merge([mask] * 3))
    video.release()
    (tmp_path / "gt.txt").write_text("\n".join(rows))
    source = SourceConfig(video=str(tmp_path / "clip.avi"), ground_truth=str(tmp_path / "gt.txt"))
    found = evaluate(job(tmp_path / "out", "unused", source=source, masks=str(tmp_path / "masks")))
    tracks = found["tracks"]
    assert tracks["truth"] == "boxes" and tracks["true_objects"] == tracks["tracks"] == 2
    assert tracks["id_switches"] == 0 and tracks["idf1"] == pytest.approx(44 / 46) and found["masks"] is None
    lines = (tmp_path / "out" / "tracks.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 24 and lines[0] == "1,1,10.00,20.00,12.00,16.00,1.00,-1,-1,-1"
    (tmp_path / "masks" / "000.png").unlink()
    with pytest.raises(SourceError, match=r"1 of 12 frames have no mask: 0\."):
        evaluate(job(tmp_path / "less", "unused", source=source, masks=str(tmp_path / "masks")))


def test_states_of_other_jobs_and_broken_ones_are_not_used(tmp_path: Path, tiny: str) -> None:
    state = checkpoint.resume(tmp_path, "mine")
    (tmp_path / "frames.jsonl").write_text("{}\n{}\n")
    checkpoint.save(tmp_path, replace(state, frames=2, record_bytes=6))
    assert checkpoint.resume(tmp_path, "mine").frames == 2
    (tmp_path / "frames.jsonl").write_text("{}\n")  # shorter than the state says
    assert (
        checkpoint.resume(tmp_path, "mine").frames == 0
        and (tmp_path / "frames.jsonl").read_text(encoding="utf-8") == ""
    )
    checkpoint.save(tmp_path, replace(state, frames=2))
    assert checkpoint.resume(tmp_path, "another").frames == 0
    for rubbish in (b"rubbish", pickle.dumps({"version": "x"}), b"PK\x03\x04"):
        (tmp_path / "state.npz").write_bytes(rubbish)
        assert checkpoint.resume(tmp_path, "mine").frames == 0
