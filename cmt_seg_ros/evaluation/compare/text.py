"""Comparison in words and as JSON: values, intervals, and the limits that a run breaks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.compare.comparison import MISSING, ComparedScore, Comparison, Settings, score_names
from cmt_seg_ros.metrics.scores import COUNT, SHARE

SCHEMA_VERSION = 1


def value_text(row: ComparedScore, value: float) -> str:
    """Return a value with its unit, such as ``84.2 %``."""
    if math.isnan(value):
        return "-"
    if row.unit == COUNT:
        return f"{value:.0f}"
    return f"{100 * value:.1f} %" if row.unit == SHARE else f"{value:.1f} {row.unit}"


def difference_text(row: ComparedScore) -> str:
    """Return the difference with its sign: of shares in % points, else in the unit of the score."""
    return _signed(row, row.difference)


def interval_text(row: ComparedScore) -> str:
    """Return the interval of the difference, such as ``[-0.10, +0.95]``; empty where there is none."""
    return "" if math.isnan(row.low) else f"[{_signed(row, row.low)}, {_signed(row, row.high)}]"


def _signed(row: ComparedScore, value: float) -> str:
    if math.isnan(value):
        return ""
    digits = 0 if row.unit == COUNT else 2
    text = f"{100 * value if row.unit == SHARE else value:+.{digits}f}"
    return text if float(text) else f"{0:.{digits}f}"  # neither +0.00 nor -0.00


def frames_text(comparison: Comparison) -> str:
    """Return what was compared, in words."""
    frames, sequences = len(comparison.frames), len(comparison.lengths)
    of = "one sequence" if sequences == 1 else f"{sequences} sequences"
    return f"{frames} {'frame' if frames == 1 else 'frames'} of {of} that both runs have"


def to_dict(comparisons: Sequence[Comparison], settings: Settings, failures: Sequence[str]) -> dict[str, Any]:
    """Return the content of compare.json: shares are 0-1, unknown numbers null; units are part of ``unit``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "baseline": comparisons[0].baseline,
        "settings": vars(settings),
        "failures": list(failures),
        "comparisons": [
            {
                "run": c.run,
                "frames": len(c.frames),
                "sequences": len(c.lengths),
                "warnings": list(c.warnings),
                "figures": {row.name: _score(row) for row in c.rows},
            }
            for c in comparisons
        ],
    }


def _score(row: ComparedScore) -> dict[str, Any]:
    """Return one score; ``change`` is the difference with its sign changed where lower is better: negative is worse."""
    numbers = {"baseline": row.baseline, "value": row.value, "difference": row.difference, "change": row.change}
    numbers |= {"low": row.low, "high": row.high}
    return {
        "title": row.title,
        "unit": {SHARE: "share", COUNT: "count"}.get(row.unit, row.unit),
        "higher_is_better": row.higher_is_better,
        **{name: None if math.isnan(number) else number for name, number in numbers.items()},
        "frames": row.frames,
        "verdict": row.verdict,
    }


def parse_limits(texts: Sequence[str], classes: Sequence[str]) -> dict[str, float]:
    """Read limits such as ``mean_iou=-0.5``.

    Args:
        texts: of the command line.
        classes: names of the runs' classes.

    Returns:
        Least change towards better, by name of the score: % points for shares, else in the unit of the score.

    Raises:
        ConfigError: not NAME=CHANGE, an unknown name, or not a number.
    """
    names, limits = score_names(classes), {}
    for text in texts:
        name, equals, change = text.rpartition("=")
        try:
            limit = float(change)
        except ValueError:
            limit = math.nan
        if not equals or math.isnan(limit):
            raise ConfigError(f"--fail-below {text!r} is not NAME=CHANGE with a number, such as mean_iou=-0.5")
        if name not in names:
            raise ConfigError(f"--fail-below {text!r}: there is no score {name!r}; allowed: {', '.join(names)}")
        limits[name] = limit
    return limits


def broken_limits(comparison: Comparison, limits: Mapping[str, float]) -> list[str]:
    """Return a sentence on each score that is worse than its limit, or that a run does not have."""
    rows, found = {row.name: row for row in comparison.rows}, []
    for name, limit in limits.items():
        row = rows.get(name)
        if row is None or math.isnan(row.change):
            values = (math.nan, math.nan) if row is None else (row.baseline, row.value)
            runs = zip((comparison.baseline, comparison.run), values, strict=True)
            missing = " and in ".join(run for run, value in runs if math.isnan(value))
            found.append(f"{name} is missing in {missing}; its limit is {limit:+g}")
            continue
        if row.verdict == MISSING:
            found.append(f"{name} is known in both runs, but not of the same frames; its limit is {limit:+g}")
            continue
        change, unit = (100 * row.change, "% points") if row.unit == SHARE else (row.change, row.unit)
        if change < limit:
            values_text = [value_text(row, value) for value in (row.baseline, row.value)]
            found.append(
                f"{name} is {values_text[1]} in {comparison.run} and {values_text[0]} in {comparison.baseline}: "
                f"change towards better {f'{change:+.2f} {unit}'.strip()}, the limit is {limit:+g}"
            )
    return found
