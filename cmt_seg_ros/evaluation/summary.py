"""summary.json: every number of a report, for machines; units are part of the names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmt_seg_ros.evaluation.latency import Latency, read_arrivals
from cmt_seg_ros.evaluation.recording import MASK, TRACKS, Recording
from cmt_seg_ros.evaluation.score import Scores, score
from cmt_seg_ros.evaluation.versions import machine, versions
from cmt_seg_ros.metrics.boundary import TOLERANCE_PX

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Measured:
    """A recording and all that was computed of it."""

    recording: Recording
    scores: Scores
    latency: dict[str, Latency]
    summary: dict[str, Any]


def measure(out: Path, clip: str = "", frames_sent: int | None = None) -> Measured:
    """Compute everything of what recorder_node wrote to a folder.

    Args:
        out: the folder with ``bag`` and ``arrivals.csv``.
        clip: what was played, in words.
        frames_sent: frames that the source sent; None: as many as there is ground truth, or as the
            segmentation node says to have received.

    Raises:
        SourceError: the recording is missing or damaged.
    """
    recording = Recording(out / "bag")
    scores, latency = score(recording), read_arrivals(out / "arrivals.csv")
    status = next((v for v in recording.header.diagnostics.values() if "device" in v), {})
    sent = frames_sent if frames_sent is not None else _frames_in(scores, status)
    summary = {
        "schema_version": SCHEMA_VERSION,
        "clip": clip,
        "model": recording.header.model,
        "device": status.get("device", ""),
        "image_size_px": {"height": scores.image_size[0], "width": scores.image_size[1]},
        "frames": {"in": sent, "out": scores.frames_with_mask, "dropped": _dropped(sent, scores.frames_with_mask)},
        "speed": {name: _speed(latency[name]) for name in (MASK, TRACKS) if name in latency},
        "masks": _masks(scores),
        "tracks": _tracks(scores),
        "notes": list(scores.notes),
        "diagnostics": recording.header.diagnostics,
        "versions": versions(),
        "machine": machine(),
    }
    return Measured(recording, scores, latency, _plain(summary))


def _frames_in(scores: Scores, status: dict[str, str]) -> int | None:
    if scores.frames_with_truth:
        return scores.frames_with_truth
    received = status.get("received", "")
    return int(received) if received.isdigit() else None


def _dropped(sent: int | None, out: int) -> int | None:
    return None if sent is None else max(sent - out, 0)


def _speed(latency: Latency) -> dict[str, float]:
    ages = {f"age_p{percent}_ms": latency.percentile_ms(percent) for percent in (50, 90, 99)}
    return {"results": len(latency), "fps": latency.fps, **ages, "age_max_ms": latency.percentile_ms(100)}


def _masks(scores: Scores) -> dict[str, Any] | None:
    if scores.masks is None:
        return None
    m = scores.masks
    return {
        "frames": m.frames,
        "mean_iou": m.mean_iou,
        "mean_boundary_f": m.mean_boundary_f,
        "boundary_tolerance_px": TOLERANCE_PX,
        "pixel_accuracy": m.pixel_accuracy,
        "objectness_iou": m.objectness_iou,
        "class_iou": dict(zip(m.names, m.class_iou.tolist(), strict=True)),
        "class_boundary_f": dict(zip(m.names, m.class_boundary_f.tolist(), strict=True)),
        "true_pixels": dict(zip(m.names, m.pixels.tolist(), strict=True)),
    }


def _tracks(scores: Scores) -> dict[str, Any] | None:
    return None if scores.tracks is None else dict(vars(scores.tracks))


def _plain(value: Any) -> Any:
    """JSON has no nan: unknown numbers become null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
