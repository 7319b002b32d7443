"""`cmt-seg evaluate --live`: real processes, at the clip's own pace; what came, when, and what was dropped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from support.clips import scene, write_bag
from support.ros_harness import hear_ctrl_c
from support.waiting import DEADLINE_S, until

from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.folder import RESULTS_MARK, clear

FRAMES = 20


def command(tmp_path: Path, tiny: str, frames: int = FRAMES) -> list[str]:
    bag = write_bag(tmp_path / "drive", scene(frames))
    start = [sys.executable, "-m", "cmt_seg_ros.cli.main", "evaluate", str(bag), "--live"]
    return [*start, "--out", str(tmp_path / "out"), "--model", tiny, "--device", "CPU"]


def test_frames_ages_and_losses_add_up(tmp_path: Path, tiny: str) -> None:
    done = subprocess.run(
        command(tmp_path, tiny), capture_output=True, encoding="utf-8", timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    frames, ages = summary["frames"], summary["timing"]["stages_ms"]["age"]
    assert summary["mode"] == "live" and frames["in"] == FRAMES and frames["evaluated"] + frames["lost"] == FRAMES
    assert sum(frames["lost_by_reason"].values()) == frames["lost"] and frames["evaluated"] > 0
    assert 0 < ages["p50"] <= ages["p99"] <= ages["max"]
    # The bag's own pace: 20 frames at 15 Hz.
    assert summary["timing"]["wall_s"] > 0.9 * (FRAMES - 1) / 15
    records = list(read_records(tmp_path / "out"))
    assert [record["index"] for record in records] == list(range(FRAMES))
    judged = [record for record in records if not record["lost"]]
    assert all(record["confusion"] and record["match"] and record["timing"]["age_ms"] > 0 for record in judged)
    assert summary["masks"]["frames"] == len(judged) == frames["evaluated"]
    clear(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [RESULTS_MARK], "--fresh knows all that is written"


def test_ctrl_c_leaves_no_process(tmp_path: Path, tiny: str) -> None:
    with subprocess.Popen(
        command(tmp_path, tiny, 200),  # long enough that it still plays when it is told to stop
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=hear_ctrl_c,
    ) as process:
        until((tmp_path / "out" / "live" / "sent.csv").exists)
        started = _children(process.pid)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130 and "stopped" in errors and len(started) == 4, errors
    assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]


def _children(pid: int) -> list[int]:
    return [
        int(p)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for p in path.read_text(encoding="utf-8").split()
    ]
