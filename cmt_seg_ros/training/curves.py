"""Training curves as a picture."""

from __future__ import annotations

import json
from pathlib import Path

from cmt_seg_ros.errors import DatasetError


def draw_curves(run: Path) -> Path:
    """Draw ``history.jsonl`` of a run folder to ``curves.png`` and return its path.

    Raises:
        DatasetError: the run has no history yet.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    history = run / "history.jsonl"
    if not history.is_file():
        raise DatasetError(f"{history} does not exist; the run has not been scored yet")
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    iterations = [row["iteration"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    left.plot(iterations, [row["loss"] for row in rows], "o-", color="tab:gray")
    left.set(title="training loss", xlabel="batch", ylabel="coupled loss, Equation (1)")
    right.plot(iterations, [row["miou"] for row in rows], "o-", label="mIoU")
    right.plot(iterations, [row["objectness_iou"] for row in rows], "o-", label="objectness IoU")
    right.set(title="val, averaged weights", xlabel="batch", ylim=(0, 1))
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    path = run / "curves.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
