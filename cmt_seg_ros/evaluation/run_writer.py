"""Run writer: what a sequence writes while it runs: records, parts of the annotated bag, checkpoints."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation import checkpoint
from cmt_seg_ros.evaluation.annotated.bag import AnnotatedBag
from cmt_seg_ros.evaluation.checkpoint import RunState
from cmt_seg_ros.evaluation.folder import PARTS, RECORDS
from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.evaluation.scores.frame_scores import scored_frame
from cmt_seg_ros.labels import LabelSet

CHECKPOINT_FRAMES, CHECKPOINT_S = 250, 20.0


class RunWriter:
    """Appends to the files of a run from where its state says.

    Args:
        folder: of the sequence.
        state: kept up to date, and saved every CHECKPOINT_FRAMES frames or CHECKPOINT_S seconds.
        labels: the predicted classes.
        model: name of the model, for the bag.
        annotate: whether to write the annotated bag.

    Raises:
        SourceError: the folder cannot be written; also while writing.
    """

    def __init__(self, folder: Path, state: RunState, labels: LabelSet, model: str, annotate: bool) -> None:
        self._folder, self._state, self._labels, self._model = folder, state, labels, model
        self._annotate = annotate
        self._part: AnnotatedBag | None = None
        self._saved_frames = state.frames
        self._begun_s, self._begun_cpu_s = time.perf_counter(), cpu_s()
        self._saved_s = self._begun_s
        self._before = state.wall_s, state.cpu_s
        try:
            self._records = (folder / RECORDS).open("a", encoding="utf-8")
        except OSError as error:
            raise SourceError(f"{folder} cannot be written: {error.strerror}; give another folder") from error

    def add(self, result: FrameResult, record: Record) -> None:
        """Write what is known of the next frame."""
        try:
            self._records.write(json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n")
            if self._annotate:
                self._write_part(result, record)
        except OSError as error:
            raise SourceError(f"{self._folder} cannot be written: {error}; is the disk full?") from error
        self._state.frames += 1
        due = self._state.frames - self._saved_frames >= CHECKPOINT_FRAMES
        if due or time.perf_counter() - self._saved_s > CHECKPOINT_S:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Let a run that is killed go on from here."""
        self._close_part()
        self._records.flush()
        self._state.record_bytes = self._records.tell()
        self._state.wall_s = self._before[0] + time.perf_counter() - self._begun_s
        self._state.cpu_s = self._before[1] + cpu_s() - self._begun_cpu_s
        checkpoint.save(self._folder, self._state)
        self._saved_frames, self._saved_s = self._state.frames, time.perf_counter()

    def close(self) -> None:
        """Close the files."""
        try:
            self._records.close()
        finally:
            if self._part is not None:
                self._part.close()

    def _write_part(self, result: FrameResult, record: Record) -> None:
        if self._part is None:
            path = self._folder / PARTS / f"{self._state.parts:06d}"
            path.parent.mkdir(exist_ok=True)
            self._part = AnnotatedBag(path, self._labels, self._model)
        times = {name: record["timing"].get(name) for name in ("infer_ms", "track_ms")}
        scores = {**scored_frame(record, len(self._labels)).scores, **times}
        self._part.add(result.frame, result.segmentation, result.tracks, scores, result.lost)

    def _close_part(self) -> None:
        if self._part is not None:
            self._part.close()
            self._part = None
            self._state.parts += 1


def cpu_s() -> float:
    """Return the CPU time of this process so far, seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
