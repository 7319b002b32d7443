"""The report's pictures of the figures of a whole clip: which classes are mixed up, how sure, how fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cmt_seg_ros.evaluation.plotting import ACCENT, DASHED, INK, MUTED, NARROW_IN, SECOND, new_figure, styled, svg
from cmt_seg_ros.structures import F64

_MAX_NUMBERED = 21  # classes whose cells are large enough for a number
_BARS = 40


def confusion_matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Where the pixels of each true class went, in % of its pixels.

    Args:
        names: of the C classes.
        counts: C rows, the true classes, of C + 1 columns, the predicted ones and "unlabelled".
    """
    matrix = np.array(counts, np.float64)
    used = [i for i in range(len(names)) if matrix[i].sum() or matrix[:, i].sum()]
    columns = used if len(used) > _MAX_NUMBERED or not matrix[:, -1].any() else [*used, len(names)]
    total = matrix[used].sum(axis=1, keepdims=True)
    shares = np.divide(100 * matrix[used], total, out=np.full((len(used), matrix.shape[1]), np.nan), where=total > 0)
    shares = shares[:, columns]
    with styled():
        side = max(2.2, 0.44 * len(used))
        figure, (axes,) = new_figure(side + 1.9, side + 1.2)
        # Many cells as one picture: each as a shape of its own would be megabytes.
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=100, rasterized=len(used) > _MAX_NUMBERED)
        if len(used) <= _MAX_NUMBERED:
            _number_cells(axes, shares)
        labels = [*names, "unlabelled"]
        axes.set_xticks(np.arange(len(columns)) + 0.5, [labels[i] for i in columns], rotation=55, ha="right")
        axes.set_yticks(np.arange(len(used)) + 0.5, [names[i] for i in used])
        axes.set(xlabel="predicted", ylabel="true", aspect="equal")
        axes.xaxis.label.set_color(MUTED)
        axes.yaxis.label.set_color(MUTED)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.tick_params(length=0)
        return svg(figure)


def _number_cells(axes: Any, shares: F64) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.05:
            text = f"{share:.0f}" if share >= 9.95 else f"{share:.1f}"
            color = "white" if share > 55 else INK
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8.5, color=color)


def reliability(bins: Sequence[Mapping[str, Any]], ece: float) -> str:
    """How often the network is right when it is so sure, and how often it is so sure.

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
    """How long each stage took, one below the other, with the 50th and the 99th percentile.

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
            axes.set(ylabel=name, ylim=(0, axes.get_ylim()[1] * 1.12))
            axes.locator_params(axis="y", nbins=3)
        rows[-1].set(xlabel="ms, each row its own scale; heights: frames")
        return svg(figure)
