"""Results of a sequence: the files that are made of its records when it is over."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.annotated.bag import merge
from cmt_seg_ros.evaluation.checkpoint import RunState, read_records
from cmt_seg_ros.evaluation.folder import ANNOTATED, PARTS, STATE, SUMMARY, TABLE, TRACKS, remove
from cmt_seg_ros.evaluation.job import FrameResult, Job
from cmt_seg_ros.evaluation.report.examples import draw_examples, save_examples
from cmt_seg_ros.evaluation.report.history import HistoryBuilder, RunHistory
from cmt_seg_ros.evaluation.scores.frame_records import known_ids, track_of
from cmt_seg_ros.evaluation.scores.frame_scores import FrameTable, ScoredFrame, confirmed_ids
from cmt_seg_ros.evaluation.scores.summary import RunInfo, Summary, Unmatched, all_matched, summarise
from cmt_seg_ros.files import write_whole
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
    info: RunInfo,
    state: RunState,
    again: Callable[[Collection[int]], Iterable[FrameResult]],
) -> Summary:
    """Write everything that is made of the records, summary.json last: with it the sequence is over.

    Args:
        folder: of the sequence.
        labels: the predicted classes.
        truth_labels: the true ones.
        info: what the records do not say.
        state: of the run, at its end.
        again: gives the results of frames once more, by their numbers, for the report's pictures.

    Raises:
        SourceError: the folder cannot be written.
    """
    from cmt_seg_ros.evaluation.report.report import write_report  # needs an extra

    try:
        builder = HistoryBuilder()
        with closing(FrameTable(folder / TABLE, labels)) as table, closing(TrackTable(folder / TRACKS)) as tracks:
            summary = summarise(read_records(folder), labels, info, (builder, table, tracks))
        history = builder.history()
        if state.parts:
            remove(folder, ANNOTATED)
            merge(sorted((folder / PARTS).glob("[0-9]*")), folder / ANNOTATED)
        write_examples(folder, summary, history, labels, truth_labels, again)
        write_report(folder, summary, history)
        write_summary(folder, summary)
        for name in (STATE, PARTS):
            remove(folder, name)
    except OSError as error:
        raise SourceError(f"{folder} cannot be written: {error}; is the disk full?") from error
    return summary


def write_examples(
    folder: Path,
    summary: Summary,
    history: RunHistory,
    labels: LabelSet,
    truth_labels: LabelSet,
    again: Callable[[Collection[int]], Iterable[FrameResult]],
) -> None:
    """Draw the best, the median and the worst frame; without ground truth some frames from all over the clip."""
    wanted = {name: one["index"] for name, one in (summary["examples"] or {}).items()}
    good = np.delete(history.indexes, np.array(history.lost, np.int64)).tolist()
    if not wanted and good:
        places = [good[round(share * (len(good) - 1))] for share in (0.1, 0.5, 0.9)]
        wanted = {f"frame {index}": index for index in places}
    # Which frames these are is known only at the end of the pass: their tracks are read again.
    rows = np.flatnonzero(np.isin(history.indexes, [*wanted.values()])).tolist()
    tracks = {r["index"]: [track_of(row) for row in r["tracks"] or ()] for r in read_records(folder, rows)}
    results = (replace(r, tracks=tracks[r.index]) for r in again(set(wanted.values())))
    save_examples(folder, draw_examples(results, labels, known_ids(truth_labels, labels), wanted))


def write_summary(folder: Path, summary: Summary) -> None:
    """Write summary.json, whole or not at all."""
    write_whole(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")


class TrackTable:
    """Writes tracks.txt, MOTChallenge rows: each track that was confirmed, wherever it is seen.

    Whether a track is confirmed is known only after its first rows. The rows of all tracks go to a temporary file, and
    at the end those of confirmed ones from there to tracks.txt, in the same order.

    Args:
        path: of the file.

    Raises:
        OSError: the file cannot be written; also while writing.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._confirmed = path, set[int]()
        self._rows = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent)  # noqa: SIM115 - closed by close

    def add(self, frame: ScoredFrame) -> None:
        """Take the tracks of the next frame."""
        record = frame.record
        self._confirmed |= confirmed_ids(record)
        for track_id, _, state, *box, score in record["tracks"] or ():
            if state in (TrackState.TENTATIVE, TrackState.CONFIRMED):
                self._rows.write(row_of(record["index"] + 1, track_id, box, score))

    def close(self) -> None:
        """Write the file."""
        self._rows.seek(0)
        with self._rows, self._path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(row for row in self._rows if int(row.split(",", 2)[1]) in self._confirmed)


def run_info(job: Job, state: RunState, clip: Clip, model: str, device: str) -> RunInfo:
    """Return what the records do not say of an offline run, whose clip was read to its end."""
    problems = state.problems or Problems()
    truth = _unmatched(clip)  # may add a problem
    return RunInfo(
        clip=clip.name,
        mode="offline",
        model=model,
        settings=job.settings(),
        fingerprint=state.fingerprint,
        problems={"counts": dict(problems.counts), "lines": list(problems.lines)},
        truth=truth,
        device=device,
        wall_s=state.wall_s,
        cpu_s=state.cpu_s,
    )


def _unmatched(clip: Clip) -> Unmatched:
    """Return names of frames without truth and of truth without a frame, of a clip that was read to its end."""
    truth = clip.source
    if not isinstance(truth, WithTruth):
        return all_matched()
    truth.tell_unmatched()
    return {
        "without_truth": truth.frames_without_truth,
        "first_without_truth": truth.first_without_truth,
        "truth_without_frame": truth.truth_without_frame_count,
        "first_truth_without_frame": truth.truth_without_frame,
    }
