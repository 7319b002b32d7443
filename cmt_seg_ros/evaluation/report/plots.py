"""Plots of the scores of a whole clip: confusion matrix, reliability diagram, times of the stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cmt_seg_ros.evaluation.report.style import (
    ACCENT,
    DASHED,
    INK,
    MUTED,
    NARROW_IN,
    SECOND,
    new_figure,
    styled,
    svg,
)
from cmt_seg_ros.structures import F64

MAX_CLASSES = 30  # in the confusion matrix
_MAX_NUMBERED = 21  # classes whose cells are large enough for a number
_BARS = 40


def confusion_matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Plot where the pixels of each true class went, in % of them; of many classes the most frequent ones.

    Args:
        names: of the C classes.
        counts: C rows, the true classes, of C + 1 columns, the predicted ones and "unlabelled".
    """
    rows, columns, shares = _shares(names, np.array(counts, np.float64))
    with styled():
        side = max(2.2, 0.44 * len(rows))
        figure, (axes,) = new_figure(side + 1.9, side + 1.2)
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=100)
        if len(rows) <= _MAX_NUMBERED:
            _number_cells(axes, shares)
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=55, ha="right")
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.set(xlabel="predicted", ylabel="true", aspect="equal")
        axes.xaxis.label.set_color(MUTED)
        axes.yaxis.label.set_color(MUTED)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.tick_params(length=0)
        return svg(figure)


def _shares(names: Sequence[str], counts: F64) -> tuple[list[str], list[str], F64]:
    """Return names of rows and columns, and their cells in %, nan in rows without pixels."""
    pixels = counts[:, :-1].sum(axis=0) + counts.sum(axis=1)
    used = np.sort(np.argsort(-pixels, kind="stable")[: min(MAX_CLASSES, max(1, np.count_nonzero(pixels)))])
    total = counts[used].sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts[used], total, out=np.full((len(used), len(names) + 1), np.nan), where=total > 0)
    others = np.setdiff1d(np.flatnonzero(pixels), used)
    rows, parts = [names[i] for i in used], [shares[:, used]]
    columns = list(rows)
    if len(others):
        columns.append("other classes")
        parts.append(shares[:, others].sum(axis=1, keepdims=True))
    if counts[used, -1].any():
        columns.append("unlabelled")
        parts.append(shares[:, -1:])
    return rows, columns, np.hstack(parts)


def _number_cells(axes: Any, shares: F64) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.05:
            text = f"{share:.0f}" if share >= 9.95 else f"{share:.1f}"
            color = "white" if share > 55 else INK
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8.5, color=color)


def reliability(bins: Sequence[Mapping[str, Any]], ece: float) -> str:
    """Plot accuracy against confidence, and how many pixels have which confidence.

    Args:
        bins: ``low``, ``high`` (0-1), ``pixels``, ``confidence`` and ``accuracy`` (0-1, or None) of each.
        ece: expected calibration error, 0-1.
    """
    low = 100 * np.array([b["low"] for b in bins])
    width = 100 * np.array([b["high"] - b["low"] for b in bins])
    pixels = np.array([b["pixels"] for b in bins], np.float64)
    accuracy = 100 * np.array([b["accuracy"] or 0.0 for b in bins])
    confidence = 100 * np.array([b["confidence"] if b["pixels"] else np.nan for b in bins])
    with styled():
        figure, (top, bottom) = new_figure(NARROW_IN, 5.0, 2, sharex=True, height_ratios=(3, 1))
        top.bar(low, accuracy, width, align="edge", color=ACCENT, edgecolor="white", linewidth=0.6)
        top.plot([0, 100], [0, 100], color=INK, linewidth=1, linestyle=DASHED)
        top.plot(confidence, confidence, "o", color=SECOND, markersize=4)
        top.annotate(
            f"expected calibration error {100 * ece:.1f} %", (0.03, 0.95), xycoords="axes fraction", va="top"
        )  # fmt: skip
        top.set(xlim=(0, 100), ylim=(0, 105), ylabel="right, % of the pixels")
        bottom.bar(low, 100 * pixels / max(pixels.sum(), 1), width, align="edge", color=MUTED, edgecolor="white")
        bottom.set(xlabel="confidence, %", ylabel="pixels, %")
        return svg(figure)


def stage_histograms(stages: Mapping[str, F64]) -> str:
    """Plot how long each stage took, one below the other, with the 50th and the 99th percentile.

    Args:
        stages: (N,) float64 ms by name of the stage, without nan.
    """
    with styled():
        figure, rows = new_figure(NARROW_IN, 0.4 + 1.35 * len(stages), len(stages))
        for axes, (name, times) in zip(rows, stages.items(), strict=True):
            # A few late frames must not squeeze all others into one bar; they are counted in the last one.
            low, last = float(times.min()), float(np.percentile(times, 99.5)) * 1.05
            edges = np.linspace(0 if low < 0.5 * last else 0.95 * low, max(last, 1e-3), _BARS + 1)
            axes.hist(np.minimum(times, edges[-1]), edges, color=ACCENT, alpha=0.8)
            for percent in (50, 99):
                value = min(float(np.percentile(times, percent)), float(edges[-1]))
                axes.axvline(value, color=INK, linewidth=1, linestyle=DASHED)
                axes.annotate(
                    f"p{percent}", (value, 1), (3, -1), xycoords=("data", "axes fraction"),
                    textcoords="offset points", va="top", fontsize=8,
                )  # fmt: skip
            axes.set(ylabel=name, xlim=(edges[0], edges[-1]), ylim=(0, axes.get_ylim()[1] * 1.12))
            axes.locator_params(axis="y", nbins=3)
        rows[-1].set(xlabel="ms, each row its own scale; heights: frames")
        return svg(figure)
