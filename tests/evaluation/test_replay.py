"""Every frame goes through the live pipeline, in order; what is lost is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.clips import scene

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.evaluation.replay import Replay
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import Frame


@pytest.fixture(scope="module")
def pipeline(tiny: str) -> Pipeline:
    return Pipeline(SegmentationConfig(model=tiny, device="CPU", drop_policy="none", num_requests=2))


def replay(pipeline: Pipeline, frames: Sequence[Frame], start: int = 0) -> tuple[list[FrameResult], dict[int, str]]:
    refused: dict[int, str] = {}

    def note(index: int, error: FrameError) -> None:
        refused[index] = error.reason

    return list(Replay(enumerate(frames), pipeline, start, note)), refused


def test_masks_are_those_of_the_pipeline_in_the_order_of_the_frames(pipeline: Pipeline) -> None:
    frames = scene(12)
    results, refused = replay(pipeline, frames)
    assert [r.index for r in results] == list(range(12)) and refused == {}
    assert [r.frame.stamp_ns for r in results] == [f.stamp_ns for f in frames]
    for result, expected in zip(results, pipeline.process(frames), strict=True):
        assert result.segmentation is not None
        for name in ("class_ids", "objectness", "confidence"):
            np.testing.assert_array_equal(getattr(result.segmentation, name), getattr(expected, name))
    assert all({"read", "infer"} == set(r.timing_ms) and min(r.timing_ms.values()) >= 0 for r in results)


@pytest.mark.parametrize("start", [0, 5, 12])
def test_stamps_that_repeat_or_go_back_are_refused_and_the_rest_is_not(pipeline: Pipeline, start: int) -> None:
    frames = scene(12)
    frames[4] = replace(frames[4], stamp_ns=frames[3].stamp_ns)
    frames[7] = replace(frames[7], stamp_ns=frames[2].stamp_ns)
    results, refused = replay(pipeline, frames, start)
    lost = {r.index: r.lost for r in results if r.lost}
    assert [r.index for r in results] == list(range(start, 12))
    assert lost == refused == {i: why for i, why in ((4, "duplicate_stamp"), (7, "out_of_order")) if i >= start}
    assert all((r.segmentation is None) == bool(r.lost) for r in results)


def test_a_clock_that_is_set_back_is_followed_as_live(pipeline: Pipeline) -> None:
    frames = [replace(f, stamp_ns=10**9 + f.stamp_ns) for f in scene(6)] + scene(6)
    results, refused = replay(pipeline, frames)
    assert refused == {6: "out_of_order", 7: "out_of_order"} and len(results) == 12
    # A run that goes on behind that place knows it, too.
    assert [r.lost for r in replay(pipeline, frames, start=8)[0]] == [""] * 4


def test_a_bad_frame_is_lost_alone(pipeline: Pipeline) -> None:
    frames = scene(5)
    frames[2] = replace(frames[2], encoding="rgba16")
    results, refused = replay(pipeline, frames)
    assert refused == {2: "bad_encoding"} and [r.lost for r in results] == ["", "", "bad_encoding", "", ""]


def test_an_error_of_the_source_comes_after_all_results_before_it(pipeline: Pipeline) -> None:
    def broken() -> Iterator[Frame]:
        yield from scene(4)
        raise SourceError("the disk is gone")

    seen = []
    with pytest.raises(SourceError, match="the disk is gone"):
        for result in Replay(enumerate(broken()), pipeline, 0, lambda index, error: None):
            seen.append(result.index)
    assert seen == [0, 1, 2, 3]


def test_an_empty_clip_and_one_shorter_than_before_give_nothing(pipeline: Pipeline) -> None:
    assert replay(pipeline, []) == ([], {}) and replay(pipeline, scene(3), start=8) == ([], {})


def test_who_stops_early_leaves_no_threads(pipeline: Pipeline) -> None:
    before = threading.active_count()
    results = iter(Replay(enumerate(scene(40)), pipeline, 0, lambda index, error: None))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("start", [0, 2, 4])
def test_frames_that_could_not_be_read_have_a_place_too(pipeline: Pipeline, start: int) -> None:
    a, b, c = scene(3)
    places: list[Frame | str] = ["malformed", a, "short_data", b, c, "malformed"]
    results = list(Replay(enumerate(places), pipeline, start, lambda index, error: None))
    assert [r.index for r in results] == list(range(start, 6))
    lost = {k: v for k, v in enumerate(places) if isinstance(v, str) and k >= start}
    assert {r.index: r.lost for r in results if r.lost} == lost


def test_a_clip_without_any_frame_ends(pipeline: Pipeline) -> None:
    def broken() -> Iterator[tuple[int, Frame | str]]:
        yield 0, "malformed"
        raise SourceError("nothing can be read")

    with pytest.raises(SourceError, match="nothing can be read"):
        list(Replay(broken(), pipeline, 0, lambda index, error: None))
