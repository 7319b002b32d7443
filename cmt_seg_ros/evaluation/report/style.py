"""Style of the report's plots: SVG text; no display, no global state of matplotlib, the same bytes on every run."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from cmt_seg_ros.structures import F64

INK, MUTED, GRID, ACCENT, SECOND, THIRD = "#1f2933", "#7b8794", "#e4e7eb", "#0b6e99", "#c2571a", "#5b8c3a"
WRONG = "#d64545"
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
    "text.parse_math": False,  # a name with $ in it is a name
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "cmt_seg_ros",  # the same bytes on every run
}
NARROW_IN, WIDE_IN = 5.4, 10.8
DASHED = (0, (4, 3))
_MAX_POINTS = 800


def new_figure(width_in: float, height_in: float, rows: int = 1, **options: Any) -> tuple[Figure, list[Any]]:
    """Return a figure with axes below each other; call within ``matplotlib.rc_context(STYLE)``."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(rows, 1, squeeze=False, **options)[:, 0].tolist()


def styled() -> Any:
    """Return the context in which figures are made and drawn."""
    return mpl.rc_context(STYLE)


def svg(figure: Figure) -> str:
    """Return the figure as SVG text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()


def thinned(x: F64, y: F64, points: int = _MAX_POINTS) -> tuple[F64, F64]:
    """Return a line of few points that looks the same: least and greatest value of each of equal parts.

    Args:
        x: (N,) places, never falling.
        y: (N,) values, nan where there is none.
        points: the most to give, even.

    Returns:
        (M,) and (M,), M at most ``points``; parts without any value give one nan.
    """
    if len(x) <= points:
        return x, y
    keep: list[int] = []
    for part in np.array_split(np.arange(len(x)), points // 2):
        values = y[part]
        if np.isnan(values).all():
            keep.append(int(part[0]))
        else:
            keep += sorted({int(part[np.nanargmin(values)]), int(part[np.nanargmax(values)])})
    return x[keep], y[keep]
