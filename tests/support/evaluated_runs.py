"""Runs as `cmt-seg evaluate` leaves them: summary.json and frames.jsonl of an invented clip of any quality."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("Road", "Car", "Sky")
PERIOD_NS = 33_000_000
OBJECTS = 4


def write_run(
    folder: Path,
    *,
    error: float = 0.1,
    noise: float = 0.0,
    seed: int = 0,
    frames: int = 60,
    sequences: Sequence[str] = ("clip",),
    truth_seed: int = 7,
    stamps: Sequence[int] | None = None,
    lost: Collection[int] = (),
    without: Collection[str] = (),
    summary: dict[str, Any] | None = None,
) -> Path:
    """Write a run; returns its folder.

    Args:
        folder: made if it is not there.
        error: share of wrong pixels, missed objects and so on in a frame of mean difficulty.
        noise: how much this varies from frame to frame in this run alone.
        seed: of the noise.
        frames: of each sequence.
        sequences: names.
        truth_seed: of the ground truth and of how difficult each frame is, which is the same for all runs.
        stamps: of the frames of each sequence.
        lost: numbers of the frames without a result.
        without: keys of records that are null.
        summary: keys of summary.json that differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth, own = np.random.default_rng(truth_seed), np.random.default_rng(seed + 1000)
    lines = []
    for sequence in sequences:
        hard = truth.uniform(0.5, 1.5, frames)
        for index in range(frames):
            pixels = truth.integers(1000, 4000, len(CLASSES))
            share = float(np.clip(error * hard[index] + noise * own.normal(), 0.0, 0.9))
            stamp_ns = stamps[index] if stamps else PERIOD_NS * index
            record = {"sequence": sequence, "index": index, "name": f"{index:06d}", "stamp_ns": stamp_ns}
            found = _lost() if index in lost else _found(pixels, share, index, own)
            lines.append(json.dumps(record | found | dict.fromkeys(without)))
    (folder / "frames.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "summary.json").write_text(json.dumps(_summary(frames * len(sequences)) | (summary or {})))
    return folder


def _lost() -> dict[str, Any]:
    keys = ("size_px", "confusion", "boundary_f", "objects", "calibration", "temporal", "panoptic", "match", "ignored")
    return {"lost": "malformed", **dict.fromkeys((*keys, "tracks")), "timing": {"read_ms": 1.0}}


def _found(pixels: Any, share: float, index: int, own: np.random.Generator) -> dict[str, Any]:
    """A frame of which this share is wrong: one class taken for the next one, objects missed or invented."""
    wrong = [round(share * int(count)) for count in pixels]
    confusion = [[c, c, int(pixels[c]) - wrong[c]] for c in range(len(CLASSES))]
    confusion += [[c, (c + 1) % (len(CLASSES) + 1), wrong[c]] for c in range(len(CLASSES))]
    seen = [i for i in range(OBJECTS) if own.random() > share]
    ids = [10 * i + (index > 40 and i == 0) for i in seen]
    iou = [[float(i == j) * (1 - share) for j in seen] for i in range(OBJECTS)]
    total = int(sum(pixels))
    calibration = [[0, 0.0, 0]] * 14 + [[total, 0.97 * total, total - sum(wrong)]]
    return {
        "lost": "",
        "size_px": [90, 160],
        "confusion": confusion,
        "boundary_f": [1 - share, 1 - 1.5 * share, None],
        "objects": [[total - int(pixels[1]), wrong[0], 0], [wrong[1], int(pixels[1]) - wrong[1], 0]],
        "calibration": calibration,
        "temporal": None if index == 0 else [round(900 * (1 - share / 2)), 900],
        "panoptic": [[1, len(seen) * (1 - share), len(seen), 1, OBJECTS - len(seen)]],
        "match": {
            "kind": "masks",
            "truth": list(range(OBJECTS)),
            "tracks": [*ids, 999],
            "iou": [[*row, 0.0] for row in iou],
        },
        "ignored": 0,
        "tracks": [[i, 1, 1, 0.0, 0.0, 9.0, 9.0, 0.9] for i in ids] + [[999, 1, 0, 0.0, 0.0, 2.0, 2.0, 0.4]],
        "timing": {"read_ms": 1.0, "infer_ms": 20.0 + share, "track_ms": 2.0, "score_ms": 3.0},
    }


def _summary(frames: int) -> dict[str, Any]:
    return {
        "schema_version": 2,
        "clip": "invented",
        "mode": "offline",
        "model": "some-model",
        "classes": [{"id": i, "name": n, "color": [0, 0, 0], "is_object": i == 1} for i, n in enumerate(CLASSES)],
        "frames": {"in": frames, "evaluated": frames, "with_truth": frames},
        "tracks": {"truth": "masks"},
        "timing": {"frames_per_s": 40.0, "machine": "some machine"},
    }
