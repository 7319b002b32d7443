"""Many sequences: the same results in turn, in processes and on a cluster; crashes and damage cost little."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.clips import SIZE, job, scene, write_bag
from support.waiting import DEADLINE_S

from cmt_seg_ros.config import SourceConfig
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation import workers
from cmt_seg_ros.evaluation.combine import combine
from cmt_seg_ros.evaluation.folder import RESULTS_MARK, SEVERAL, claimed
from cmt_seg_ros.evaluation.job import Job
from cmt_seg_ros.evaluation.workers import Outcome, in_processes, in_turn, on_cluster

pytestmark = pytest.mark.usefixtures("no_plots")


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two streets, 40 frames each: processes need not render them."""
    folder = tmp_path_factory.mktemp("bags")
    return [str(write_bag(folder / str(seed), scene(40, seed))) for seed in range(2)]


def jobs(bags: list[str], out: Path, tiny: str, count: int = 2) -> list[Job]:
    with claimed(out, SEVERAL):
        pass  # as the command does
    sources = [SourceConfig(bag=bag, frames=6) for bag in bags[:count]]
    return [job(out / f"s{k}", tiny, name=f"s{k}", annotate=False, source=source) for k, source in enumerate(sources)]


def nothing(job: Job, done: int, total: int) -> None:
    pass


def figures(outcomes: list[Outcome]) -> dict[str, dict[str, Any]]:
    """Summaries by name, without times."""
    found = {}
    for outcome in outcomes:
        assert outcome.summary is not None, outcome.error
        found[outcome.job.name] = {key: value for key, value in outcome.summary.items() if key != "timing"}
    return found


def test_processes_give_what_one_after_the_other_gives_and_all_together_add_up(
    bags: list[str], tmp_path: Path, tiny: str
) -> None:
    seen: dict[str, int] = {}
    alone = list(in_turn(jobs(bags, tmp_path / "a", tiny), nothing))
    split = list(
        in_processes(jobs(bags, tmp_path / "b", tiny), 2, lambda job, done, total: seen.update({job.name: done}))
    )
    assert figures(alone) == figures(split) and set(seen) == {"s0", "s1"}
    whole = combine(tmp_path / "a", alone)
    assert whole["frames"]["in"] == whole["masks"]["frames"] == 12
    assert [row["name"] for row in whole["sequences"]] == ["s0", "s1"]
    summaries = [outcome.summary for outcome in alone if outcome.summary]
    for name in ("ignored", "true_objects", "tracks", "id_switches"):
        assert whole["tracks"][name] == sum(summary["tracks"][name] for summary in summaries)
    for name, pixels in whole["masks"]["true_pixels"].items():
        assert pixels == sum(summary["masks"]["true_pixels"][name] for summary in summaries)
    left = {path.name for path in (tmp_path / "a").iterdir()} - {RESULTS_MARK}
    assert left == {"summary.json", "frames.csv", "frames.jsonl", "report.html", "s0", "s1"}
    assert json.loads((tmp_path / "a" / "summary.json").read_text(encoding="utf-8"))["masks"] == whole["masks"]


def test_a_damaged_bag_is_reported_and_the_others_are_evaluated(bags: list[str], tmp_path: Path, tiny: str) -> None:
    good, bad = jobs(bags, tmp_path / "out", tiny, 2)
    (tmp_path / "bad.mcap").write_bytes(b"not a bag")
    bad = replace(bad, source=SourceConfig(bag=str(tmp_path / "bad.mcap")))
    outcomes = sorted(in_processes([bad, good], 2, nothing), key=lambda outcome: outcome.job.name)
    assert outcomes[0].summary is not None and outcomes[1].summary is None and "bad.mcap" in outcomes[1].error
    whole = combine(tmp_path / "out", outcomes)
    assert (
        whole["problems"]["counts"] == {"not_evaluated": 1} and "s1 was not evaluated" in whole["problems"]["lines"][0]
    )
    assert whole["sequences"][1]["error"] == outcomes[1].error


def test_a_crashed_process_begins_again_where_it_was(bags: list[str], tmp_path: Path, tiny: str) -> None:
    """It is killed from outside, once it has reported progress."""
    (one,) = jobs(bags, tmp_path, tiny, 1)
    one = replace(one, source=replace(one.source, frames=40))
    killed: list[int] = []

    def progress(job: Job, done: int, total: int) -> None:
        if not killed:
            started = _children(os.getpid())
            killed.extend(pid for pid in started if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    (outcome,) = in_processes([one], 1, progress)
    assert killed and outcome.summary is not None, outcome.error
    assert outcome.summary["frames"]["evaluated"] == 40
    alone = list(in_turn([replace(one, out=str(tmp_path / "alone"))], nothing))
    assert figures([outcome]) == figures(alone)


def test_a_process_that_always_crashes_is_given_up(
    bags: list[str], tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = jobs(bags, tmp_path, tiny, 1)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the processes that are spawned
    (tmp_path / "sitecustomize.py").write_text(
        "import multiprocessing.process as p, os\np.BaseProcess.run = lambda self: os._exit(42)\n"
    )
    (outcome,) = in_processes([one], 1, nothing)
    assert outcome.summary is None and "3 times without a result" in outcome.error and "42" in outcome.error


@pytest.fixture
def cluster() -> Iterator[str]:
    """A real Dask scheduler with two workers, each a process of its own."""
    pytest.importorskip("distributed", reason="Dask is not installed: make test installs it")
    script = """
import sys
import threading
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(DEADLINE_S)


def test_a_cluster_gives_the_same(bags: list[str], tmp_path: Path, tiny: str, cluster: str) -> None:
    alone = list(in_turn(jobs(bags, tmp_path / "a", tiny, 2), nothing))
    spread = list(on_cluster(jobs(bags, tmp_path / "b", tiny, 2), cluster, nothing))
    assert figures(alone) == figures(spread)


def test_no_scheduler_is_said(bags: list[str], tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: make test installs it")
    monkeypatch.setattr(workers, "CONNECT_S", 1.0)
    with pytest.raises(ConfigError, match="no Dask scheduler answers at tcp"):
        list(on_cluster(jobs(bags, tmp_path, tiny, 1), "tcp://127.0.0.1:1", nothing))


def _children(pid: int) -> list[int]:
    """Processes that this one has started."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in path.read_text(encoding="utf-8").split()]
    return found


def test_who_stops_early_leaves_no_process(bags: list[str], tmp_path: Path, tiny: str) -> None:
    endless = SourceConfig(frames=5000, **SIZE)
    long = [replace(one, source=endless) for one in jobs(bags, tmp_path, tiny, 2)]
    seen = threading.Event()
    outcomes = in_processes([*jobs(bags, tmp_path / "short", tiny, 1), *long], 3, lambda job, done, total: seen.set())
    assert next(outcomes).job.name == "s0" and seen.is_set()  # type: ignore[call-overload]
    outcomes.close()  # type: ignore[attr-defined]
    assert [pid for pid in _children(os.getpid()) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()] == []
