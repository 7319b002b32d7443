"""report.html: one page with all results of a recording, self-contained but for the video beside it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation import plots
from cmt_seg_ros.evaluation.recording import MASK, TRACKS
from cmt_seg_ros.evaluation.stills import mask_stills, video_stills
from cmt_seg_ros.evaluation.summary import Measured, measure
from cmt_seg_ros.labels import CAMVID

STILLS = 6
_LEAST_VIDEO_BYTES = 1000


@dataclass(frozen=True)
class Row:
    """One line of the table of results: what, value with unit, what it was computed on."""

    name: str
    value: str
    computed_on: str


def build_report(out: Path, clip: str = "", frames_sent: int | None = None) -> dict[str, Any]:
    """Write ``report.html`` and ``summary.json`` beside a recording.

    Args:
        out: the folder that recorder_node wrote to.
        clip: what was played, in words.
        frames_sent: frames that the source sent, where known.

    Returns:
        The content of summary.json.

    Raises:
        SourceError: the recording is missing or damaged, or the folder cannot be written.
    """
    measured = measure(out, clip, frames_sent)
    page = render(measured, out / "overlay.mp4")
    try:
        (out / "summary.json").write_text(json.dumps(measured.summary, indent=2) + "\n", encoding="utf-8")
        (out / "report.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"the report cannot be written to {out}: {error}") from error
    return measured.summary


def render(measured: Measured, video: Path) -> str:
    """The page as HTML."""
    labels = measured.recording.header.labels or CAMVID
    stills = video_stills(video, STILLS) or mask_stills(measured.recording, labels, STILLS)
    loader = PackageLoader("cmt_seg_ros.evaluation", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("report.html.j2").render(
        s=measured.summary,
        rows=result_rows(measured.summary),
        tiles=_tiles(measured.summary),
        classes=_class_rows(measured.summary),
        plots={name: _data_uri(svg.encode(), "image/svg+xml") for name, svg in _plots(measured).items()},
        stills=[_data_uri(still, "image/jpeg") for still in stills],
        video=video.name if video.is_file() and video.stat().st_size > _LEAST_VIDEO_BYTES else "",
    )


def result_rows(s: dict[str, Any]) -> list[Row]:
    """The table of results."""
    frames, rows = s["frames"], []
    if frames["in"] is not None:
        rows.append(Row("Frames in", str(frames["in"]), "sent by the source"))
        share = f" ({100 * frames['dropped'] / frames['in']:.1f} %)" if frames["in"] else ""
        rows.append(Row("Frames dropped", f"{frames['dropped']}{share}", "frames in less masks recorded"))
    rows.append(Row("Frames out", str(frames["out"]), "masks recorded"))
    for topic, name in ((MASK, "masks"), (TRACKS, "tracks")):
        if topic in s["speed"]:
            rows += _speed_rows(name, s["speed"][topic])
    if s["masks"]:
        m, on = s["masks"], f"{s['masks']['frames']} frames with mask and ground truth"
        rows.append(Row("Mean IoU", _percent(m["mean_iou"]), f"{on}; mean over the classes that occur"))
        name = f"Mean boundary F at {m['boundary_tolerance_px']} px"
        rows.append(Row(name, _percent(m["mean_boundary_f"]), f"{on}; mean over the frames, then over the classes"))
        rows.append(Row("Pixel accuracy", _percent(m["pixel_accuracy"]), f"{on}; pixels with a true class"))
        rows.append(Row("Objectness IoU", _percent(m["objectness_iou"]), on))
    if s["tracks"]:
        rows += _track_rows(s["tracks"])
    return rows


def _speed_rows(name: str, speed: dict[str, float]) -> list[Row]:
    on = f"{speed['results']} {name}"
    rows = [Row(f"Rate of {name}", f"{_number(speed['fps'])} /s", f"{on}, first to last")]
    if speed["age_p50_ms"] is not None:
        ages = " / ".join(_number(speed[f"age_{key}_ms"]) for key in ("p50", "p99", "max"))
        rows.append(Row(f"Image age at {name}: p50 / p99 / max", f"{ages} ms", f"{on}; arrival less the image's stamp"))
    return rows


def _track_rows(t: dict[str, Any]) -> list[Row]:
    on = f"{t['frames']} frames, {t['true_objects']} true objects, {t['tracks']} tracks"
    values = {
        "HOTA": _percent(t["hota"]),
        "Detection accuracy (DetA)": _percent(t["det_a"]),
        "Association accuracy (AssA)": _percent(t["ass_a"]),
        "IDF1": _percent(t["idf1"]),
        "MOTA": _percent(t["mota"]),
        "Identity switches": str(t["id_switches"]),
    }
    return [Row(name, value, on) for name, value in values.items()]


def _tiles(s: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(number, unit, meaning) of the few numbers that matter most."""
    tiles = []
    speed = s["speed"].get(MASK)
    if speed and speed["fps"] is not None:
        tiles.append((_number(speed["fps"]), "/s", "masks"))
    if speed and speed["age_p50_ms"] is not None:
        tiles.append((_number(speed["age_p50_ms"]), "ms", "median age of an image at its mask"))
    if s["frames"]["dropped"] is not None:
        tiles.append((str(s["frames"]["dropped"]), f"of {s['frames']['in']}", "frames dropped"))
    if s["masks"]:
        tiles.append((f"{100 * s['masks']['mean_iou']:.1f}", "%", "mean IoU"))
        if s["masks"]["mean_boundary_f"] is not None:
            tiles.append((f"{100 * s['masks']['mean_boundary_f']:.1f}", "%", "mean boundary F"))
    if s["tracks"]:
        tiles.append((f"{100 * s['tracks']['hota']:.1f}", "%", "HOTA"))
        tiles.append((f"{100 * s['tracks']['idf1']:.1f}", "%", "IDF1"))
    return tiles


def _class_rows(s: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(class, IoU, boundary F, share of the true pixels) of each class."""
    if not s["masks"]:
        return []
    m, pixels = s["masks"], s["masks"]["true_pixels"]
    total = sum(pixels.values()) or 1
    return [
        (name, _percent(iou), _percent(m["class_boundary_f"][name]), f"{100 * pixels[name] / total:.2f} %")
        for name, iou in m["class_iou"].items()
    ]


def _plots(measured: Measured) -> dict[str, str]:
    """SVG by name; only what there is data for."""
    labels = measured.recording.header.labels or CAMVID
    named = {"masks": MASK, "tracks": TRACKS}
    series = {name: measured.latency[topic] for name, topic in named.items() if topic in measured.latency}
    found = {}
    if any(latency.age_ms is not None for latency in series.values()):
        found["age"], found["histogram"] = plots.age_over_time(series), plots.age_histogram(series)
    if measured.scores.masks is not None:
        found["classes"] = plots.class_bars(measured.scores.masks, CAMVID)
    if measured.scores.spans:
        rate = next(iter(series.values())).fps if series else float("nan")
        found["tracks"] = plots.track_strip(measured.scores.spans, labels, 1 / rate if rate > 0 else 0.1)
    return found


def _percent(value: float | None) -> str:
    return "not defined" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
