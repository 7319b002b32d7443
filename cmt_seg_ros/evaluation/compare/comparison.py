"""Comparison of two runs over the same frames: by how much each score differs, and whether the difference is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.compare.bootstrap import count_blocks, interval, resampled_sums
from cmt_seg_ros.evaluation.compare.pairs import Pairs, pair, warnings
from cmt_seg_ros.evaluation.compare.runs import EvaluatedRun, FrameName
from cmt_seg_ros.metrics.scores import CLASS_IOU, Score, Sums, all_scores, hota, mean_iou
from cmt_seg_ros.structures import F64

BETTER, WORSE, SAME = "better", "worse", "no difference seen"
FEW, MISSING, NOT_JUDGED = "too few frames", "not in both", "not judged"

MIN_BLOCKS = 5
"""Draws of fewer blocks, or of fewer frames that have a score, repeat each other: their spread tells nothing."""

TIMES = ("infer_p50_ms", "infer_mean_ms", "frames_per_s")
"""Measures of speed. They have no interval: that of the frames would say nothing of the noise between two runs."""

MS, PER_S = "ms", "/s"
"""Units of the times, as they are shown."""

FRAME_SCORES: dict[str, tuple[str, Callable[[Sums], F64]]] = {"mean_iou": ("pixels", mean_iou), "hota": ("hota", hota)}
"""Scores that are given frame by frame, too: statistic, and the score of what one frame contributes to it.

HOTA of a single frame: how well tracks fit over the whole sequence counts where they are matched.
"""

_NAN = float("nan")


@dataclass(frozen=True)
class Settings:
    """How differences are judged.

    Attributes:
        resamples: draws of the bootstrap, 100 to 1000000.
        block: frames of a block, to 1000000; 0: :func:`block_length` of each sequence.
        level: share of trials in which an interval shall hold the truth, 0.5 to 0.9999.
    """

    resamples: int = 2000
    block: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        limits = {"resamples": (100, 1_000_000), "block": (0, 1_000_000), "level": (0.5, 0.9999)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} is {getattr(self, name)}; allowed: {low} to {high}")


@dataclass(frozen=True)
class ComparedScore:
    """One score of two runs. Shares are 0-1; nan where not known.

    Attributes:
        name: of the score, as in summary.json where it is there.
        title: in words.
        unit: SHARE, COUNT, MS or PER_S.
        higher_is_better: or else lower is.
        baseline, value: of the two runs, over the frames that both have.
        low, high: the interval of the difference.
        frames: how many frames the score was computed from.
        verdict: BETTER, WORSE, SAME, FEW, MISSING or NOT_JUDGED.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    baseline: float
    value: float
    low: float
    high: float
    frames: int
    verdict: str

    @property
    def difference(self) -> float:
        """Value less baseline."""
        return self.value - self.baseline

    @property
    def change(self) -> float:
        """The difference, turned round where lower is better: positive is for the better."""
        return self.difference if self.higher_is_better else -self.difference

    @property
    def of_class(self) -> bool:
        """Whether it is the score of one class."""
        return self.name.startswith(CLASS_IOU)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A run against the baseline.

    Attributes:
        baseline, run: names.
        frames: the N frames that both have, sequence after sequence.
        lengths: number of frames of each sequence.
        rows: of each score that one of the two has: main scores, times, classes.
        per_frame: by name of :data:`FRAME_SCORES` (N,) float64, difference in each frame; nan where not known.
        warnings: a sentence on each thing that makes the comparison less fair.
    """

    baseline: str
    run: str
    frames: tuple[FrameName, ...]
    lengths: tuple[int, ...]
    rows: tuple[ComparedScore, ...]
    per_frame: dict[str, F64]
    warnings: tuple[str, ...]


def score_names(classes: Sequence[str]) -> list[str]:
    """Return the names of all scores of runs with these classes."""
    return [*(score.name for score in all_scores(())), *TIMES, *(CLASS_IOU + name for name in classes)]


def compare(baseline: EvaluatedRun, run: EvaluatedRun, settings: Settings) -> Comparison:
    """Compare two runs over the frames that both have.

    Tracks are matched with true objects over each run as a whole; the draws then weigh what each frame contributed, of
    HOTA's association the derivative: see :func:`~cmt_seg_ros.metrics.tracking.hota_parts`.

    Args:
        baseline: what the other is compared with.
        run: the other.
        settings: how differences are judged.

    Raises:
        ConfigError: the runs have other classes, or no frame in common.
    """
    pairs = pair(baseline, run)
    parts, lengths = pairs.parts, pairs.lengths
    draws = _draws(parts, lengths, settings)
    blocks = count_blocks(lengths, settings.block)
    rows = [_judge(score, pairs, parts, draws, settings.level, blocks) for score in all_scores(run.classes)]
    rows = [*(r for r in rows if not r.of_class), *_times(pairs), *(r for r in rows if r.of_class)]
    return Comparison(
        baseline=baseline.name,
        run=run.name,
        frames=pairs.frames,
        lengths=lengths,
        rows=tuple(row for row in rows if not np.isnan([row.baseline, row.value]).all()),
        per_frame={name: _in_each_frame(name, pairs, parts) for name in FRAME_SCORES},
        warnings=warnings(pairs),
    )


def _draws(parts: Sequence[dict[str, F64]], lengths: Sequence[int], settings: Settings) -> list[dict[str, F64]]:
    """Return for each run, by statistic (B, ...) float64, its sums in each draw."""
    flat = [np.concatenate([v.reshape(len(v), -1) for v in of_run.values()], axis=1) for of_run in parts]
    names, shapes = list(parts[0]), [values.shape[1:] for values in parts[0].values()]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    found = []
    for sums in resampled_sums(flat, lengths, settings.resamples, settings.block):
        pieces = zip(names, np.split(sums, ends, axis=1), shapes, strict=True)
        found.append({name: piece.reshape(-1, *shape) for name, piece, shape in pieces})
    return found


def _judge(
    score: Score, pairs: Pairs, parts: Sequence[dict[str, F64]], draws: Sequence[dict[str, F64]],
    level: float, blocks: int,
) -> ComparedScore:  # fmt: skip
    name, low, high = score.statistic, _NAN, _NAN
    frames = int(pairs.known[name].sum())
    if frames:
        values = [float(score.score(of_run[name].sum(axis=0))) for of_run in parts]
    else:  # shown, but not compared
        values = [_of_all_frames(score, run) for run in (pairs.baseline, pairs.run)]
    if not frames or np.isnan(values).any():
        verdict = MISSING
    elif min(blocks, frames) < MIN_BLOCKS:
        verdict = FEW
    else:
        low, high = interval(score.score(draws[1][name]) - score.score(draws[0][name]), level, min(blocks, frames))
        verdict = _verdict(low, high, score.higher_is_better)
    return ComparedScore(
        score.name,
        score.title,
        score.unit,
        score.higher_is_better,
        values[0],
        values[1],
        low,
        high,
        frames,
        verdict,
    )


def _of_all_frames(score: Score, run: EvaluatedRun) -> float:
    known = run.known[score.statistic].any()
    return float(score.score(run.statistics[score.statistic].sum(axis=0))) if known else _NAN


def _verdict(low: float, high: float, higher_is_better: bool) -> str:
    if np.isnan(low):
        return FEW
    if low <= 0 <= high:
        return SAME
    return BETTER if (low > 0) == higher_is_better else WORSE


def _times(pairs: Pairs) -> list[ComparedScore]:
    """Return times of the frames that both have, and the rate of the runs as a whole."""
    infer_ms = [run.infer_ms[rows] for run, rows in zip((pairs.baseline, pairs.run), pairs.rows, strict=True)]
    both = ~np.isnan(infer_ms).any(axis=0)
    rates = [(run.summary.get("timing") or {}).get("frames_per_s") for run in (pairs.baseline, pairs.run)]
    values = {"frames_per_s": [_NAN if rate is None else float(rate) for rate in rates]}
    if both.any():
        values["infer_p50_ms"] = [float(np.median(ms[both])) for ms in infer_ms]
        values["infer_mean_ms"] = [float(np.mean(ms[both])) for ms in infer_ms]
    titles = ("Inference, median", "Inference, mean", "Frames per second")
    found = []
    for name, title, unit in zip(TIMES, titles, (MS, MS, PER_S), strict=True):
        one, other = values.get(name, (_NAN, _NAN))
        if not np.isnan([one, other]).any():
            count = len(pairs.frames) if unit == PER_S else int(both.sum())
            found.append(ComparedScore(name, title, unit, unit == PER_S, one, other, _NAN, _NAN, count, NOT_JUDGED))
    return found


def _in_each_frame(name: str, pairs: Pairs, parts: Sequence[dict[str, F64]]) -> F64:
    statistic, score = FRAME_SCORES[name]
    baseline, value = (score(of_run[statistic]) for of_run in parts)
    return np.where(pairs.known[statistic], value - baseline, np.nan)
