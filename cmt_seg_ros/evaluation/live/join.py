"""Join of a live run: what the nodes made of each frame of a clip, when it came, and what was dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from cmt_seg_ros.bags.run_tables import Arrivals, Sent, read_arrivals, read_sent
from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.evaluation.job import FrameResult, lost_result
from cmt_seg_ros.evaluation.live.recording import MASK, TRACKS, WINDOW, RecordedFrame, Recording
from cmt_seg_ros.sources.clip import Source, numbered
from cmt_seg_ros.stamps import StampOrder
from cmt_seg_ros.structures import Frame, Segmentation, Track, TrackEvent, TrackState

BAG, ARRIVALS, SENT, LOGS = "bag", "arrivals.csv", "sent.csv", "logs"
LIVE_TIMES = ("age_ms", "tracks_age_ms")
"""What is known of a frame's time: how old its image was when its mask and its tracks arrived."""


def joined(clip: Source, folder: Path) -> Generator[FrameResult]:
    """Yield the results of the frames that were sent, in their order, and of those between that could not be read.

    Args:
        clip: what was played, with its ground truth; its problems are told of damage to the bag.
        folder: where recorder_node and source_node wrote bag, arrivals.csv and sent.csv.

    Raises:
        SourceError: one of the tables is missing or damaged, or nothing in the bag can be read.
    """
    sent = read_sent(folder / SENT)
    refused = _refused(sent)
    due = Counter(one.stamp_ns for one, reason in zip(sent, refused, strict=True) if not reason)
    recording = Recording(folder / BAG, problems=clip.problems)
    results, arrivals = _ResultQueue(recording, due), read_arrivals(folder / ARRIVALS)
    number, camera, before_ns = 0, "camera", -1
    for place, frame in numbered(clip):
        if isinstance(frame, str):
            result = lost_result(place, camera, before_ns + 1, frame)
        elif number == len(sent):
            return
        elif (one := sent[number]).index != number:
            raise SourceError(f"{folder / SENT} has frame {one.index} where {number} was due; play the clip again")
        else:
            found = None if refused[number] else results.take(one.stamp_ns)
            result, number = _result(place, frame, one, found, refused[number] or "dropped", arrivals), number + 1
        camera, before_ns = result.frame.camera, result.frame.stamp_ns
        yield result


def _refused(sent: Iterable[Sent]) -> list[str]:
    """Return why segmentation_node refuses each frame by its stamp, by its own rule; empty: it does not."""
    order, reasons = StampOrder(), []
    for one in sent:
        try:
            order.accept(one.stamp_ns)
            reasons.append("")
        except FrameError as error:
            reasons.append(error.reason)
    return reasons


class _ResultQueue:
    """Results of frames in the order of sending; each is given once, at most ``WINDOW`` are kept.

    Args:
        recorded: in order of their stamps, and of their coming where a camera's clock was set back.
        due: how many frames of a stamp may have a result, ns; what is of no such frame is left out.
    """

    def __init__(self, recorded: Iterable[RecordedFrame], due: Counter[int]) -> None:
        self._recorded, self._due = iter(recorded), due
        self._ahead: list[RecordedFrame] = []

    def take(self, stamp_ns: int) -> RecordedFrame | None:
        """Return the result of the next frame, which has this stamp, ns; None: it has none."""
        for number, frame in enumerate(self._ahead):
            if frame.stamp_ns == stamp_ns:
                return self._ahead.pop(number)
        self._due[stamp_ns] -= 1
        # After a result with a later stamp it does not come any more; those with earlier ones are of a clock set back.
        while len(self._ahead) < WINDOW and all(frame.stamp_ns < stamp_ns for frame in self._ahead):
            found = next(self._recorded, None)
            if found is None or found.stamp_ns == stamp_ns:
                return found
            if self._due[found.stamp_ns] > 0:
                self._due[found.stamp_ns] -= 1
                self._ahead.append(found)
        return None


def played_s(folder: Path) -> float:
    """Return the seconds from the first frame that was sent to the last result; nan if nothing came."""
    sent, arrivals = read_sent(folder / SENT), read_arrivals(folder / ARRIVALS)
    received = [time for stamps in arrivals.values() for times in stamps.values() for time in times]
    return (max(received) - sent[0].sent_ns) / 1e9 if received and sent else float("nan")


def _result(
    index: int, frame: Frame, sent: Sent, found: RecordedFrame | None, lost: str, arrivals: Arrivals
) -> FrameResult:
    """Return what became of one frame; ``lost``: why it has no result, if it has none. Arrivals are used up."""
    class_ids = None if found is None else found.class_ids
    if found is None or class_ids is None:
        return FrameResult(index, frame, lost=lost)
    segmentation = Segmentation(
        frame.camera, frame.stamp_ns, class_ids, found.objectness, found.confidence, frame.frame_id, frame.name
    )
    topics = {"age": MASK, "tracks_age": TRACKS}
    timing_ms = {
        name: (times.popleft() - sent.sent_ns) / 1e6
        for name, topic in topics.items()
        if topic in found.messages and (times := arrivals.get(topic, {}).get(sent.stamp_ns))
    }
    tracks = None if found.tracks is None else [_track(message) for message in found.tracks]
    return FrameResult(index, frame, segmentation, tracks, found.instances, timing_ms=timing_ms)


def _track(message: Any) -> Track:
    """Return a track from its message; which pixels are its own is in the instance image."""
    left, top = float(message.left_px), float(message.top_px)
    return Track(
        track_id=int(message.id),
        class_id=int(message.class_id),
        box_px=(left, top, left + float(message.width_px), top + float(message.height_px)),
        velocity_px_s=(float(message.velocity_x_px_s), float(message.velocity_y_px_s)),
        score=float(message.score),
        state=TrackState(int(message.state)),
        age_s=float(message.age_s),
        unseen_s=float(message.unseen_s),
        event=TrackEvent(int(message.event)),
        covariance=message.covariance.reshape(4, 4),
    )
