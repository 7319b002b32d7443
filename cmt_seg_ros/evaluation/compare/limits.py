"""Limits of a comparison, for continuous integration: which figure may become how much worse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.compare.comparison import MISSING, Comparison, figure_names
from cmt_seg_ros.evaluation.compare.scores import SHARE
from cmt_seg_ros.evaluation.compare.text import value_text


def parse_limits(texts: Sequence[str], classes: Sequence[str]) -> dict[str, float]:
    """Read limits such as ``mean_iou=-0.5``.

    Args:
        texts: of the command line.
        classes: names of the runs' classes.

    Returns:
        Least change towards better, by name of the figure: % points for shares, else in the unit of the figure.

    Raises:
        ConfigError: not NAME=CHANGE, an unknown name, or not a number.
    """
    names, limits = figure_names(classes), {}
    for text in texts:
        name, equals, change = text.rpartition("=")
        try:
            limit = float(change)
        except ValueError:
            limit = math.nan
        if not equals or math.isnan(limit):
            raise ConfigError(f"--fail-below {text!r} is not NAME=CHANGE with a number, such as mean_iou=-0.5")
        if name not in names:
            raise ConfigError(f"--fail-below {text!r}: there is no figure {name!r}; allowed: {', '.join(names)}")
        limits[name] = limit
    return limits


def broken_limits(comparison: Comparison, limits: Mapping[str, float]) -> list[str]:
    """A sentence on each figure that is worse than its limit, or that a run does not have."""
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
