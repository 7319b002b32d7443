"""The pictures of a comparison as SVG text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmt_seg_ros.evaluation.compare.comparison import BETTER, WORSE, Row
from cmt_seg_ros.evaluation.report.style import (
    ACCENT,
    DASHED,
    INK,
    MUTED,
    NARROW_IN,
    SECOND,
    WIDE_IN,
    new_figure,
    styled,
    svg,
)
from cmt_seg_ros.structures import F64

_COLORS = {BETTER: ACCENT, WORSE: SECOND}
_MOST_DOTS = 2000


def forest(rows: Sequence[Row]) -> str:
    """Change of each share with its interval, in % points; to the right is better, whatever the figure.

    Args:
        rows: shares that have an interval, one at least.
    """
    with styled():
        figure, (axes,) = new_figure(NARROW_IN, 0.9 + 0.27 * len(rows))
        for y, row in enumerate(reversed(rows)):
            ends = sorted((row.low, row.high) if row.higher_is_better else (-row.low, -row.high))
            color = _COLORS.get(row.verdict, MUTED)
            axes.plot([100 * ends[0], 100 * ends[1]], [y, y], color=color, linewidth=2.2, solid_capstyle="butt")
            axes.plot(100 * row.change, y, "o", color=color, markersize=5.5)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(rows)), [row.title.removeprefix("IoU of ") for row in reversed(rows)])
        axes.set(xlabel="change, % points (to the right: better)", ylim=(-0.7, len(rows) - 0.3))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        if not any(row.low or row.high for row in rows):
            axes.set_xlim(-1, 1)  # equal runs: no scale of its own
        return svg(figure)


def over_frames(differences: F64, lengths: Sequence[int], title: str) -> str:
    """Difference in each frame, and its running mean; where sequences begin is marked.

    Args:
        differences: (N,) float64, 0-1, nan where not known; sequence after sequence.
        lengths: frames of each sequence.
        title: of the figure.
    """
    with styled():
        figure, (axes,) = new_figure(WIDE_IN, 2.8)
        many = len(differences) > _MOST_DOTS  # a picture is smaller than its dots, then
        axes.plot(100 * differences, ".", color=MUTED, markersize=3, label="each frame", rasterized=many)
        ends = np.cumsum(lengths)
        for number, (first, last) in enumerate(zip(ends - lengths, ends, strict=True)):
            x, mean = _running_mean(differences[first:last])
            axes.plot(first + x, 100 * mean, color=ACCENT, linewidth=1.8, label=None if number else "running mean")
            if number:
                axes.axvline(first - 0.5, color=MUTED, linewidth=1, linestyle=DASHED)
        axes.axhline(0, color=INK, linewidth=1)
        axes.set(xlabel="frame", ylabel=f"{title},\ndifference, % points")
        axes.margins(x=0.01)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return svg(figure)


def _running_mean(values: F64) -> tuple[F64, F64]:
    """Mean over about a fifteenth of the frames, of what is known; where, and what."""
    at = np.flatnonzero(~np.isnan(values))
    width = max(1, min(len(at), max(3, len(at) // 15)))
    kernel = np.full(width, 1 / width)
    if not at.size:
        return np.zeros(0), np.zeros(0)
    return np.convolve(at, kernel, "valid"), np.convolve(values[at], kernel, "valid")
