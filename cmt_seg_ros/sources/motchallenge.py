"""MOTChallenge text files: a detector's boxes and true boxes in, tracks out.

A line is a box: frame, id, left, top, width, height. What comes next is the score of a detection; in ground truth it is
whether the box counts (0: it does not). All that follows is not used. Frames count from 1, lengths are pixels; see
Leal-Taixé et al., "MOTChallenge 2015: Towards a Benchmark for Multi-Target Tracking".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.files import refuse_lfs_pointer
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.structures import Box, Segment, Track, TrackState

MAX_FRAME = 10_000_000
"""Largest frame number that is believed of detections: every frame up to the last is tracked, also without boxes."""

_COLUMNS = ("frame", "id", "left", "top", "width", "height", "score")
_TRUTH_COLUMNS = _COLUMNS[:6]


def read_detections(path: Path, class_id: int = 0) -> dict[int, list[Segment]]:
    """Read the boxes of a detections file, such as MOTChallenge's ``det/det.txt``, in any order of lines.

    Args:
        path: the file.
        class_id: given to every box: the file knows no classes.

    Returns:
        The boxes of each frame that has some, by its number, 1 and up. As in the file, corners are not rounded and may
        lie outside the image.

    Raises:
        SourceError: the file cannot be read, has no boxes, or a line is malformed.
    """
    frames: dict[int, list[Segment]] = {}
    for number, line in _lines(path):
        try:
            row = _row(line, _COLUMNS, MAX_FRAME)
            if not 0 <= row.last <= 1:
                bring = "bring the detector's scores to that"
                raise ValueError(f"score is {row.last:g}; it must be from 0 to 1: {bring}")
        except ValueError as error:
            raise SourceError(f"{path}, line {number}: {error}") from error
        centre = row.left + row.width / 2, row.top + row.height / 2
        segment = Segment(class_id, row.box_px, centre, row.width * row.height, row.last)
        frames.setdefault(row.frame, []).append(segment)
    if not frames:
        raise SourceError(f"{path} has no boxes; expected rows of {', '.join(_COLUMNS)}")
    return frames


def read_boxes(path: Path, problems: Problems) -> dict[int, dict[int, Box]]:
    """Read the true boxes of each frame, such as MOTChallenge's ``gt/gt.txt``.

    Only frames with boxes are there. All others show no object, also those after the last one of the file: it belongs
    to a whole clip.

    Args:
        path: the file.
        problems: is told of lines that cannot be used; one is a second box of an object in a frame.

    Returns:
        The boxes by the frame's number (1 and up) and the object's id. As in the file, corners are not rounded and may
        lie outside the image.

    Raises:
        SourceError: the file cannot be read, or has no box.
    """
    boxes: dict[int, dict[int, Box]] = {}
    seen: set[tuple[int, int]] = set()
    for number, line in _lines(path):
        try:
            row = _row(line, _TRUTH_COLUMNS)
            if not row.track_id.is_integer():
                raise ValueError(f"id is {row.track_id:g}; it must be a whole number")
            frame, track = row.frame, int(row.track_id)
            if (frame, track) in seen:
                raise ValueError(f"{line.strip()!r}: frame {frame} has id {track} already; the first line counts")
        except ValueError as error:
            problems.add("bad_label", f"{path}, line {number} is skipped: {error}")
            continue
        seen.add((frame, track))
        if row.last:
            boxes.setdefault(frame, {})[track] = row.box_px
    if not boxes:
        raise SourceError(f"{path} has no boxes; expected rows of {', '.join(_TRUTH_COLUMNS)}")
    return boxes


class TrackRows:
    """Rows of a results file: where each object was seen, also before its track was confirmed.

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
            left, top, right, bottom = track.box_px
            row = row_of(self.frames, track.track_id, (left, top, right - left, bottom - top), track.score)
            self._rows.setdefault(track.track_id, []).append((self.frames, row))

    def rows(self) -> list[str]:
        """Return the lines of the file, with their line ends, by frame and id."""
        lines = [(frame, i, line) for i in sorted(self.ids) for frame, line in self._rows[i]]
        return [line for _, _, line in sorted(lines)]


def row_of(frame: int, track_id: int, box_px: Sequence[float], score: float) -> str:
    """Write a line of a results file, with its line end.

    Args:
        frame: number of the frame, 1 and up.
        track_id: of the track.
        box_px: left, top, width, height.
        score: 0-1.
    """
    left, top, width, height = box_px
    return f"{frame},{track_id},{left:.2f},{top:.2f},{width:.2f},{height:.2f},{score:.2f},-1,-1,-1\n"


class _Row(NamedTuple):
    """One line; ``last`` is the score or, of ground truth, whether the box counts; 1 where it is not given."""

    frame: int
    track_id: float
    left: float
    top: float
    width: float
    height: float
    last: float

    @property
    def box_px(self) -> Box:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def _lines(path: Path) -> list[tuple[int, str]]:
    """Read the lines that are not blank, with their numbers.

    Raises:
        SourceError: the file cannot be read.
    """
    refuse_lfs_pointer(path, SourceError)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}; give a text file of MOTChallenge rows") from error
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _row(line: str, needed: Sequence[str], max_frame: int | None = None) -> _Row:
    """Read one line.

    Args:
        line: the text.
        needed: names of the columns that it must have.
        max_frame: largest number of a frame; None: there is none.

    Raises:
        ValueError: a value is missing, no number, or not allowed.
    """
    fields = line.split(",")
    if len(fields) < len(needed):
        raise ValueError(
            f"it has {len(fields)} values ({line.strip()!r}); expected {', '.join(needed)}, with commas between"
        )
    values = [_number(text, name) for text, name in zip(fields, _COLUMNS, strict=False)]
    frame, track_id, left, top, width, height, last = [*values, 1.0][: len(_COLUMNS)]
    if not frame.is_integer() or frame < 1 or (max_frame is not None and frame > max_frame):
        most = "" if max_frame is None else f" to {max_frame}"
        raise ValueError(f"frame is {frame:g}; it must be a whole number from 1{most}")
    for name, value in (("width", width), ("height", height)):
        if value <= 0:
            raise ValueError(f"{name} is {value:g}; it must be over 0 (a box is left, top, width, height)")
    return _Row(int(frame), track_id, left, top, width, height, last)


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} is {text.strip()!r}; it must be a number")
    return value
