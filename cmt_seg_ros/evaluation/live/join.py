"""Join of a live run: what the nodes made of each frame of a clip, when it came, and what was dropped."""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmt_seg_ros.errors import FrameError, SourceError
from cmt_seg_ros.evaluation.job import FrameResult, lost_result
from cmt_seg_ros.evaluation.live.recording import MASK, TRACKS, WINDOW, RecordedFrame, Recording
from cmt_seg_ros.runtime.batching import Batcher
from cmt_seg_ros.sources.clip import Source, numbered
from cmt_seg_ros.structures import Frame, Segmentation, Track, TrackEvent, TrackState

BAG, ARRIVALS, SENT, LOGS = "bag", "arrivals.csv", "sent.csv", "logs"
LIVE_TIMES = ("age_ms", "tracks_age_ms")
"""What is known of a frame's time: how old its image was when its mask and its tracks arrived."""
_SENT_COLUMNS = ("index", "clip_stamp_ns", "stamp_ns", "sent_ns")
_ARRIVAL_COLUMNS = ("topic", "stamp_ns", "received_ns")

Arrivals = dict[str, dict[int, deque[int]]]
"""By topic without its namespace, such as ``segmentation/mask``: when the messages of a stamp came; ns both."""


@dataclass(frozen=True)
class Sent:
    """A frame that the source sent: its number among those it could read, its stamp on the topic, and when; ns."""

    index: int
    stamp_ns: int
    sent_ns: int


def joined(clip: Source, folder: Path) -> Iterator[FrameResult]:
    """Yield the results of the frames that were sent, in their order, and of those between that could not be read.

    Args:
        clip: what was played, with its ground truth.
        folder: where recorder_node and source_node wrote bag, arrivals.csv and sent.csv.

    Raises:
        SourceError: one of the files is missing or damaged.
    """
    sent = read_sent(folder / SENT)
    taken = _in_order(sent)
    due = Counter(one.stamp_ns for one, is_taken in zip(sent, taken, strict=True) if is_taken)
    results, arrivals = _ResultQueue(Recording(folder / BAG), due), read_arrivals(folder / ARRIVALS)
    number, camera, before_ns = 0, "camera", -1
    for place, frame in numbered(clip):
        if isinstance(frame, str):
            result = lost_result(place, camera, before_ns + 1, frame)
        elif number == len(sent):
            return
        elif (one := sent[number]).index != number:
            raise SourceError(f"{folder / SENT} has frame {one.index} where {number} was due; play the clip again")
        else:
            found = results.take(one.stamp_ns) if taken[number] else None
            lost = "dropped" if taken[number] else "out_of_order"
            result, number = _result(place, frame, one, found, lost, arrivals), number + 1
        camera, before_ns = result.frame.camera, result.frame.stamp_ns
        yield result


def _in_order(sent: Iterable[Sent]) -> list[bool]:
    """Return which frames segmentation_node accepts by their stamps, by its own rule."""
    batcher, nothing = Batcher(1, 0.0, True, on_drop=lambda frame, reason: None), np.zeros((0, 0, 3), np.uint8)
    taken = []
    for one in sent:
        try:
            batcher.check_order(Frame("camera", one.stamp_ns, nothing))
            taken.append(True)
        except FrameError:
            taken.append(False)
    return taken


class _ResultQueue:
    """Finds the results of frames in the order of sending; each is given once, at most ``WINDOW`` are kept.

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


def read_sent(path: Path) -> list[Sent]:
    """Read source_node's ``sent_file``.

    Raises:
        SourceError: no such file, or not such a table.
    """
    rows = _rows(path, _SENT_COLUMNS, "the sent.csv that source_node writes")
    return [Sent(int(index), int(stamp), int(sent)) for index, _, stamp, sent in rows]


def read_arrivals(path: Path) -> Arrivals:
    """Read recorder_node's ``arrivals.csv``.

    Raises:
        SourceError: no such file, or not such a table.
    """
    found: Arrivals = {}
    for topic, stamp, received in _rows(path, _ARRIVAL_COLUMNS, "the arrivals.csv that recorder_node writes"):
        times = found.setdefault("/".join(topic.split("/")[-2:]), {})
        times.setdefault(int(stamp), deque()).append(int(received))
    return found


def _rows(path: Path, columns: tuple[str, ...], expected: str) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if not rows or tuple(rows[0]) != columns:
            raise ValueError(f"its columns are {rows[:1]}")
        for row in rows[1:]:
            if len(row) != len(columns) or not all(v.lstrip("-").isdigit() for v in row[1:]):
                raise ValueError(f"it has a row {row}")
    except (OSError, ValueError) as error:
        what = f"expected {expected}, with columns {', '.join(columns)}"
        raise SourceError(f"{path} cannot be read: {error}; {what}") from error
    return rows[1:]


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
