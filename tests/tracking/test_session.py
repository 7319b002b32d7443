"""TrackingSession: order of stamps, restarts and failures of one stream."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_scenes import CAR, masks, new_tracker, plain

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import FrameError, TrackingError
from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.evaluation.sequence import with_tracks
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.stamps import RESTART_AFTER
from cmt_seg_ros.structures import Frame, Segmentation, TrackState
from cmt_seg_ros.tracking.session import TrackingSession


def new_session(first_id: int = 1) -> TrackingSession:
    return TrackingSession(CAMVID, TrackerConfig(), first_id)


def car(number: int) -> Segmentation:
    return masks([(CAR, 20 + 2 * number, 50, 30, 20)], 1 + number / 10)


def test_tracks_are_those_of_the_tracker_and_the_time_is_measured() -> None:
    session, tracker = new_session(first_id=7), new_tracker()
    for k in range(6):
        found, expected = session.track(car(k)), tracker.update(car(k))
        assert [t.track_id for t in found.tracks] == [7] and found.track_ms > 0
        assert [row[1:] for row in plain(found.tracks)] == [row[1:] for row in plain(expected)]
    assert session.next_id == 8


def test_late_and_repeated_frames_are_refused_and_change_nothing() -> None:
    session = new_session()
    for k in range(4):
        session.track(car(k))
    for k in (3, 1, 3, 2, 3):
        with pytest.raises(FrameError, match="must increase") as caught:
            session.track(car(k))
        assert caught.value.reason == ("duplicate_stamp" if k == 3 else "out_of_order")
    (track,) = session.track(car(4)).tracks
    assert track.track_id == 1 and track.state == TrackState.CONFIRMED


def test_a_source_that_starts_again_resets_the_tracker_and_ids_keep_counting() -> None:
    session = new_session()
    for k in range(5, 10):
        session.track(car(k))
    for k in range(RESTART_AFTER - 1):
        with pytest.raises(FrameError):
            session.track(car(k))
    (track,) = session.track(car(RESTART_AFTER - 1)).tracks
    assert track.track_id == 2 and track.state == TrackState.TENTATIVE and track.age_s == 0


def test_a_failure_of_the_tracker_costs_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    session = new_session()
    for k in range(4):
        session.track(car(k))
    with monkeypatch.context() as broken:
        broken.setattr("cmt_seg_ros.tracking.tracker.join_fragments", lambda *_: [][0])
        with pytest.raises(FrameError, match=r"begins anew \(IndexError: .*please report that") as caught:
            session.track(car(4))
    assert caught.value.reason == "tracking"
    (track,) = session.track(car(5)).tracks
    assert track.track_id == 2 and track.state == TrackState.TENTATIVE


def test_malformed_masks_are_refused_and_tracks_go_on() -> None:
    session = new_session()
    for k in range(4):
        session.track(car(k))
    with pytest.raises(TrackingError, match="no objectness"):
        session.track(Segmentation("front", 1_400_000_000, car(4).class_ids, None))
    (track,) = session.track(car(5)).tracks
    assert track.track_id == 1 and track.state == TrackState.CONFIRMED


def test_a_reset_forgets_tracks_and_time() -> None:
    session = new_session()
    for k in range(5, 8):
        session.track(car(k))
    session.reset()
    (track,) = session.track(car(0)).tracks
    assert track.track_id == 2 and track.age_s == 0


def test_an_evaluation_refuses_and_restarts_as_tracker_node_does() -> None:
    session, tracked = new_session(), []
    for index, number in enumerate((5, 6, 7, 0, 1, 2, 3)):
        masks = car(number)
        frame = Frame("front", masks.stamp_ns, np.zeros((*masks.class_ids.shape, 3), np.uint8))
        try:
            result = with_tracks(FrameResult(index, frame, masks), session, use_images=False)
        except FrameError:
            continue
        assert result.tracks is not None
        tracked.append((number, result.tracks[0].track_id))
    assert tracked == [(5, 1), (6, 1), (7, 1), (2, 2), (3, 2)]
