"""Evaluation of one sequence (read first): every frame through pipeline and tracker, a record of each, then the scores.

Two streams of results end in the same :func:`score`: the replay of this file, and what the live nodes made of the clip
(:mod:`cmt_seg_ros.evaluation.live.play`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, FrameError, SourceError, TrackingError
from cmt_seg_ros.evaluation import checkpoint
from cmt_seg_ros.evaluation.checkpoint import RunState
from cmt_seg_ros.evaluation.folder import claimed
from cmt_seg_ros.evaluation.job import FrameResult, Job, lost_result
from cmt_seg_ros.evaluation.replay import Replay
from cmt_seg_ros.evaluation.results import finish, run_info
from cmt_seg_ros.evaluation.run_writer import RunWriter
from cmt_seg_ros.evaluation.scores.frame_records import RecordBuilder
from cmt_seg_ros.evaluation.scores.summary import RunInfo, Summary
from cmt_seg_ros.images.files import check_size
from cmt_seg_ros.images.pixels import to_bgr
from cmt_seg_ros.labels import CAMVID, LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources import open_source
from cmt_seg_ros.sources.clip import Clip, numbered
from cmt_seg_ros.sources.images import frames_of
from cmt_seg_ros.sources.masks import MaskFolder
from cmt_seg_ros.sources.truth.with_truth import WithTruth
from cmt_seg_ros.stamps import StampOrder
from cmt_seg_ros.structures import Frame
from cmt_seg_ros.tracking.render import instance_image
from cmt_seg_ros.tracking.session import TrackingSession

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` after each frame; ``total`` is the most there can be."""


def with_tracks(result: FrameResult, session: TrackingSession, use_images: bool) -> FrameResult:
    """Return the result with the tracks of its time, as tracker_node has them.

    Raises:
        FrameError, TrackingError: as of :meth:`TrackingSession.track`.
    """
    if result.segmentation is None:
        return result
    found = session.track(result.segmentation, to_bgr(result.frame) if use_images else None)
    height, width = result.segmentation.class_ids.shape
    instances = instance_image(found.tracks, (height, width))
    return replace(
        result, tracks=found.tracks, instances=instances, timing_ms={**result.timing_ms, "track": found.track_ms}
    )


@dataclass(frozen=True, eq=False)
class ResultStream:
    """What a replay, or the recording of live nodes, gives to be scored.

    Attributes:
        clip: the frames.
        labels: what the predicted class ids mean.
        model: name of the model.
        results: of the frames, in order; those that were tracked with their tracks.
        again: gives the results of a few frames once more, by their numbers, for pictures; may be without tracks.
        info: says at the end what the records do not.
        times: the only times of a record to keep; None: all.
    """

    clip: Clip
    labels: LabelSet
    model: str
    results: Generator[FrameResult]
    again: Callable[[Collection[int]], Iterator[FrameResult]]
    info: Callable[[RunState], RunInfo]
    times: Sequence[str] | None = None


def evaluate(job: Job, progress: Progress = lambda done, total: None) -> Summary:
    """Evaluate a sequence, or what an earlier run left of it, and write all its files.

    Args:
        job: what to evaluate.
        progress: see :data:`Progress`.

    Returns:
        The content of summary.json.

    Raises:
        SourceError: nothing of the clip can be read, or the disk is full.
        ConfigError: the folder has other files or results, another run is writing to it, or it cannot be written.
        ModelError: the model is missing or damaged.
    """
    with claimed(job.folder, job.fingerprint()):
        if summary := checkpoint.finished(job.folder, job.fingerprint()):
            return summary
        state = checkpoint.resume(job.folder, job.fingerprint())
        return score(job, state, _replayed(job, state), progress)


def score(job: Job, state: RunState, stream: ResultStream, progress: Progress) -> Summary:
    """Make a record of each result, then all files; the job's folder is claimed and not finished.

    Raises:
        SourceError: as the results do; the disk is full.
    """
    truth_labels = stream.clip.labels or stream.labels
    if "records" not in state.memory:
        state.memory["records"] = RecordBuilder(job.name, stream.labels, truth_labels, stream.times, job.truth_classes)
    writer = RunWriter(job.folder, state, stream.labels, stream.model, job.annotate)
    with closing(stream.results) as results, closing(writer):  # else inference went on until the process ends
        for result in results:
            writer.add(result, state.memory["records"].record(result))
            progress(state.frames, len(stream.clip))
        writer.checkpoint()
    return finish(job.folder, stream.labels, truth_labels, stream.info(state), state, stream.again)


def _replayed(job: Job, state: RunState) -> ResultStream:
    """Replay the clip from where the state says."""
    problems = state.problems = state.problems or Problems()
    clip, labels, model, results = _open(job, problems, state.frames)
    device = "" if job.masks else _pipeline(job.segmentation).engine.device
    if "session" not in state.memory:
        state.memory["session"] = TrackingSession(labels, job.tracker)
    session: TrackingSession = state.memory["session"]

    def tracked() -> Generator[FrameResult]:
        try:
            for result in results:
                try:
                    result = with_tracks(result, session, job.use_images)
                except (FrameError, TrackingError) as error:
                    problems.add("tracking", f"frame {result.index}: {error}")
                yield result
        finally:
            if isinstance(results, Generator):
                results.close()

    return ResultStream(
        clip,
        labels,
        model,
        results=tracked(),
        again=lambda wanted: _again(job, clip, wanted),
        info=lambda state: run_info(job, state, clip, model, device),
    )


def open_clip(job: Job, labels: LabelSet, problems: Problems) -> Clip:
    """Open the clip with its ground truth, whose class ids mean ``labels`` unless they are known to mean others."""
    return open_source(
        job.source,
        truth_labels=job.truth_labels,
        problems=problems,
        max_image_px=job.segmentation.max_image_px,
        truth_classes=job.truth_classes,
        default_labels=labels,
    )


def _open(job: Job, problems: Problems, start: int) -> tuple[Clip, LabelSet, str, Iterator[FrameResult]]:
    """Open the clip; return it, what its masks mean, who made them, and results without tracks from ``start`` on.

    Raises:
        ConfigError: binary masks beside true class ids of which nothing says what they mean.
    """

    def refused(index: int, error: FrameError) -> None:
        problems.add(error.reason, f"frame {index} of {clip.name} is lost: {error}")

    if job.masks:
        told = MaskFolder(Path(job.masks), 1.0, labels=job.mask_labels)
        clip = open_clip(job, CAMVID if told.binary else told.labels, problems)
        untold = job.truth_labels is None and isinstance(clip.source, WithTruth) and clip.labels is CAMVID
        if untold and told.binary and told.is_told:  # the predicted classes do not say it
            raise ConfigError("nothing says what the true class ids mean: give --legend camvid, a model, or a folder "
                              "with classes.yaml")  # fmt: skip
        masks = _given_masks(job, clip)
        like = "" if told.is_told or clip.labels is None else ", the true ones"
        results = islice(_given(clip, masks, refused), start, None)
        return clip, masks.labels, f"given masks ({masks.told}{like})", results
    pipeline = _pipeline(job.segmentation)
    clip = open_clip(job, pipeline.labels, problems)

    return clip, pipeline.labels, pipeline.package.name, iter(Replay(numbered(clip), pipeline, start, refused))


def _given_masks(job: Job, clip: Clip) -> MaskFolder:
    """Open the masks of the frames; if nothing says what their values mean, these are ids of the true classes."""
    masks = MaskFolder(Path(job.masks), 1.0, labels=job.mask_labels)
    if not masks.is_told and clip.labels is not None:
        masks = MaskFolder(Path(job.masks), 1.0, labels=clip.labels)
    masks.pair_with(frames_of(job.source, len(clip)), part=job.source.frames > 0)
    return masks


def _again(job: Job, clip: Clip, wanted: Collection[int]) -> Iterator[FrameResult]:
    """Yield the results of a few frames once more, for pictures; without tracks."""
    last = max(wanted, default=-1)
    if job.masks:
        results = _given(clip, _given_masks(job, clip), lambda index, error: None)
        yield from (r for r in islice(results, last + 1) if r.index in wanted)
        return
    for index, frame in islice(numbered(clip), last + 1):
        if index in wanted and isinstance(frame, Frame):
            (segmentation,) = _pipeline(job.segmentation).process([frame])
            yield FrameResult(index, frame, segmentation)


@lru_cache(1)  # sequences of one run share it: it takes a second to load
def _pipeline(config: SegmentationConfig) -> Pipeline:
    return Pipeline(config)


def _given(clip: Clip, masks: MaskFolder, refused: Callable[[int, FrameError], None]) -> Iterator[FrameResult]:
    """Yield results with masks that were made elsewhere, one for each frame, in the order of the frames.

    Args:
        clip: the frames.
        masks: one for each.
        refused: called as ``refused(index, error)`` for each frame that is lost by its stamp, as in a replay.

    Raises:
        SourceError: there are fewer frames than the clip promised, or a mask has another size.
    """
    order = StampOrder()
    for place, mask in zip_longest(numbered(clip), islice(masks, len(clip))):
        if place is None or mask is None:
            raise SourceError(
                f"there are {len(masks)} masks and {clip.name} has {len(clip)} frames; each needs its own"
            )
        index, frame = place
        if not isinstance(frame, Frame):
            yield lost_result(index, "camera", mask.segmentation.stamp_ns, frame)
            continue
        try:
            order.accept(frame.stamp_ns)
        except FrameError as error:
            refused(index, error)
            yield FrameResult(index, frame, lost=error.reason)
            continue
        segmentation = replace(mask.segmentation, stamp_ns=frame.stamp_ns, name=frame.name)
        check_size(f"mask {mask.segmentation.name}", segmentation.class_ids, frame.size)
        yield FrameResult(index, frame, segmentation)
