"""Page of a comparison: compare.html with its plots, and compare.json; each needs no other file."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.compare.comparison import BETTER, WORSE, ComparedScore, Comparison, Settings
from cmt_seg_ros.evaluation.compare.text import difference_text, frames_text, interval_text, to_dict, value_text
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
from cmt_seg_ros.files import ESCAPED
from cmt_seg_ros.metrics.scores import SHARE
from cmt_seg_ros.outputs import OutputFolder
from cmt_seg_ros.structures import F64

MOST_CHANGED = 5


@dataclass(frozen=True)
class ChangedFrame:
    """A frame that changed much: sequence, name, and the difference of its mean IoU in % points."""

    sequence: str
    name: str
    difference: float


def write_comparison(
    out: OutputFolder, comparisons: Sequence[Comparison], settings: Settings, failures: Sequence[str] = ()
) -> None:
    """Write ``compare.html`` and ``compare.json`` into a folder.

    Args:
        out: the folder.
        comparisons: of one baseline, one at least.
        settings: what they were made with.
        failures: a sentence on each limit that is broken.

    Raises:
        ConfigError: the folder has a file of such a name that is not ours.
        SourceError: the folder cannot be written.
    """
    page = render(comparisons, settings, failures)
    data = json.dumps(to_dict(comparisons, settings, failures), indent=2)
    files = {"compare.html": page, "compare.json": data + "\n"}
    out.check(files)
    try:
        for name, text in files.items():
            with out.replace(name) as fresh:
                fresh.write_text(text, encoding="utf-8", errors=ESCAPED)
    except OSError as error:
        raise SourceError(f"the comparison cannot be written to {out.folder}: {error}") from error


def render(comparisons: Sequence[Comparison], settings: Settings, failures: Sequence[str]) -> str:
    """Return the page as HTML."""
    loader = PackageLoader("cmt_seg_ros.evaluation", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.globals.update(value=value_text, difference=difference_text, interval=interval_text, frames=frames_text)
    return environment.get_template("compare/page.html.j2").render(
        comparisons=[(c, _plots(c), most_changed(c)) for c in comparisons], settings=settings, failures=failures
    )


def most_changed(comparison: Comparison) -> list[ChangedFrame]:
    """Return the frames whose mean IoU fell or rose most: those that fell first, the worst on top."""
    differences = comparison.per_frame["mean_iou"]
    known = [i for i in np.argsort(differences, kind="stable") if differences[i] and not np.isnan(differences[i])]
    fell = [i for i in known[:MOST_CHANGED] if differences[i] < 0]
    rose = [i for i in known[-MOST_CHANGED:] if differences[i] > 0]
    frames = comparison.frames
    return [ChangedFrame(frames[i].sequence, frames[i].name, 100 * float(differences[i])) for i in (*fell, *rose)]


def _plots(comparison: Comparison) -> dict[str, str]:
    """Return data addresses of SVG by name; only what there is data for."""
    shares = [row for row in comparison.rows if row.unit == SHARE and not np.isnan(row.low)]
    found = {}
    for name, rows in (("main", [r for r in shares if not r.of_class]), ("classes", [r for r in shares if r.of_class])):
        if rows:
            found[name] = _address(forest(rows))
    for name, differences in comparison.per_frame.items():
        if not np.isnan(differences).all():
            found[name] = _address(over_frames(differences, comparison.lengths, _title(comparison.rows, name)))
    return found


def _title(rows: Sequence[ComparedScore], name: str) -> str:
    return next(row.title for row in rows if row.name == name)


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


_COLORS = {BETTER: ACCENT, WORSE: SECOND}
_MOST_DOTS = 2000


def forest(rows: Sequence[ComparedScore]) -> str:
    """Plot the change of each share with its interval, in % points; to the right is better, whatever the score.

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
    """Plot the difference in each frame, and its running mean; where sequences begin is marked.

    Args:
        differences: (N,) float64, 0-1, nan where not known; sequence after sequence.
        lengths: frames of each sequence.
        title: of the score.
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
    """Return places and values of the mean over about a fifteenth of the frames, of what is known."""
    at = np.flatnonzero(~np.isnan(values))
    width = max(1, min(len(at), max(3, len(at) // 15)))
    kernel = np.full(width, 1 / width)
    if not at.size:
        return np.zeros(0), np.zeros(0)
    return np.convolve(at, kernel, "valid"), np.convolve(values[at], kernel, "valid")
