"""The report's pictures as SVG text; no display, no global state of matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from cmt_seg_ros.evaluation.latency import Latency
from cmt_seg_ros.evaluation.score import MaskScore, TrackSpan
from cmt_seg_ros.labels import LabelSet

INK, MUTED, GRID, ACCENT, SECOND = "#1f2933", "#7b8794", "#e4e7eb", "#0b6e99", "#c2571a"
STYLE = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "cmt_seg_ros",  # the same bytes on every run
}
_NARROW, _WIDE = (5.4, 3.2), (10.8, 3.6)
_MAX_TRACKS = 40


def age_over_time(series: dict[str, Latency]) -> str:
    """Age of each result over time; series by the name to show."""
    with mpl.rc_context(STYLE):
        figure, axes = _figure(_NARROW)
        for (name, latency), color in zip(series.items(), (ACCENT, SECOND)[: len(series)], strict=True):
            if latency.age_ms is not None:
                axes.plot(latency.received_s, latency.age_ms, color=color, linewidth=1.1, label=name)
        axes.set(xlabel="time since the first result, s", ylabel="age of the image, ms")
        axes.set_ylim(bottom=0)
        _legend(axes, len(series))
        return _svg(figure)


def age_histogram(series: dict[str, Latency]) -> str:
    """Distribution of the ages, 50th and 99th percentile marked for the first series."""
    with mpl.rc_context(STYLE):
        figure, axes = _figure(_NARROW)
        known = {name: latency for name, latency in series.items() if latency.age_ms is not None}
        ages = np.concatenate([latency.age_ms for latency in known.values() if latency.age_ms is not None])
        # A few late frames must not squeeze all others into one bar; they are counted in the last one.
        last = float(np.percentile(ages, 99.5)) * 1.05
        edges = np.linspace(0, max(last, 1.0), 41)
        for (name, latency), color in zip(known.items(), (ACCENT, SECOND)[: len(known)], strict=True):
            shown = np.minimum(np.asarray(latency.age_ms), edges[-1])
            axes.hist(shown, edges, color=color, alpha=0.65, label=name)
        first = next(iter(known.values()))
        for percent in (50, 99):
            value = min(first.percentile_ms(percent), float(edges[-1]))
            axes.axvline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                f"p{percent}", (value, 1), (3, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
                va="top", fontsize=9,
            )  # fmt: skip
        axes.set(xlabel="age of the image, ms", ylabel="results")
        _legend(axes, len(known), "center right")  # clear of the marks' names
        return _svg(figure)


def class_bars(score: MaskScore, labels: LabelSet) -> str:
    """IoU of each class, the largest on top, each bar in the class's colour."""
    with mpl.rc_context(STYLE):
        order = [i for i in np.argsort(score.class_iou, kind="stable") if not np.isnan(score.class_iou[i])]
        figure, axes = _figure((_NARROW[0], max(1.6, 0.9 + 0.28 * len(order))))
        colors = [tuple(v / 255 for v in labels.classes[i].color) for i in order]
        values = [float(score.class_iou[i]) * 100 for i in order]
        axes.barh(range(len(order)), values, color=colors, edgecolor=INK, linewidth=0.4, height=0.72)
        for row, value in enumerate(values):
            axes.annotate(f"{value:.1f}", (value, row), (4, 0), textcoords="offset points", va="center", fontsize=9)
        axes.set_yticks(range(len(order)), [score.names[i] for i in order])
        axes.axvline(score.mean_iou * 100, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 108), xlabel=f"IoU, %  (dashed: mean, {score.mean_iou * 100:.1f})")
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        return _svg(figure)


def track_strip(spans: Sequence[TrackSpan], labels: LabelSet, period_s: float) -> str:
    """When each track was seen, coloured by class; the longest tracks where there are many.

    Args:
        spans: of confirmed tracks.
        labels: colours of the classes.
        period_s: time between two frames, s: gaps longer than two of them are drawn as gaps.
    """
    with mpl.rc_context(STYLE):
        longest = sorted(spans, key=lambda s: -len(s.stamps_ns))[:_MAX_TRACKS]
        shown = sorted(longest, key=lambda s: s.stamps_ns[0], reverse=True)
        start = min(s.stamps_ns[0] for s in spans)
        figure, axes = _figure((_WIDE[0], max(1.8, 0.9 + 0.19 * len(shown))))
        colors = {c.name: tuple(v / 255 for v in c.color) for c in labels.classes}
        for row, span in enumerate(shown):
            bars = [(first, last - first + period_s) for first, last in _pieces(span, start, period_s)]
            axes.broken_barh(bars, (row - 0.36, 0.72), color=colors.get(span.class_name, MUTED))
            axes.annotate(
                str(span.track_id), (sum(bars[-1]), row), (4, 0), textcoords="offset points",
                va="center", fontsize=8, color=MUTED,
            )  # fmt: skip
        axes.set(xlabel="time, s", ylim=(-0.8, len(shown) - 0.2))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.02)
        names = sorted({s.class_name for s in shown})
        handles = [mpl.patches.Patch(color=colors.get(name, MUTED), label=name) for name in names]
        axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names), frameon=False)
        return _svg(figure)


def _pieces(span: TrackSpan, start_ns: int, period_s: float) -> list[tuple[float, float]]:
    """(first, last) second of each stretch without gaps."""
    times = (np.array(span.stamps_ns, np.int64) - start_ns) / 1e9
    cuts = np.flatnonzero(np.diff(times) > 2.5 * period_s)
    firsts, lasts = times[np.append(0, cuts + 1)], times[np.append(cuts, len(times) - 1)]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _figure(size_in: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size_in, layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def _legend(axes: Axes, count: int, place: str = "upper right") -> None:
    if count > 1:
        axes.legend(frameon=False, loc=place)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()
