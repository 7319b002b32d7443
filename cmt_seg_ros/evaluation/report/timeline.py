"""Timeline plots: scores, objects, times and tracks over the time of a clip."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.evaluation.report.history import RunHistory, TrackSpan
from cmt_seg_ros.evaluation.report.style import (
    ACCENT,
    INK,
    MUTED,
    SECOND,
    THIRD,
    WIDE_IN,
    WRONG,
    new_figure,
    styled,
    svg,
    thinned,
)
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import F64

MAX_TRACKS = 40
_LOST_MARKS = 200
_VISIBLE = 400  # parts of a strip that can be told apart
_PANELS: dict[str, dict[str, tuple[str, float]]] = {
    "share, %": {
        "mean_iou": ("mean IoU of the frame", 100),
        "objectness_iou": ("objectness IoU", 100),
        "temporal_agreement": ("agreement with the frame before", 100),
    },
    "objects": {
        "true_objects": ("true", 1),
        "objects_found": ("found", 1),
        "tracks": ("tracks", 1),
    },
    "ms": {
        "infer_ms": ("infer", 1),
        "track_ms": ("track", 1),
        "age_ms": ("age of the image at its mask", 1),
        "tracks_age_ms": ("at its tracks", 1),
    },
    "MB": {"memory_mb": ("memory", 1)},
}


def timeline(history: RunHistory) -> str:
    """Plot scores, objects, times and memory, one above the other; empty if nothing is known over time."""
    panels = {unit: {n: c for n, c in lines.items() if n in history.columns} for unit, lines in _PANELS.items()}
    panels = {unit: lines for unit, lines in panels.items() if lines}
    if not panels or len(history.x) < 2:
        return ""
    with styled():
        figure, rows = new_figure(WIDE_IN, 0.5 + 1.75 * len(panels), len(panels), sharex=True)
        for axes, (unit, lines) in zip(rows, panels.items(), strict=True):
            for (name, (label, factor)), color in zip(lines.items(), (ACCENT, SECOND, THIRD, INK), strict=False):
                x, y = thinned(history.x, factor * history.columns[name])
                axes.plot(x, y, color=color, linewidth=1.1, label=label)
                alone = _alone(y)
                axes.plot(x[alone], y[alone], ".", color=color, markersize=4)
            _mark_lost(axes, history)
            for start in history.starts[1:]:
                axes.axvline(history.x[start], color=MUTED, linewidth=0.8)
            _limit(axes, unit, np.concatenate([history.columns[name] * factor for name, (_, factor) in lines.items()]))
            axes.set(ylabel=unit, xlim=(history.x[0], history.x[-1]))
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderpad=0, fontsize=9)
        rows[-1].set(xlabel=history.x_name)
        figure.align_ylabels(rows)
        return svg(figure)


def _alone(y: F64) -> npt.NDArray[np.bool_]:
    """Return (N,) bool, values without neighbours: a line shows nothing of them."""
    known = np.concatenate([[False], ~np.isnan(y), [False]])
    return known[1:-1] & ~known[:-2] & ~known[2:]


def _limit(axes: Any, unit: str, values: Any) -> None:
    """Limit an axis: a few slow frames must not flatten all others; shares end at 100 %."""
    low, usual, top = np.nanmin(values), np.nanpercentile(values, 99.5), np.nanmax(values)
    if unit == "share, %":
        axes.set_ylim(max(0.0, low - 0.15 * (100 - low) - 1), 101)
    elif unit == "MB":
        axes.set_ylim(0, 1.1 * top)
    else:
        axes.set_ylim(0, 1.08 * max(usual * 1.3 if top > 3 * usual else top, 1e-3))


def _mark_lost(axes: Any, history: RunHistory) -> None:
    """Draw a red stripe where frames were lost; neighbours share one."""
    if not history.lost:
        return
    first, width = history.x[0], max(history.x[-1] - history.x[0], 1e-9) / _LOST_MARKS
    places = np.unique(np.minimum((history.x[history.lost] - first) / width, _LOST_MARKS - 1).astype(int))
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    stripes = [(first + width * run[0], width * len(run)) for run in runs]
    axes.broken_barh(stripes, (0, 1), transform=axes.get_xaxis_transform(), color=WRONG, alpha=0.3, linewidth=0)


def track_strip(history: RunHistory, labels: LabelSet) -> str:
    """Plot when each track was seen, coloured by class; of many the longest. Empty without tracks."""
    longest = sorted(history.spans.items(), key=lambda item: (-item[1].frames, item[0]))[:MAX_TRACKS]
    shown = sorted(longest, key=lambda item: (item[1].pieces[0][0], item[0]), reverse=True)
    if not shown or len(history.x) < 2:
        return ""
    step = float(np.median(np.diff(history.x)))
    usual = [span.classes.most_common(1)[0][0] for _, span in shown]
    with styled():
        figure, (axes,) = new_figure(WIDE_IN, max(1.8, 0.9 + 0.19 * len(shown)))
        for row, ((track_id, span), class_id) in enumerate(zip(shown, usual, strict=True)):
            bars = _bars(span, history, step)
            axes.broken_barh(bars, (row - 0.36, 0.72), color=_color(labels, class_id), linewidth=0)
            axes.annotate(
                str(track_id), (sum(bars[-1]), row), (4, 0), textcoords="offset points",
                va="center", fontsize=8, color=MUTED,
            )  # fmt: skip
        axes.set(xlabel=history.x_name, ylim=(-0.8, len(shown) - 0.2), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(history.x[0], history.x[-1] + 0.03 * (history.x[-1] - history.x[0]) + step)
        names = {
            labels.name_of(i): mpl.patches.Patch(color=_color(labels, i), label=labels.name_of(i))
            for i in sorted(set(usual))
        }
        axes.legend(handles=list(names.values()), loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, frameon=False)
        return svg(figure)


def _bars(span: TrackSpan, history: RunHistory, step: float) -> list[tuple[float, float]]:
    """Return (start, length) of its pieces; gaps that are too short to be seen are closed."""
    visible = (history.x[-1] - history.x[0]) / _VISIBLE
    bars: list[tuple[float, float]] = []
    for first, last in span.pieces:
        start, end = float(history.x[first]), float(history.x[last]) + step
        if bars and start - sum(bars[-1]) < visible:
            start = bars.pop()[0]
        bars.append((start, end - start))
    return bars


def _color(labels: LabelSet, class_id: int) -> tuple[float, ...] | str:
    return tuple(v / 255 for v in labels.classes[class_id].color) if class_id < len(labels) else INK
