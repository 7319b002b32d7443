"""compare.html and compare.json: runs against a baseline, one file each that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.compare.comparison import Comparison, Row, Settings
from cmt_seg_ros.evaluation.compare.plots import forest, over_frames
from cmt_seg_ros.evaluation.compare.scores import SHARE
from cmt_seg_ros.evaluation.compare.text import difference_text, frames_text, interval_text, to_dict, value_text

MOST_CHANGED = 5


@dataclass(frozen=True)
class ChangedFrame:
    """A frame that changed much: sequence, name, and the difference of its mean IoU in % points."""

    sequence: str
    name: str
    difference: float


def write_comparison(
    out: Path, comparisons: Sequence[Comparison], settings: Settings, failures: Sequence[str] = ()
) -> None:
    """Write ``compare.html`` and ``compare.json`` into a folder, which is made if need be.

    Args:
        out: the folder.
        comparisons: of one baseline, one at least.
        settings: what they were made with.
        failures: a sentence on each limit that is broken.

    Raises:
        SourceError: the folder cannot be written.
    """
    page = render(comparisons, settings, failures)
    data = json.dumps(to_dict(comparisons, settings, failures), indent=2)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "compare.html").write_text(page, encoding="utf-8")
        (out / "compare.json").write_text(data + "\n", encoding="utf-8")
    except OSError as error:
        raise SourceError(f"the comparison cannot be written to {out}: {error}") from error


def render(comparisons: Sequence[Comparison], settings: Settings, failures: Sequence[str]) -> str:
    """The page as HTML."""
    loader = PackageLoader("cmt_seg_ros.evaluation", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.globals.update(value=value_text, difference=difference_text, interval=interval_text, frames=frames_text)
    return environment.get_template("compare/page.html.j2").render(
        comparisons=[(c, _plots(c), most_changed(c)) for c in comparisons], settings=settings, failures=failures
    )


def most_changed(comparison: Comparison) -> list[ChangedFrame]:
    """Frames whose mean IoU fell or rose most: those that fell first, the worst on top."""
    differences = comparison.per_frame["mean_iou"]
    known = [i for i in np.argsort(differences, kind="stable") if differences[i] and not np.isnan(differences[i])]
    fell = [i for i in known[:MOST_CHANGED] if differences[i] < 0]
    rose = [i for i in known[-MOST_CHANGED:] if differences[i] > 0]
    frames = comparison.frames
    return [ChangedFrame(frames[i].sequence, frames[i].name, 100 * float(differences[i])) for i in (*fell, *rose)]


def _plots(comparison: Comparison) -> dict[str, str]:
    """Data addresses of SVG by name; only what there is data for."""
    shares = [row for row in comparison.rows if row.unit == SHARE and not np.isnan(row.low)]
    found = {}
    for name, rows in (("main", [r for r in shares if not r.of_class]), ("classes", [r for r in shares if r.of_class])):
        if rows:
            found[name] = _address(forest(rows))
    for name, differences in comparison.per_frame.items():
        if not np.isnan(differences).all():
            found[name] = _address(over_frames(differences, comparison.lengths, _title(comparison.rows, name)))
    return found


def _title(rows: Sequence[Row], name: str) -> str:
    return next(row.title for row in rows if row.name == name)


def _address(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
