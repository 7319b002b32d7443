"""MOTChallenge text files: a detector's boxes in, tracks out.

A line is a box: frame, id, left, top, width, height, score, and more that is not used. Frames count from 1, lengths are
pixels; see Leal-Taixé et al., "MOTChallenge 2015: Towards a Benchmark for Multi-Target Tracking".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.structures import Segment, Track, TrackState

MAX_FRAME = 10_000_000
"""Largest frame number that is believed: every frame up to the last is tracked, also those without boxes."""

_COLUMNS = ("frame", "id", "left", "top", "width", "height", "score")


def read_detections(path: Path, class_id: int = 0) -> dict[int, list[Segment]]:
    """Boxes of a detections file, such as MOTChallenge's ``det/det.txt``, in any order of lines.

    Args:
        path: the file.
        class_id: given to every box: the file knows no classes.

    Returns:
        The boxes of each frame that has some, by its number, 1 and up. As in the file, corners are not rounded and may
        lie outside the image.

    Raises:
        TrackingError: the file cannot be read, has no boxes, or a line is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrackingError(f"{path} cannot be read: {error}; give a text file of MOTChallenge rows") from error
    frames: dict[int, list[Segment]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            frame, segment = _parse(line, f"{path}, line {number}", class_id)
            frames.setdefault(frame, []).append(segment)
    if not frames:
        raise TrackingError(f"{path} has no boxes; expected rows of {', '.join(_COLUMNS)}")
    return frames


class Results:
    """Collects a results file: where each object was seen, also before it was sure that it is one.

    Attributes:
        frames: how many were added.
        ids: of the tracks that are in the file.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.ids: set[int] = set()
        self._rows: dict[int, list[tuple[int, str]]] = {}  # by id: number of the frame, the line

    def add(self, tracks: Iterable[Track]) -> None:
        """Take the tracks of the next frame."""
        self.frames += 1
        seen = [t for t in tracks if t.state in (TrackState.TENTATIVE, TrackState.CONFIRMED)]
        self.ids |= {t.track_id for t in seen if t.state == TrackState.CONFIRMED}
        # What was not confirmed and is not seen any more never will be.
        alive = self.ids | {t.track_id for t in seen}
        self._rows = {track_id: rows for track_id, rows in self._rows.items() if track_id in alive}
        for track in seen:
            self._rows.setdefault(track.track_id, []).append((self.frames, result_row(self.frames, track)))

    def rows(self) -> list[str]:
        """The lines of the file, with their line ends, by frame and id."""
        lines = [(frame, i, line) for i in sorted(self.ids) for frame, line in self._rows[i]]
        return [line for _, _, line in sorted(lines)]


def result_row(frame: int, track: Track) -> str:
    """A line of a results file, with its line end.

    Args:
        frame: number of the frame, 1 and up.
        track: one that this frame shows.
    """
    left, top, right, bottom = track.box_px
    return row_of(frame, track.track_id, (left, top, right - left, bottom - top), track.score)


def row_of(frame: int, track_id: int, box_px: Sequence[float], score: float) -> str:
    """A line of a results file, with its line end; the box is left, top, width, height."""
    left, top, width, height = box_px
    return f"{frame},{track_id},{left:.2f},{top:.2f},{width:.2f},{height:.2f},{score:.2f},-1,-1,-1\n"


def _parse(line: str, place: str, class_id: int) -> tuple[int, Segment]:
    """Number of the frame and the box of one line; ``place`` is for the error."""
    fields = line.split(",")
    if len(fields) < len(_COLUMNS):
        raise TrackingError(
            f"{place} has {len(fields)} values ({line.strip()!r}); expected {', '.join(_COLUMNS)}, with commas between"
        )
    values = [_number(text, name, place) for text, name in zip(fields, _COLUMNS, strict=False)]
    frame, _, left, top, width, height, score = values
    if not (frame.is_integer() and 1 <= frame <= MAX_FRAME):
        raise TrackingError(f"{place}: frame is {frame:g}; it must be a whole number from 1 to {MAX_FRAME}")
    for name, value in (("width", width), ("height", height)):
        if value <= 0:
            raise TrackingError(f"{place}: {name} is {value:g}; it must be over 0 (a box is left, top, width, height)")
    if not 0 <= score <= 1:
        raise TrackingError(f"{place}: score is {score:g}; it must be from 0 to 1: bring the detector's scores to that")
    centre = left + width / 2, top + height / 2
    return int(frame), Segment(class_id, (left, top, left + width, top + height), centre, width * height, score)


def _number(text: str, name: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TrackingError(f"{place}: {name} is {text.strip()!r}; it must be a number")
    return value
