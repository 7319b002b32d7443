"""A live run read back: what the nodes made of each frame of a clip, when it came, and what was dropped."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.recording import MASK, TRACKS, RecordedFrame, Recording
from cmt_seg_ros.evaluation.result import Result
from cmt_seg_ros.structures import Frame, Segmentation, Track, TrackEvent, TrackState

BAG, ARRIVALS, SENT, LOGS = "bag", "arrivals.csv", "sent.csv", "logs"
LIVE_TIMES = ("age_ms", "tracks_age_ms")
"""What is known of a frame's time: how old its image was when its mask and its tracks arrived."""
_SENT_COLUMNS = ("index", "clip_stamp_ns", "stamp_ns", "sent_ns")
_ARRIVAL_COLUMNS = ("topic", "stamp_ns", "received_ns")


@dataclass(frozen=True)
class Sent:
    """A frame that the source sent: its number in the clip, its stamp on the topic, and when; ns."""

    index: int
    stamp_ns: int
    sent_ns: int


def joined(clip: Iterable[Frame], folder: Path) -> Iterator[Result]:
    """The results of the frames that were sent, in their order.

    Args:
        clip: the frames that were played, with their ground truth.
        folder: where recorder_node and source_node wrote bag, arrivals.csv and sent.csv.

    Raises:
        SourceError: one of the files is missing or damaged.
    """
    sent = read_sent(folder / SENT)
    arrivals = read_arrivals(folder / ARRIVALS)
    recorded = iter(Recording(folder / BAG))
    found = next(recorded, None)
    for (index, frame), one in zip(enumerate(clip), sent, strict=False):
        if one.index != index:
            raise SourceError(f"{folder / SENT} has frame {one.index} where {index} was due; play the clip again")
        while found is not None and found.stamp_ns < one.stamp_ns:
            found = next(recorded, None)
        yield _result(index, frame, one, found if found and found.stamp_ns == one.stamp_ns else None, arrivals)


def played_s(folder: Path) -> float:
    """Seconds from the first frame that was sent to the last result; nan if nothing came."""
    sent, arrivals = read_sent(folder / SENT), read_arrivals(folder / ARRIVALS)
    received = [time for times in arrivals.values() for time in times.values()]
    return (max(received) - sent[0].sent_ns) / 1e9 if received and sent else float("nan")


def read_sent(path: Path) -> list[Sent]:
    """Read source_node's ``sent_file``.

    Raises:
        SourceError: no such file, or not such a table.
    """
    rows = _rows(path, _SENT_COLUMNS, "the sent.csv that source_node writes")
    return [Sent(int(index), int(stamp), int(sent)) for index, _, stamp, sent in rows]


def read_arrivals(path: Path) -> dict[str, dict[int, int]]:
    """Read recorder_node's ``arrivals.csv``.

    Returns:
        By topic without its namespace, such as ``segmentation/mask``: when the message of a stamp came; ns both.

    Raises:
        SourceError: no such file, or not such a table.
    """
    found: dict[str, dict[int, int]] = {}
    for topic, stamp, received in _rows(path, _ARRIVAL_COLUMNS, "the arrivals.csv that recorder_node writes"):
        found.setdefault("/".join(topic.split("/")[-2:]), {})[int(stamp)] = int(received)
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
    index: int, frame: Frame, sent: Sent, found: RecordedFrame | None, arrivals: dict[str, dict[int, int]]
) -> Result:
    """What became of one frame."""
    class_ids = None if found is None else found.class_ids
    if found is None or class_ids is None:
        return Result(index, frame, lost="dropped")
    segmentation = Segmentation(
        frame.camera, frame.stamp_ns, class_ids, found.objectness, found.confidence, frame.frame_id, frame.name
    )
    topics = {"age": MASK, "tracks_age": TRACKS}
    timing_ms = {
        name: (arrivals[topic][sent.stamp_ns] - sent.sent_ns) / 1e6
        for name, topic in topics.items()
        if sent.stamp_ns in arrivals.get(topic, {})
    }
    tracks = None if found.tracks is None else [_track(message) for message in found.tracks]
    return Result(index, frame, segmentation, tracks, found.instances, timing_ms=timing_ms)


def _track(message: Any) -> Track:
    """A track from its message; which pixels are its own is in the instance image."""
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
