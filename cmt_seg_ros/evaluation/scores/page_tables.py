"""What only the report shows of summary.json: tiles, classes, sequences."""

from __future__ import annotations

from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.scores.tables import number, percent

_SEQUENCE_COLUMNS = {
    "frames": ("frames", "evaluated"),
    "lost": ("frames", "lost"),
    "mean IoU": ("masks", "mean_iou"),
    "boundary F": ("masks", "mean_boundary_f"),
    "objectness IoU": ("objectness", "iou"),
    "agreement": ("temporal", "agreement"),
    "HOTA": ("tracks", "hota"),
    "IDF1": ("tracks", "idf1"),
    "PQ": ("panoptic", "pq"),
}


def tiles(summary: Summary) -> list[tuple[str, str, str]]:
    """(number, unit, meaning) of the few figures that matter most, without those that are not known."""
    masks, tracks, panoptic = (summary[key] or {} for key in ("masks", "tracks", "panoptic"))
    shares = {
        "mean IoU": masks.get("mean_iou"),
        "mean boundary F": masks.get("mean_boundary_f"),
        "objectness IoU": (summary["objectness"] or {}).get("iou"),
        "HOTA": tracks.get("hota"),
        "IDF1": tracks.get("idf1"),
        "panoptic quality": panoptic.get("pq"),
        "temporal agreement": None if masks else (summary["temporal"] or {}).get("agreement"),
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
    """IoU, boundary F, PQ and share of true pixels of each class as text, ``bar`` its IoU in %; the best first."""
    masks = summary["masks"]
    if not masks:
        return []
    pixels, quality = masks["true_pixels"], (summary["panoptic"] or {}).get("class_pq", {})
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
    """Names of the columns, (sequence, values) of each one that has results, (sequence, reason) of each that failed."""
    rows = summary["sequences"]
    done = [row for row in rows if not row["error"]]
    cells = {name: [(row[part] or {}).get(key) for row in done] for name, (part, key) in _SEQUENCE_COLUMNS.items()}
    known = {name: values for name, values in cells.items() if any(value is not None for value in values)}
    values = [(row["name"], [_cell(column[i]) for column in known.values()]) for i, row in enumerate(done)]
    return list(known), values, [(row["name"], row["error"]) for row in rows if row["error"]]


def _cell(value: float | None) -> str:
    """A count or a share as text."""
    return "–" if value is None else str(value) if isinstance(value, int) else f"{100 * value:.1f} %"
