"""Pairs of frames that two runs have in common, and warnings of what makes comparing the runs less fair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.compare.runs import EvaluatedRun, FrameName
from cmt_seg_ros.structures import F64

_Key = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Two runs and the N frames that both have.

    Attributes:
        baseline, run: the two.
        rows: of the baseline and of the run, (N,) int64, which frames these are; sequence after sequence, in order.
        known: by statistic (N,) bool, where both runs have it.
    """

    baseline: EvaluatedRun
    run: EvaluatedRun
    rows: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    known: dict[str, npt.NDArray[np.bool_]]

    @cached_property
    def frames(self) -> tuple[FrameName, ...]:
        """The frames as the baseline names them."""
        return tuple(self.baseline.frames[row] for row in self.rows[0])

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Number of frames of each sequence."""
        return tuple(len(list(group)) for _, group in groupby(frame.sequence for frame in self.frames))

    @cached_property
    def parts(self) -> tuple[dict[str, F64], dict[str, F64]]:
        """For each of the two, by statistic (N, ...) float64: what each frame adds; nothing where one lacks it."""
        baseline, run = (
            {
                name: one.statistics[name][rows] * _beside(known, one.statistics[name])
                for name, known in self.known.items()
            }
            for one, rows in zip((self.baseline, self.run), self.rows, strict=True)
        )
        return baseline, run


def _beside(known: npt.NDArray[np.bool_], values: F64) -> npt.NDArray[np.bool_]:
    return known.reshape(-1, *[1] * (values.ndim - 1))


def pair(baseline: EvaluatedRun, run: EvaluatedRun) -> Pairs:
    """Find the frames that both runs have: of the same sequence and stamp; or number, in sequences whose stamps repeat.

    Raises:
        ConfigError: the runs have other classes, or no frame in common.
    """
    if baseline.classes != run.classes:
        lists = [", ".join(one.classes) for one in (baseline, run)]
        raise ConfigError(
            f"{baseline.name} has the classes {lists[0]}; {run.name} has {lists[1]}; only runs with the same classes, "
            "in the same order, can be compared"
        )
    keys, others = _keys(baseline, run)
    theirs = {key: row for row, key in enumerate(others)}
    found = [(row, theirs[key]) for row, key in enumerate(keys) if key in theirs]
    if not found:
        names = [", ".join(sorted({frame.sequence for frame in one.frames})) or "none" for one in (baseline, run)]
        raise ConfigError(
            f"{baseline.name} and {run.name} have no frame in common (sequences {names[0]}; {names[1]}); "
            "compare runs over the same clip"
        )
    rows = np.array(found, np.int64).T
    known = {name: baseline.known[name][rows[0]] & run.known[name][rows[1]] for name in baseline.known}
    return Pairs(baseline, run, (rows[0], rows[1]), known)


def _keys(baseline: EvaluatedRun, run: EvaluatedRun) -> tuple[list[_Key], list[_Key]]:
    """Return what identifies each frame of the one and of the other."""
    one, other = list(baseline.frames), list(run.frames)
    # A clip that was moved or renamed is still the same clip, if it is the only one.
    alone = all(len({frame.sequence for frame in frames}) == 1 for frames in (one, other))
    repeating: set[str] = set()
    for frames in (one, other):
        counts = Counter((frame.sequence, frame.stamp_ns) for frame in frames)
        repeating |= {"" if alone else sequence for (sequence, _), count in counts.items() if count > 1}

    def key(frame: FrameName) -> _Key:
        sequence = "" if alone else frame.sequence
        return sequence, frame.index if sequence in repeating else frame.stamp_ns

    return [key(frame) for frame in one], [key(frame) for frame in other]


def warnings(pairs: Pairs) -> tuple[str, ...]:
    """Return a sentence on each thing that makes the comparison less fair."""
    return (*_other_settings(pairs), *_other_truth(pairs), *_left_out(pairs))


def _other_settings(pairs: Pairs) -> Iterator[str]:
    one, other = pairs.baseline.summary, pairs.run.summary
    for what, name, value in (("clips", one["clip"], other["clip"]), ("modes", one["mode"], other["mode"])):
        if name != value:
            yield f"The runs are of other {what}: {name!r} and {value!r}."
    tracks, others = one["tracks"], other["tracks"]
    if tracks and others and tracks["truth"] != others["truth"]:
        yield (
            f"Tracks were matched with true {tracks['truth']} and with true {others['truth']}: "
            "their scores do not compare."
        )


def _other_truth(pairs: Pairs) -> Iterator[str]:
    counts = [one.summary["frames"]["with_truth"] for one in (pairs.baseline, pairs.run)]
    if counts[0] != counts[1]:
        yield f"Frames with ground truth: {counts[0]} in the baseline, {counts[1]} in the run."
    one, other = pairs.parts
    pixels = one["pixels"][:, 1] != other["pixels"][:, 1]
    objects = one["clear"][:, :2].sum(axis=1) != other["clear"][:, :2].sum(axis=1)
    for what, count in (("pixels", pixels.any(axis=1).sum()), ("objects", objects.sum())):
        if count:
            yield f"The ground truth is not the same: {count} of {len(pixels)} frames have other true {what}."


def _left_out(pairs: Pairs) -> Iterator[str]:
    count = len(pairs.frames)
    for name, run in (("the baseline", pairs.baseline), ("the run", pairs.run)):
        only = len(run.frames) - count
        if only:
            yield f"{only} {'frame is' if only == 1 else 'frames are'} only in {name}, and left out."
    results = [parts["result"][:, 0] > 0 for parts in pairs.parts]
    for name, lost in (("The baseline", results[1] & ~results[0]), ("The run", results[0] & ~results[1])):
        if lost.any():
            frames = "frame" if lost.sum() == 1 else "frames"
            yield f"{name} lost {lost.sum()} {frames} that the other has: only “Frames with a result” counts them."
