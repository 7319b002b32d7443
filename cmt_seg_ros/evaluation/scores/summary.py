"""summary.json: every figure of an evaluation, for machines; units are part of the names.

The schema is versioned: names and meanings change only with SCHEMA_VERSION. Everything that depends on the machine or
on time is under "timing"; the rest is the same in every run.
"""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from cmt_seg_ros import __version__
from cmt_seg_ros.evaluation.scores.frame_records import Record, is_compared
from cmt_seg_ros.evaluation.scores.frame_scores import TIMES
from cmt_seg_ros.evaluation.scores.totals import Totals, frame_iou
from cmt_seg_ros.labels import LabelSet

SCHEMA_VERSION = 2
STAGES = tuple(name for name in TIMES if name.endswith("_ms"))

Summary = dict[str, Any]
NO_TRUTH: Summary = {
    "without_truth": 0,
    "first_without_truth": [],
    "truth_without_frame": 0,
    "first_truth_without_frame": [],
}
"""Of "frames": counts of frames without truth and of truth without a frame, and the first names of both."""


@dataclass(frozen=True)
class RunInfo:
    """What the records do not say of a run.

    Attributes:
        clip: what was evaluated, in words.
        mode: "offline" or "live".
        model: name of the model package; "given masks" where there is none.
        settings: what differs from the defaults.
        fingerprint: of the job.
        problems: what was wrong with the input: ``counts`` by kind and ``lines``.
        truth: what of frames and ground truth has no partner, keys as in NO_TRUTH.
        device: what inferred.
        wall_s, cpu_s: time spent by the process, seconds; nan where unknown.
        dropped: what the nodes gave up, by reason (live); frames lost beyond that never reached them.
        nodes: CPU time ``cpu_s`` and ``memory_peak_mb`` of each node since its start (live).
        diagnostics: last values of the nodes by status name (live).
    """

    clip: str
    mode: str
    model: str
    settings: dict[str, Any]
    fingerprint: str = ""
    problems: dict[str, Any] = field(default_factory=lambda: {"counts": {}, "lines": []})
    truth: dict[str, Any] = field(default_factory=lambda: dict(NO_TRUTH))
    device: str = ""
    wall_s: float = math.nan
    cpu_s: float = math.nan
    dropped: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, dict[str, float]] = field(default_factory=dict)
    diagnostics: dict[str, dict[str, str]] = field(default_factory=dict)


def summarise(records: Iterable[Record], labels: LabelSet, facts: RunInfo) -> Summary:
    """All figures of one pass over the records of one or several sequences."""
    totals, times, examples = Totals(labels), _Times(), _Examples(len(labels))
    size: list[int] | None = None
    with_truth = 0
    for record in records:
        totals.add(record)
        times.add(record)
        examples.add(record)
        size = record["size_px"] or size
        with_truth += is_compared(record)
    lost = _reasons(totals.lost, facts)
    summary = {
        "schema_version": SCHEMA_VERSION,
        "clip": facts.clip,
        "mode": facts.mode,
        "model": facts.model,
        "settings": facts.settings,
        "fingerprint": facts.fingerprint,
        "classes": labels.to_list(),
        "image_size_px": None if size is None else {"height": size[0], "width": size[1]},
        "frames": {
            "in": totals.frames,
            "evaluated": totals.with_masks,
            "lost": totals.frames - totals.with_masks,
            "lost_by_reason": lost,
            "with_truth": with_truth,
            **facts.truth,
        },
        "problems": facts.problems,
        **totals.figures(),
        "examples": examples.chosen(),
        "sequences": [],
        "versions": versions(),
        "timing": {
            "machine": machine(),
            "device": facts.device,
            **times.figures(totals.with_masks, facts),
            "nodes": facts.nodes,
            "diagnostics": facts.diagnostics,
        },
    }
    return dict(plain(summary))


def _reasons(lost: Counter[str], facts: RunInfo) -> dict[str, int]:
    """Frames lost by reason."""
    reasons = Counter(lost)
    if facts.dropped:  # the nodes know why
        without_mask = reasons.pop("dropped", 0)
        reasons += Counter(facts.dropped) + Counter(not_received=without_mask - sum(facts.dropped.values()))
    return dict(sorted(reasons.items()))


class _Examples:
    """The best, the median and the worst frame by their mean IoU."""

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        self._scores: list[tuple[float, str, int]] = []

    def add(self, record: Record) -> None:
        score = frame_iou(record, self._num_classes)
        if score is not None:
            self._scores.append((score, record["sequence"], record["index"]))

    def chosen(self) -> Summary | None:
        if not self._scores:
            return None
        order = sorted(self._scores)
        places = {"best": -1, "median": len(order) // 2, "worst": 0}
        named = {name: order[place] for name, place in places.items()}
        return {n: {"mean_iou": score, "sequence": s, "index": index} for n, (score, s, index) in named.items()}


class _Times:
    """How long the stages took, and the memory."""

    def __init__(self) -> None:
        self._ms: dict[str, list[float]] = {}

    def add(self, record: Record) -> None:
        for name, value in record["timing"].items():
            if value is not None:
                self._ms.setdefault(name, []).append(value)

    def figures(self, frames: int, facts: RunInfo) -> Summary:
        memory = self._ms.get("memory_mb", [math.nan])
        return {
            "wall_s": facts.wall_s,
            "frames_per_s": frames / facts.wall_s if facts.wall_s > 0 else math.nan,
            "cpu_s": facts.cpu_s,
            "cpu_ms_per_frame": 1e3 * facts.cpu_s / frames if frames else math.nan,
            "memory_first_mb": memory[min(len(memory) - 1, 20)],
            "memory_last_mb": memory[-1],
            "memory_peak_mb": max(memory),
            "stages_ms": {name[:-3]: _spread(self._ms[name]) for name in STAGES if name in self._ms},
        }


def _spread(values: list[float]) -> dict[str, float]:
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "max": max(values), "mean": float(np.mean(values))}


def plain(value: Any) -> Any:
    """JSON has no nan: unknown numbers become null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_PACKAGES = {"OpenVINO": "openvino", "rclpy": "rclpy", "NumPy": "numpy", "OpenCV": "opencv-python-headless"}


def versions() -> dict[str, str]:
    """Version by name, of what is installed."""
    found = {"cmt_seg_ros": __version__, "Python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Processor and how many of its cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor}, {cores} logical {'core' if cores == 1 else 'cores'}"
