"""Tables of results: the scores of summary.json as text, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cmt_seg_ros.evaluation.scores.summary import SequenceRow, Summary

STAGES = {
    "read": "reading and decoding a frame",
    "infer": "from a decoded frame to its masks",
    "track": "from masks to tracks",
    "score": "comparing with the ground truth",
    "age": "age of an image when its mask came",
    "tracks_age": "age of an image when its tracks came",
}
_AGES = {"age": "Age of the image at its mask", "tracks_age": "Age of the image at its tracks"}


@dataclass(frozen=True)
class ResultRow:
    """One line of the table of results: what, value with unit, what it was computed on."""

    name: str
    value: str
    computed_on: str


def result_rows(summary: Summary) -> list[ResultRow]:
    """Return the scores and how long each stage took, without what is not known.

    Args:
        summary: as :func:`~cmt_seg_ros.evaluation.scores.summary.summarise` gives it.
    """
    return [*score_rows(summary), *_stage_result_rows(summary)]


def score_rows(summary: Summary) -> list[ResultRow]:
    """Return the scores, without what is not known."""
    parts = (_frame_rows, _mask_rows, _object_rows, _confidence_rows, _track_rows, _panoptic_rows, _speed_rows)
    return [row for part in parts for row in part(summary)]


def stage_rows(summary: Summary) -> list[tuple[str, str, dict[str, str]]]:
    """Return (stage, what it is, percentiles, maximum and mean in ms as text) of each stage that was measured."""
    stages = summary["timing"]["stages_ms"]
    known = {name: meaning for name, meaning in STAGES.items() if name in stages}
    return [
        (name, meaning, {key: number(stages[name][key]) for key in ("p50", "p90", "p99", "max", "mean")})
        for name, meaning in known.items()
    ]


def percent(value: float | None) -> str:
    """Return a share of 0-1 as text."""
    return "not defined" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Return a number as text, with as many digits as are of use."""
    if value is None:
        return "?"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _frame_rows(s: Summary) -> list[ResultRow]:
    frames = s["frames"]
    lost = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in frames["lost_by_reason"].items())
    share = f" ({100 * frames['lost'] / frames['in']:.1f} %)" if frames["lost"] and frames["in"] else ""
    return [
        ResultRow(
            "Frames in", str(frames["in"]), "sent by the source" if s["mode"] == "live" else "all frames of the clip"
        ),
        ResultRow("Frames evaluated", str(frames["evaluated"]), "frames that have masks"),
        ResultRow("Frames lost", f"{frames['lost']}{share}", lost or "frames in less frames evaluated"),
        ResultRow("Frames with ground truth", str(frames["with_truth"]), "frames evaluated that could be compared"),
    ]


def _mask_rows(s: Summary) -> list[ResultRow]:
    m = s["masks"]
    if not m:
        return []
    on, worst = f"{m['frames']} frames with masks and true classes", m["worst_class"]
    rows = [
        ResultRow("Mean IoU", percent(m["mean_iou"]), f"{on}; mean over the classes that occur"),
        ResultRow("Pixel accuracy", percent(m["pixel_accuracy"]), f"{on}; pixels with a true class"),
    ]
    if worst:
        rows.append(ResultRow(f"Worst class: {worst['name']}", percent(worst["iou"]), f"{on}; IoU"))
    name = f"Mean boundary F at {m['boundary_tolerance_px']} px"
    return [*rows, ResultRow(name, percent(m["mean_boundary_f"]), f"{on}; mean over the frames, then over the classes")]


def _object_rows(s: Summary) -> list[ResultRow]:
    o = s["objectness"]
    if not o:
        return []
    on = f"{o['frames']} frames with both; pixels with a true class"
    shares = {"IoU": o["iou"], "precision": o["precision"], "recall": o["recall"]}
    return [ResultRow(f"Objectness {name}", percent(share), on) for name, share in shares.items()]


def _confidence_rows(s: Summary) -> list[ResultRow]:
    rows, calibration, temporal = [], s["calibration"], s["temporal"]
    if calibration:
        on = f"{calibration['frames']} frames; labelled pixels, {len(calibration['bins'])} bins; 0 is best"
        rows.append(ResultRow("Expected calibration error", percent(calibration["ece"]), on))
    if temporal:
        on = f"{temporal['frames']} pairs of frames; pixels that could be followed from one to the next"
        rows.append(ResultRow("Temporal agreement", percent(temporal["agreement"]), on))
    return rows


def _track_rows(s: Summary) -> list[ResultRow]:
    t = s["tracks"]
    if not t:
        return []
    on = f"{t['frames']} frames, {t['true_objects']} true objects, {t['tracks']} tracks; by their {t['truth']}"
    shares = {
        "HOTA": t["hota"],
        "Detection accuracy (DetA)": t["det_a"],
        "Association accuracy (AssA)": t["ass_a"],
        "IDF1": t["idf1"],
        "MOTA": t["mota"],
    }
    return [
        *(ResultRow(name, percent(share), on) for name, share in shares.items()),
        ResultRow("Identity switches", str(t["id_switches"]), on),
    ]


def _panoptic_rows(s: Summary) -> list[ResultRow]:
    p = s["panoptic"]
    if not p:
        return []
    on = f"{p['frames']} frames; mean over the classes that occur"
    shares = {
        "Panoptic quality (PQ)": p["pq"],
        "Segmentation quality (SQ)": p["sq"],
        "Recognition quality (RQ)": p["rq"],
    }
    return [ResultRow(name, percent(share), on) for name, share in shares.items()]


def _speed_rows(s: Summary) -> list[ResultRow]:
    t, rows, frames = s["timing"], [], f"{s['frames']['evaluated']} frames"
    live = s["mode"] == "live"
    whole = "from the first image sent to the last result" if live else "all but summary and report at the end"
    whole += "; the sequences' times added up, though some may have run at once" if s["sequences"] else ""
    if t["frames_per_s"] is not None:
        rows.append(ResultRow("Speed", f"{number(t['frames_per_s'])} frames/s", f"{frames}; {whole}"))
    if t["wall_s"] is not None:
        rows.append(ResultRow("Time", f"{number(t['wall_s'])} s", f"{frames}; {whole}"))
    if t["cpu_ms_per_frame"] is not None:
        rows.append(
            ResultRow("CPU time per frame", f"{number(t['cpu_ms_per_frame'])} ms", f"{frames}; all threads together")
        )
    if t["memory_peak_mb"] is not None:
        rows.append(
            ResultRow("Memory, peak", f"{number(t['memory_peak_mb'])} MB", f"{frames}; looked at after each one")
        )
    for name, used in t["nodes"].items():
        if used:
            values = f"{number(used['cpu_s'])} s / {number(used.get('memory_peak_mb'))} MB"
            rows.append(ResultRow(f"CPU time / memory, peak: {name}", values, "the whole process from its start"))
    return rows


def _stage_result_rows(s: Summary) -> list[ResultRow]:
    rows, frames = [], f"{s['frames']['evaluated']} frames"
    for name, meaning, spread in stage_rows(s):
        values = " / ".join(spread[key] for key in ("p50", "p90", "p99", "max"))
        title = _AGES.get(name, f"Time to {name}")
        rows.append(ResultRow(f"{title}: p50 / p90 / p99 / max", f"{values} ms", f"{frames}; {meaning}"))
    return rows


_SEQUENCE_COLUMNS: dict[str, Callable[[SequenceRow], float | None]] = {
    "frames": lambda row: row["frames"] and row["frames"]["evaluated"],
    "lost": lambda row: row["frames"] and row["frames"]["lost"],
    "mean IoU": lambda row: row["masks"] and row["masks"]["mean_iou"],
    "boundary F": lambda row: row["masks"] and row["masks"]["mean_boundary_f"],
    "objectness IoU": lambda row: row["objectness"] and row["objectness"]["iou"],
    "agreement": lambda row: row["temporal"] and row["temporal"]["agreement"],
    "HOTA": lambda row: row["tracks"] and row["tracks"]["hota"],
    "IDF1": lambda row: row["tracks"] and row["tracks"]["idf1"],
    "PQ": lambda row: row["panoptic"] and row["panoptic"]["pq"],
}


def tiles(summary: Summary) -> list[tuple[str, str, str]]:
    """Return (number, unit, meaning) of the few scores that matter most, without those that are not known."""
    masks, tracks, temporal = summary["masks"], summary["tracks"], summary["temporal"]
    objectness, panoptic = summary["objectness"], summary["panoptic"]
    shares = {
        "mean IoU": masks and masks["mean_iou"],
        "mean boundary F": masks and masks["mean_boundary_f"],
        "objectness IoU": objectness and objectness["iou"],
        "HOTA": tracks and tracks["hota"],
        "IDF1": tracks and tracks["idf1"],
        "panoptic quality": panoptic and panoptic["pq"],
        "temporal agreement": None if masks else temporal and temporal["agreement"],
    }
    found = [(f"{100 * value:.1f}", "%", name) for name, value in shares.items() if value is not None]
    frames, timing = summary["frames"], summary["timing"]
    stage = "age" if "age" in timing["stages_ms"] else "infer"
    if timing["frames_per_s"] is not None:
        found.append((number(timing["frames_per_s"]), "frames/s", "whole run"))
    if stage in timing["stages_ms"]:
        meaning = {"age": "median age of an image at its mask", "infer": "median time to infer a frame"}[stage]
        found.append((number(timing["stages_ms"][stage]["p50"]), "ms", meaning))
    if frames["lost"]:
        found.append((str(frames["lost"]), f"of {frames['in']}", "frames lost"))
    return found


def class_rows(summary: Summary) -> list[dict[str, str]]:
    """Return IoU, boundary F, PQ and share of true pixels of each class as text, the best first; ``bar``: IoU, %."""
    masks = summary["masks"]
    if not masks:
        return []
    pixels, panoptic = masks["true_pixels"], summary["panoptic"]
    quality = panoptic["class_pq"] if panoptic else {}
    total = sum(pixels.values()) or 1
    colors = {c["name"]: "#{:02x}{:02x}{:02x}".format(*c["color"]) for c in summary["classes"]}
    ious = sorted(masks["class_iou"].items(), key=lambda item: -1.0 if item[1] is None else item[1], reverse=True)
    return [
        {
            "name": name,
            "color": colors[name],
            "bar": f"{100 * (iou or 0):.1f}",
            "iou": percent(iou),
            "boundary_f": percent(masks["class_boundary_f"][name]),
            "pq": percent(quality[name]) if name in quality else "",
            "share": f"{100 * pixels[name] / total:.2f} %",
        }
        for name, iou in ious
    ]


def sequence_table(summary: Summary) -> tuple[list[str], list[tuple[str, list[str]]], list[tuple[str, str]]]:
    """Return the columns, (sequence, values) of each that has results, (sequence, reason) of each that failed."""
    rows = summary["sequences"]
    done = [row for row in rows if not row["error"]]
    cells = {name: [column(row) for row in done] for name, column in _SEQUENCE_COLUMNS.items()}
    known = {name: values for name, values in cells.items() if any(value is not None for value in values)}
    values = [(row["name"], [_cell(column[i]) for column in known.values()]) for i, row in enumerate(done)]
    return list(known), values, [(row["name"], row["error"]) for row in rows if row["error"]]


def _cell(value: float | None) -> str:
    """Return a count or a share as text."""
    return "–" if value is None else str(value) if isinstance(value, int) else f"{100 * value:.1f} %"
