"""Summary: the content of summary.json, every score of an evaluation; units are part of the names.

The schema is versioned: names and meanings change only with SCHEMA_VERSION. Everything that depends on the machine or
on time is under "timing"; the rest is the same in every run.
"""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from cmt_seg_ros import __version__
from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.evaluation.scores.frame_scores import TIMES, ScoredFrame, Sink, scored_frame
from cmt_seg_ros.evaluation.scores.totals import (
    MaskScores,
    ObjectnessScores,
    PanopticScores,
    Scores,
    TemporalScores,
    Totals,
    TrackScores,
)
from cmt_seg_ros.labels import LabelSet

SCHEMA_VERSION = 2
STAGES = tuple(name for name in TIMES if name.endswith("_ms"))


class ImageSize(TypedDict):
    """Size of the images, pixels."""

    height: int
    width: int


class Unmatched(TypedDict):
    """Frames without ground truth and ground truth without a frame: how many, and the first ones by name."""

    without_truth: int
    first_without_truth: list[str]
    truth_without_frame: int
    first_truth_without_frame: list[str]


_Counted = TypedDict("_Counted", {"in": int})  # a keyword of Python


class FrameCounts(_Counted, Unmatched):
    """Frames that came ``in``, those with masks, those without (by reason), and those compared with ground truth."""

    evaluated: int
    lost: int
    lost_by_reason: dict[str, int]
    with_truth: int


class ProblemList(TypedDict):
    """What was wrong with the input: counts by kind, and the first ones as sentences."""

    counts: dict[str, int]
    lines: list[str]


class Example(TypedDict):
    """A frame to look at, and its mean IoU, 0-1."""

    mean_iou: float
    sequence: str
    index: int


class Spread(TypedDict):
    """Percentiles, maximum and mean of the times of a stage, ms."""

    p50: float
    p90: float
    p99: float
    max: float
    mean: float


class Timing(TypedDict):
    """What depends on the machine or on time; None where unknown."""

    machine: str
    device: str
    wall_s: float | None
    frames_per_s: float | None
    cpu_s: float | None
    cpu_ms_per_frame: float | None
    memory_first_mb: float | None
    memory_last_mb: float | None
    memory_peak_mb: float | None
    stages_ms: dict[str, Spread]
    nodes: dict[str, dict[str, float]]
    diagnostics: dict[str, dict[str, str]]


class SequenceRow(TypedDict):
    """One of several sequences: its main scores, without tables of classes; or the error that left it without."""

    name: str
    error: str
    frames: FrameCounts | None
    image_size_px: ImageSize | None
    masks: MaskScores | None
    objectness: ObjectnessScores | None
    tracks: TrackScores | None
    panoptic: PanopticScores | None
    temporal: TemporalScores | None
    problems: ProblemList | None


class Summary(Scores):
    """Everything. Scores are those of :class:`~cmt_seg_ros.evaluation.scores.totals.Scores`."""

    schema_version: int
    clip: str
    mode: str
    model: str
    settings: dict[str, Any]
    fingerprint: str
    classes: list[dict[str, Any]]
    image_size_px: ImageSize | None
    frames: FrameCounts
    problems: ProblemList
    examples: dict[str, Example] | None
    sequences: list[SequenceRow]
    versions: dict[str, str]
    timing: Timing


def all_matched() -> Unmatched:
    """Return the counts of a clip of which each frame has ground truth, or none has."""
    return {"without_truth": 0, "first_without_truth": [], "truth_without_frame": 0, "first_truth_without_frame": []}


@dataclass(frozen=True)
class RunInfo:
    """What the records do not say of a run.

    Attributes:
        clip: what was evaluated, in words.
        mode: "offline" or "live".
        model: name of the model package; "given masks" and what their values mean where there is none.
        settings: what differs from the defaults.
        fingerprint: of the job.
        problems: what was wrong with the input: ``counts`` by kind and ``lines``.
        truth: what of frames and ground truth has no partner, see Unmatched.
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
    problems: ProblemList = field(default_factory=lambda: ProblemList(counts={}, lines=[]))
    truth: Unmatched = field(default_factory=all_matched)
    device: str = ""
    wall_s: float = math.nan
    cpu_s: float = math.nan
    dropped: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, dict[str, float]] = field(default_factory=dict)
    diagnostics: dict[str, dict[str, str]] = field(default_factory=dict)


def summarise(records: Iterable[Record], labels: LabelSet, info: RunInfo, sinks: Sequence[Sink] = ()) -> Summary:
    """Return all scores, of one pass over the records of one or several sequences.

    Args:
        records: all frames of a sequence in a row.
        labels: the predicted classes.
        info: what the records do not say.
        sinks: get each frame, too.
    """
    totals, times, examples = Totals(labels), _Times(), _Examples()
    receivers: list[Sink] = [totals, times, examples, *sinks]
    for record in records:
        frame = scored_frame(record, len(labels))
        for sink in receivers:
            sink.add(frame)
    size = totals.size_px
    lost = _reasons(totals.lost, info)
    summary: Summary = {
        "schema_version": SCHEMA_VERSION,
        "clip": info.clip,
        "mode": info.mode,
        "model": info.model,
        "settings": info.settings,
        "fingerprint": info.fingerprint,
        "classes": labels.to_list(),
        "image_size_px": None if size is None else {"height": size[0], "width": size[1]},
        "frames": {
            "in": totals.frames,
            "evaluated": totals.with_masks,
            "lost": totals.frames - totals.with_masks,
            "lost_by_reason": lost,
            "with_truth": totals.with_truth,
            **info.truth,
        },
        "problems": info.problems,
        **totals.scores(),
        "examples": examples.chosen(),
        "sequences": [],
        "versions": versions(),
        "timing": times.timing(totals.with_masks, info),
    }
    return plain(summary)


def _reasons(lost: Counter[str], info: RunInfo) -> dict[str, int]:
    """Count the lost frames by reason."""
    reasons = Counter(lost)
    if info.dropped:  # the nodes know why
        without_mask = reasons.pop("dropped", 0)
        reasons += Counter(info.dropped) + Counter(not_received=without_mask - sum(info.dropped.values()))
    return dict(sorted(reasons.items()))


class _Examples:
    """The best, the median and the worst frame by their mean IoU."""

    def __init__(self) -> None:
        self._scores: list[tuple[float, str, int]] = []

    def add(self, frame: ScoredFrame) -> None:
        score = frame.scores["mean_iou"]
        if score is not None:
            self._scores.append((score, frame.record["sequence"], frame.record["index"]))

    def chosen(self) -> dict[str, Example] | None:
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

    def add(self, frame: ScoredFrame) -> None:
        for name, value in frame.record["timing"].items():
            if value is not None:
                self._ms.setdefault(name, []).append(value)

    def timing(self, frames: int, info: RunInfo) -> Timing:
        memory = self._ms.get("memory_mb", [math.nan])
        return {
            "machine": machine(),
            "device": info.device,
            "wall_s": info.wall_s,
            "frames_per_s": frames / info.wall_s if info.wall_s > 0 else math.nan,
            "cpu_s": info.cpu_s,
            "cpu_ms_per_frame": 1e3 * info.cpu_s / frames if frames else math.nan,
            "memory_first_mb": memory[min(len(memory) - 1, 20)],
            "memory_last_mb": memory[-1],
            "memory_peak_mb": max(memory),
            "stages_ms": {name[:-3]: _spread(self._ms[name]) for name in STAGES if name in self._ms},
            "nodes": info.nodes,
            "diagnostics": info.diagnostics,
        }


def _spread(values: list[float]) -> Spread:
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "max": max(values), "mean": float(np.mean(values))}


def plain(value: Any) -> Any:
    """Return the value with null for unknown numbers: JSON has no nan."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_PACKAGES = {"OpenVINO": "openvino", "rclpy": "rclpy", "NumPy": "numpy", "OpenCV": "opencv-python-headless"}


def versions() -> dict[str, str]:
    """Return versions by name, of what is installed."""
    found = {"cmt_seg_ros": __version__, "Python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Return processor and how many of its cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor}, {cores} logical {'core' if cores == 1 else 'cores'}"
