"""Report: all results of a run on one HTML page, self-contained but for a video beside it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.folder import ANNOTATED, LIVE, RECORDS, REPORT, SUMMARY, TABLE, TRACKS
from cmt_seg_ros.evaluation.report import plots
from cmt_seg_ros.evaluation.report.examples import PANELS, load_examples
from cmt_seg_ros.evaluation.report.history import MAX_LISTED, RunHistory
from cmt_seg_ros.evaluation.report.timeline import MAX_TRACKS, timeline, track_strip
from cmt_seg_ros.evaluation.scores.summary import Example, Summary
from cmt_seg_ros.evaluation.scores.tables import (
    STAGES,
    class_rows,
    percent,
    score_rows,
    sequence_table,
    stage_rows,
    tiles,
)
from cmt_seg_ros.files import ESCAPED
from cmt_seg_ros.labels import LabelSet

VIDEO = f"{LIVE}/overlay.mp4"
_LEAST_VIDEO_BYTES = 1000
_FILES = {
    SUMMARY: "all scores",
    TABLE: "a row a frame",
    RECORDS: "every count that the scores are made of; cmt-seg compare reads it",
    TRACKS: "tracks in the format of MOTChallenge",
    "bag": "what the nodes got and published",
}


def write_report(folder: Path, summary: Summary, history: RunHistory) -> None:
    """Write ``report.html`` beside the pictures of :mod:`~cmt_seg_ros.evaluation.report.examples`.

    Args:
        folder: of a sequence, or of several together.
        summary: what is in its summary.json.
        history: of its frames.

    Raises:
        SourceError: the page cannot be written.
    """
    page = render(folder, summary, history)
    try:
        (folder / REPORT).write_text(page, encoding="utf-8", errors=ESCAPED)
    except OSError as error:
        raise SourceError(f"{folder / REPORT} cannot be written: {error.strerror}; is the disk full?") from error


def render(folder: Path, summary: Summary, history: RunHistory) -> str:
    """Return the page as HTML."""
    labels = LabelSet.from_list(summary["classes"])
    columns, sequences, failed = sequence_table(summary)
    loader = PackageLoader("cmt_seg_ros.evaluation.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    video = folder / VIDEO
    return environment.get_template("report.html.j2").render(
        s=summary,
        rows=score_rows(summary),
        tiles=tiles(summary),
        classes=class_rows(summary),
        stages=stage_rows(summary),
        mean_iou=percent(summary["masks"]["mean_iou"]) if summary["masks"] else "",
        columns=columns,
        sequences=sequences,
        failed=failed,
        problem_title=_counted("Problems", summary["problems"]["counts"]),
        lost_title=_counted("Frames lost", summary["frames"]["lost_by_reason"]),
        lost=history.lost_lines,
        untrue=history.untrue_lines,
        max_listed=MAX_LISTED,
        max_tracks=MAX_TRACKS,
        max_classes=plots.MAX_CLASSES,
        plots={name: _data_uri(text.encode(), "image/svg+xml") for name, text in _plots(summary, history, labels)},
        examples=_examples(folder, summary, history),
        said=_settings(summary["timing"]["diagnostics"]),
        settings=_settings(summary["settings"]),
        files={name: meaning for name, meaning in _FILES.items() if name == SUMMARY or (folder / name).exists()},
        annotated=ANNOTATED if (folder / ANNOTATED).is_dir() else "",
        video=VIDEO if video.is_file() and video.stat().st_size > _LEAST_VIDEO_BYTES else "",
    )


def _plots(summary: Summary, history: RunHistory, labels: LabelSet) -> list[tuple[str, str]]:
    """Return (name, SVG) of what there is data for."""
    masks, calibration = summary["masks"], summary["calibration"]
    found = {"timeline": timeline(history), "tracks": track_strip(history, labels)}
    if masks:
        found["confusion"] = plots.confusion_matrix(labels.names, masks["confusion"])
    if calibration and calibration["ece"] is not None:
        found["reliability"] = plots.reliability(calibration["bins"], calibration["ece"])
    columns = {name: history.columns[f"{name}_ms"] for name in STAGES if f"{name}_ms" in history.columns}
    if columns:
        found["stages"] = plots.stage_histograms({name: ms[~np.isnan(ms)] for name, ms in columns.items()})
    return [(name, svg) for name, svg in found.items() if svg]


def _examples(folder: Path, summary: Summary, history: RunHistory) -> list[dict[str, Any]]:
    """Return caption and pictures, with what each shows, of each frame that was drawn."""
    chosen, pictures = summary["examples"] or {}, load_examples(folder)
    if summary["sequences"] and chosen:  # the best frame of all is the best one of its sequence
        ends = {name: load_examples(folder / chosen[name]["sequence"]) for name in ("best", "worst")}
        pictures |= {name: drawn[name] for name, drawn in ends.items() if name in drawn}
    found = []
    for name, panels in pictures.items():
        caption = _caption(name, chosen[name], history) if name in chosen else name
        shown = [(_data_uri(data, "image/jpeg"), what) for data, what in zip(panels, PANELS.values(), strict=False)]
        found.append({"name": name, "caption": caption[0].upper() + caption[1:], "pictures": shown})
    return found


def _caption(name: str, frame: Example, history: RunHistory) -> str:
    called, second = history.frame_time(frame["sequence"], frame["index"])
    where = f" of {frame['sequence']}" if len(history.starts) > 1 else ""
    return f"{name}: frame {frame['index']}{where} ({called}), at {second:.2f} s, mean IoU {percent(frame['mean_iou'])}"


def _counted(what: str, counts: dict[str, int]) -> str:
    kinds = ", ".join(f"{kind.replace('_', ' ')}: {count}" for kind, count in counts.items())
    return f"{what}: {sum(counts.values())} ({kinds})"


def _settings(settings: dict[str, Any], prefix: str = "") -> list[str]:
    """Return lines "name = value" of what differs from the defaults."""
    lines: list[str] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += _settings(value, f"{prefix}{name}.")
        elif value not in ("", False, None):
            lines.append(f"{prefix}{name} = {value}")
    return lines


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
