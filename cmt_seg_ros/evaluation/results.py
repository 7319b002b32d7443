"""The files that a sequence leaves when it is over: figures, tables, the annotated bag, the report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.annotated.bag import merge
from cmt_seg_ros.evaluation.checkpoint import RunState, read_records
from cmt_seg_ros.evaluation.folder import ANNOTATED, PARTS, STATE, SUMMARY, TABLE, TRACKS
from cmt_seg_ros.evaluation.job import FrameResult, Job
from cmt_seg_ros.evaluation.report.examples import draw_examples, save_examples
from cmt_seg_ros.evaluation.scores.frame_records import known_ids, track_of
from cmt_seg_ros.evaluation.scores.frame_scores import write_csv
from cmt_seg_ros.evaluation.scores.summary import RunInfo, Summary, Unmatched, all_matched, summarise
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import Clip
from cmt_seg_ros.sources.motchallenge import row_of
from cmt_seg_ros.sources.truth.with_truth import WithTruth
from cmt_seg_ros.structures import TrackState


def finish(
    folder: Path,
    labels: LabelSet,
    truth_labels: LabelSet,
    facts: RunInfo,
    state: RunState,
    again: Callable[[Collection[int]], Iterable[FrameResult]],
) -> Summary:
    """Write everything that is made of the records, summary.json last: with it the sequence is over.

    Args:
        folder: of the sequence.
        labels: the predicted classes.
        truth_labels: the true ones.
        facts: what the records do not say.
        state: of the run, at its end.
        again: gives the results of frames once more, by their numbers, for the report's pictures.

    Raises:
        SourceError: the folder cannot be written.
    """
    from cmt_seg_ros.evaluation.report.report import write_report  # needs an extra

    summary = summarise(read_records(folder), labels, facts)
    try:
        write_csv(folder / TABLE, read_records(folder), labels)
        write_tracks(folder)
        if state.parts:
            shutil.rmtree(folder / ANNOTATED, ignore_errors=True)
            merge(sorted((folder / PARTS).iterdir()), folder / ANNOTATED)
        write_examples(folder, summary, labels, truth_labels, again)
        write_report(folder, summary)
        write_summary(folder, summary)
        (folder / STATE).unlink(missing_ok=True)
        shutil.rmtree(folder / PARTS, ignore_errors=True)
    except OSError as error:
        raise SourceError(f"{folder} cannot be written: {error}; is the disk full?") from error
    return summary


def write_examples(
    folder: Path,
    summary: Summary,
    labels: LabelSet,
    truth_labels: LabelSet,
    again: Callable[[Collection[int]], Iterable[FrameResult]],
) -> None:
    """Draw the best, the median and the worst frame; without ground truth some frames from all over the clip."""
    wanted = {name: one["index"] for name, one in (summary["examples"] or {}).items()}
    tracks: dict[int, list[Any]] = {}
    good = [r["index"] for r in read_records(folder) if not r["lost"]]
    if not wanted and good:
        places = [good[round(share * (len(good) - 1))] for share in (0.1, 0.5, 0.9)]
        wanted = {f"frame {index}": index for index in places}
    for record in read_records(folder):
        if record["index"] in wanted.values():
            tracks[record["index"]] = [track_of(row) for row in record["tracks"] or ()]
    results = (replace(r, tracks=tracks[r.index]) for r in again(set(wanted.values())))
    save_examples(folder, draw_examples(results, labels, known_ids(truth_labels, labels), wanted))


def write_summary(folder: Path, summary: Summary) -> None:
    """Write summary.json, whole or not at all."""
    fresh = folder / f"{SUMMARY}.new"
    fresh.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, folder / SUMMARY)


def write_tracks(folder: Path) -> None:
    """Write tracks.txt, MOTChallenge rows: each track that was confirmed, wherever it is seen."""
    rows = ((r["index"], row) for r in read_records(folder) for row in r["tracks"] or ())
    confirmed = {row[0] for _, row in rows if row[2] == TrackState.CONFIRMED}
    seen = (TrackState.TENTATIVE, TrackState.CONFIRMED)
    with (folder / TRACKS).open("w", encoding="utf-8", newline="\n") as file:
        for record in read_records(folder):
            for track_id, _, state, *box, score in record["tracks"] or ():
                if track_id in confirmed and state in seen:
                    file.write(row_of(record["index"] + 1, track_id, box, score))


def run_info(job: Job, state: RunState, clip: Clip, model: str, device: str) -> RunInfo:
    """What the records do not say of an offline run."""
    problems: Problems = state.problems
    return RunInfo(
        clip=clip.name,
        mode="offline",
        model=model,
        settings=job.settings(),
        fingerprint=state.fingerprint,
        problems={"counts": dict(problems.counts), "lines": list(problems.lines)},
        truth=_unmatched(clip),
        device=device,
        wall_s=state.wall_s,
        cpu_s=state.cpu_s,
    )


def _unmatched(clip: Clip) -> Unmatched:
    """Names of frames without truth and of truth without a frame, of a clip that was read to its end."""
    truth = clip.source
    if not isinstance(truth, WithTruth):
        return all_matched()
    if truth.truth_without_frame_count and not truth.frames_with_truth:
        clip.problems.add("no_truth_matched", f"none of {truth.truth_without_frame_count} ground truths has a frame; "
                          "are names or stamps those of the frames? See --tolerance-ms")  # fmt: skip
    return {
        "without_truth": truth.frames_without_truth,
        "first_without_truth": truth.first_without_truth,
        "truth_without_frame": truth.truth_without_frame_count,
        "first_truth_without_frame": truth.truth_without_frame,
    }
