"""Training curves of a run, as a picture."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from cmt_seg_ros.errors import DatasetError


def read_history(run: Path) -> list[dict[str, Any]]:
    """Read the scores of all stages of a run, in order, with ``batch``, counted over all stages.

    Raises:
        DatasetError: the run has not been scored yet.
    """
    rows: list[dict[str, Any]] = []
    before = 0
    for path in sorted(run.glob("*/history.jsonl")):
        stage = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows += [{**row, "batch": before + row["iteration"]} for row in stage]
        before += stage[-1]["iteration"]
    if not rows:
        raise DatasetError(f"no history.jsonl in the folders of {run}; the run has not been scored yet")
    return rows


def draw_curves(run: Path) -> Path:
    """Draw the history of a run folder to ``curves.png`` and return its path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = read_history(run)
    batches = [row["batch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    left.plot(batches, [row["loss"] for row in rows], ".-", color="tab:gray")
    left.set(title="training loss", xlabel="batch", ylabel="weighted sum of the tasks' losses")
    # Objectness alone (stage 502) has no mIoU.
    right.plot(batches, [row["miou"] or float("nan") for row in rows], ".-", label="mIoU")
    right.plot(batches, [row["objectness_iou"] for row in rows], ".-", label="objectness IoU")
    right.set(title="validation, averaged weights", xlabel="batch", ylim=(0, 1))
    right.legend(loc="center right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        for row, following in pairwise(rows):
            if row["stage"] != following["stage"]:
                axes.axvline(row["batch"], color="black", linewidth=0.7, linestyle=":")
    # The number of each stage where it ends.
    for row, following in zip(rows, [*rows[1:], {"stage": None}], strict=True):
        if row["stage"] != following["stage"]:
            number = row["stage"].split()[0]
            right.annotate(number, (row["batch"], 0.02), fontsize=8, rotation=90, ha="right", va="bottom")
    path = run / "curves.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
