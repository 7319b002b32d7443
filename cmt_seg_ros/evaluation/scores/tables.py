"""The figures of summary.json as rows for people: each with its unit and what it was computed on."""

from __future__ import annotations

from dataclasses import dataclass

from cmt_seg_ros.evaluation.scores.summary import Summary

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
class Row:
    """One line of the table of results: what, value with unit, what it was computed on."""

    name: str
    value: str
    computed_on: str


def result_rows(summary: Summary) -> list[Row]:
    """The figures and how long each stage took, without what is not known.

    Args:
        summary: as :func:`~cmt_seg_ros.evaluation.scores.summary.summarise` gives it.
    """
    return [*figure_rows(summary), *_stage_result_rows(summary)]


def figure_rows(summary: Summary) -> list[Row]:
    """The figures, without what is not known."""
    parts = (_frame_rows, _mask_rows, _object_rows, _confidence_rows, _track_rows, _panoptic_rows, _speed_rows)
    return [row for part in parts for row in part(summary)]


def stage_rows(summary: Summary) -> list[tuple[str, str, dict[str, str]]]:
    """(stage, what it is, its percentiles, maximum and mean in ms as text) of each stage that was measured."""
    stages = summary["timing"]["stages_ms"]
    known = {name: meaning for name, meaning in STAGES.items() if name in stages}
    return [
        (name, meaning, {key: number(stages[name][key]) for key in ("p50", "p90", "p99", "max", "mean")})
        for name, meaning in known.items()
    ]


def percent(value: float | None) -> str:
    """A share of 0-1 as text."""
    return "not defined" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """A number as text, with so many digits as are of use."""
    if value is None:
        return "?"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _frame_rows(s: Summary) -> list[Row]:
    frames = s["frames"]
    lost = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in frames["lost_by_reason"].items())
    share = f" ({100 * frames['lost'] / frames['in']:.1f} %)" if frames["lost"] and frames["in"] else ""
    return [
        Row("Frames in", str(frames["in"]), "sent by the source" if s["mode"] == "live" else "all frames of the clip"),
        Row("Frames evaluated", str(frames["evaluated"]), "frames that have masks"),
        Row("Frames lost", f"{frames['lost']}{share}", lost or "frames in less frames evaluated"),
        Row("Frames with ground truth", str(frames["with_truth"]), "frames evaluated that could be compared"),
    ]


def _mask_rows(s: Summary) -> list[Row]:
    m = s["masks"]
    if not m:
        return []
    on, worst = f"{m['frames']} frames with masks and true classes", m["worst_class"]
    rows = [
        Row("Mean IoU", percent(m["mean_iou"]), f"{on}; mean over the classes that occur"),
        Row("Pixel accuracy", percent(m["pixel_accuracy"]), f"{on}; pixels with a true class"),
    ]
    if worst:
        rows.append(Row(f"Worst class: {worst['name']}", percent(worst["iou"]), f"{on}; IoU"))
    name = f"Mean boundary F at {m['boundary_tolerance_px']} px"
    return [*rows, Row(name, percent(m["mean_boundary_f"]), f"{on}; mean over the frames, then over the classes")]


def _object_rows(s: Summary) -> list[Row]:
    o = s["objectness"]
    if not o:
        return []
    on = f"{o['frames']} frames with both; pixels with a true class"
    names = {"IoU": "iou", "precision": "precision", "recall": "recall"}
    return [Row(f"Objectness {name}", percent(o[key]), on) for name, key in names.items()]


def _confidence_rows(s: Summary) -> list[Row]:
    rows, calibration, temporal = [], s["calibration"], s["temporal"]
    if calibration:
        on = f"{calibration['frames']} frames; labelled pixels, {len(calibration['bins'])} bins; 0 is best"
        rows.append(Row("Expected calibration error", percent(calibration["ece"]), on))
    if temporal:
        on = f"{temporal['frames']} pairs of frames; pixels that could be followed from one to the next"
        rows.append(Row("Temporal agreement", percent(temporal["agreement"]), on))
    return rows


def _track_rows(s: Summary) -> list[Row]:
    t = s["tracks"]
    if not t:
        return []
    on = f"{t['frames']} frames, {t['true_objects']} true objects, {t['tracks']} tracks; by their {t['truth']}"
    shares = {
        "HOTA": "hota",
        "Detection accuracy (DetA)": "det_a",
        "Association accuracy (AssA)": "ass_a",
        "IDF1": "idf1",
        "MOTA": "mota",
    }
    return [
        *(Row(name, percent(t[key]), on) for name, key in shares.items()),
        Row("Identity switches", str(t["id_switches"]), on),
    ]


def _panoptic_rows(s: Summary) -> list[Row]:
    p = s["panoptic"]
    if not p:
        return []
    on = f"{p['frames']} frames; mean over the classes that occur"
    names = {"Panoptic quality (PQ)": "pq", "Segmentation quality (SQ)": "sq", "Recognition quality (RQ)": "rq"}
    return [Row(name, percent(p[key]), on) for name, key in names.items()]


def _speed_rows(s: Summary) -> list[Row]:
    t, rows, frames = s["timing"], [], f"{s['frames']['evaluated']} frames"
    live = s["mode"] == "live"
    whole = "from the first image sent to the last result" if live else "all but summary and report at the end"
    whole += "; the sequences' times added up, though some may have run at once" if s["sequences"] else ""
    if t["frames_per_s"] is not None:
        rows.append(Row("Speed", f"{number(t['frames_per_s'])} frames/s", f"{frames}; {whole}"))
    if t["wall_s"] is not None:
        rows.append(Row("Time", f"{number(t['wall_s'])} s", f"{frames}; {whole}"))
    if t["cpu_ms_per_frame"] is not None:
        rows.append(Row("CPU time per frame", f"{number(t['cpu_ms_per_frame'])} ms", f"{frames}; all threads together"))
    if t["memory_peak_mb"] is not None:
        rows.append(Row("Memory, peak", f"{number(t['memory_peak_mb'])} MB", f"{frames}; looked at after each one"))
    for name, used in t["nodes"].items():
        if used:
            values = f"{number(used['cpu_s'])} s / {number(used.get('memory_peak_mb'))} MB"
            rows.append(Row(f"CPU time / memory, peak: {name}", values, "the whole process from its start"))
    return rows


def _stage_result_rows(s: Summary) -> list[Row]:
    rows, frames = [], f"{s['frames']['evaluated']} frames"
    for name, meaning, spread in stage_rows(s):
        values = " / ".join(spread[key] for key in ("p50", "p90", "p99", "max"))
        title = _AGES.get(name, f"Time to {name}")
        rows.append(Row(f"{title}: p50 / p90 / p99 / max", f"{values} ms", f"{frames}; {meaning}"))
    return rows
