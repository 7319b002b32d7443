"""MOTChallenge scores of result files: by TrackEval, the reference, or by motrics, which is quick."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmt_seg_ros.structures import F64
from support.mot15 import MotSequence

ALL = "all"  # the name under which the scores of all sequences together are returned
QUIET = {"PRINT_CONFIG": False}
Scores = dict[str, dict[str, float]]  # of each sequence, and of ALL


def write_results(folder: Path, tracker: str, sequence: MotSequence, rows: Sequence[str]) -> None:
    """Write the rows of a tracker where both scorers look for them."""
    path = folder / tracker / "data" / f"{sequence.name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(rows))


def trackeval_scores(folder: Path, trackers: Sequence[str], sequences: Sequence[MotSequence]) -> dict[str, Scores]:
    """Scores of each tracker in percent (IDSW is a number), by TrackEval.

    Args:
        folder: as :func:`write_results` filled it.
        trackers: to score.
        sequences: all lie in one folder.
    """
    data = {
        "GT_FOLDER": str(sequences[0].folder.parent),
        "TRACKERS_FOLDER": str(folder),
        "TRACKERS_TO_EVAL": list(trackers),
        "BENCHMARK": "MOT15",
        "DO_PREPROC": False,  # MOT15 has no classes: no row is left out for its class
        "SEQ_INFO": {s.name: s.length for s in sequences},
        "SKIP_SPLIT_FOL": True,
        **QUIET,
    }
    outputs = ("PRINT_RESULTS", "TIME_PROGRESS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES")
    silent = dict.fromkeys(outputs, False)
    with contextlib.redirect_stdout(io.StringIO()):
        import trackeval  # tells which of its data sets cannot be read here

        evaluator = trackeval.Evaluator({**silent, **QUIET, "BREAK_ON_ERROR": True, "LOG_ON_ERROR": None})
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(QUIET), trackeval.metrics.Identity(QUIET)]
        results = evaluator.evaluate([trackeval.datasets.MotChallenge2DBox(data)], metrics)[0]["MotChallenge2DBox"]
    return {
        tracker: {ALL if name == "COMBINED_SEQ" else name: _figures(r["pedestrian"]) for name, r in found.items()}
        for tracker, found in results.items()
    }


def motrics_scores(folder: Path, trackers: Sequence[str], sequences: Sequence[MotSequence]) -> dict[str, Scores]:
    """The same by motrics; see :func:`trackeval_scores`."""
    found: dict[str, Scores] = {}
    for tracker in trackers:
        frames = [_frames(s, folder / tracker / "data" / f"{s.name}.txt") for s in sequences]
        together: list[list[Any]] = [[], [], [], []]
        for number, sides in enumerate(frames):
            # With other ids in each sequence, all in a row score as TrackEval combines them.
            shifts = (1_000_000 * number, 0, 1_000_000 * number, 0)
            for row, side, shift in zip(together, sides, shifts, strict=True):
                row += [values + shift for values in side]
        named = {s.name: f for s, f in zip(sequences, frames, strict=True)}
        found[tracker] = {name: _quick(f) for name, f in [*named.items(), (ALL, together)]}
    return found


def _figures(scores: dict[str, Any]) -> dict[str, float]:
    hota = {name: 100 * float(np.mean(scores["HOTA"][name])) for name in ("HOTA", "DetA", "AssA")}
    ids, clear = scores["Identity"], scores["CLEAR"]
    return {**hota, "IDF1": 100 * float(ids["IDF1"]), "MOTA": 100 * float(clear["MOTA"]), "IDSW": int(clear["IDSW"])}


def _quick(frames: Sequence[list[Any]]) -> dict[str, float]:
    import motrics

    truth, found = (motrics.Frames(*frames[side : side + 2]) for side in (0, 2))
    result = motrics.evaluate(truth, found, box_format="xywh")
    hota = {"HOTA": result.hota.hota, "DetA": result.hota.deta, "AssA": result.hota.assa}
    shares = {**hota, "IDF1": result.identity.idf1, "MOTA": result.clear.mota}
    return {**{name: 100 * value for name, value in shares.items()}, "IDSW": result.clear.num_switches}


def _frames(sequence: MotSequence, path: Path) -> list[list[Any]]:
    """Ids and boxes of the truth, ids and boxes of a results file; each a list over the frames."""
    rows = np.array([line.split(",") for line in path.read_text(encoding="utf-8").splitlines()], np.float64).reshape(
        -1, 10
    )
    sides: list[list[F64]] = [[], [], [], []]
    for frame in range(1, sequence.length + 1):
        for side, table in ((0, sequence.truth), (2, rows)):
            of_frame = table[table[:, 0] == frame]
            sides[side].append(of_frame[:, 1].astype(np.int64))
            sides[side + 1].append(np.ascontiguousarray(of_frame[:, 2:6]))
    return sides
