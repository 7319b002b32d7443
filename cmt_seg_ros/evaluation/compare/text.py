"""A comparison in words and as JSON: how people and machines read each figure, in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cmt_seg_ros.evaluation.compare.comparison import Comparison, Row, Settings
from cmt_seg_ros.evaluation.compare.scores import COUNT, SHARE

SCHEMA_VERSION = 1


def value_text(row: Row, value: float) -> str:
    """A value with its unit, such as ``84.2 %``."""
    if math.isnan(value):
        return "-"
    if row.unit == COUNT:
        return f"{value:.0f}"
    return f"{100 * value:.1f} %" if row.unit == SHARE else f"{value:.1f} {row.unit}"


def difference_text(row: Row) -> str:
    """The difference with its sign: of shares in % points, else in the unit of the figure."""
    return _signed(row, row.difference)


def interval_text(row: Row) -> str:
    """The interval of the difference, such as ``[-0.10, +0.95]``; empty where there is none."""
    return "" if math.isnan(row.low) else f"[{_signed(row, row.low)}, {_signed(row, row.high)}]"


def _signed(row: Row, value: float) -> str:
    if math.isnan(value):
        return ""
    digits = 0 if row.unit == COUNT else 2
    text = f"{100 * value if row.unit == SHARE else value:+.{digits}f}"
    return text if float(text) else f"{0:.{digits}f}"  # neither +0.00 nor -0.00


def frames_text(comparison: Comparison) -> str:
    """What was compared, in words."""
    frames, sequences = len(comparison.frames), len(comparison.lengths)
    of = "one sequence" if sequences == 1 else f"{sequences} sequences"
    return f"{frames} {'frame' if frames == 1 else 'frames'} of {of} that both runs have"


def to_dict(comparisons: Sequence[Comparison], settings: Settings, failures: Sequence[str]) -> dict[str, Any]:
    """The content of compare.json: shares are 0-1, unknown numbers null; units are part of ``unit``."""
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
                "figures": {row.name: _figure(row) for row in c.rows},
            }
            for c in comparisons
        ],
    }


def _figure(row: Row) -> dict[str, Any]:
    """One figure; ``change`` is the difference, turned round where lower is better: negative is worse."""
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
