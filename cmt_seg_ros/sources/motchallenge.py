"""MOTChallenge text files: rows and a detector's boxes in, tracks out; true boxes: :mod:`.truth.boxes`.

A line is a box: frame, id, left, top, width, height. What comes next is the score of a detection; in ground truth it is
whether the box counts (0: it does not), then the class and how much of it is seen. Frames count from 1, lengths are
pixels; see Leal-Taixé et al., "MOTChallenge 2015: Towards a Benchmark for Multi-Target Tracking", and Milan et al.,
"MOT16: A Benchmark for Multi-Object Tracking".
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
TRUTH_COLUMNS = _COLUMNS[:6]


def read_detections(path: Path, problems: Problems, class_id: int = 0) -> dict[int, list[Segment]]:
    """Read the boxes of a detections file, such as MOTChallenge's ``det/det.txt``, in any order of lines.

    Args:
        path: the file.
        problems: is told of lines that cannot be used, and of a file that counts frames from 0.
        class_id: given to every box: the file knows no classes.

    Returns:
        The boxes of each frame that has some, by its number, 1 and up; none at all if the file is empty. As in the
        file, corners are not rounded and may lie outside the image.

    Raises:
        SourceError: the file cannot be read, no line of it can be used, or a score is not from 0 to 1.
    """
    frames: dict[int, list[Segment]] = {}
    for number, row in read_rows(path, problems, "bad_line", _COLUMNS, MAX_FRAME):
        score = row.rest[0]
        if not 0 <= score <= 1:  # not one bad line: all the file's scores are of another scale
            bring = "bring the detector's scores to that"
            raise SourceError(f"{path}, line {number}: score is {score:g}; it must be from 0 to 1: {bring}")
        centre = row.left + row.width / 2, row.top + row.height / 2
        segment = Segment(class_id, row.box_px, centre, row.width * row.height, score)
        frames.setdefault(row.frame, []).append(segment)
    return frames


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


class MotRow(NamedTuple):
    """One line: frame (1 and up), id, box in pixels, and ``rest``: what comes after the sixth value, nan for a word."""

    frame: int
    track_id: float
    left: float
    top: float
    width: float
    height: float
    rest: tuple[float, ...]

    @property
    def box_px(self) -> Box:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def read_rows(
    path: Path,
    problems: Problems,
    kind: str,
    needed: Sequence[str] = TRUTH_COLUMNS,
    max_frame: int | None = None,
) -> list[tuple[int, MotRow]]:
    """Read every line of a file that can be used, with its number.

    Values may have commas, blanks or tabs between them. Comments (#), a heading and blank lines are no rows. A file
    with a frame 0 counts from 0: all its frames are raised by one.

    Args:
        path: the file.
        problems: is told of each line that cannot be used, and of frames that count from 0.
        kind: of the problem that a bad line is.
        needed: names of the columns that a line must have.
        max_frame: largest number of a frame; None: there is none.

    Raises:
        SourceError: the file cannot be read, or has lines of which none can be used.
    """
    rows: list[tuple[int, MotRow]] = []
    bad: list[tuple[int, str]] = []
    for number, line in _lines(path):
        try:
            rows.append((number, _row(line, needed, max_frame)))
        except ValueError as wrong:
            bad.append((number, str(wrong)))
    if bad and not rows:
        number, error = bad[0]
        raise SourceError(
            f"{path} has no line that can be used, such as rows of {', '.join(needed)}. Line {number}: {error}"
        )
    for number, error in bad:
        problems.add(kind, f"{path}, line {number} is skipped: {error}")
    if any(row.frame == 0 for _, row in rows):
        text = f"{path} has a frame 0, so it is taken to count frames from 0: its frame 0 is the clip's first"
        problems.add("numbering", f"{text}. MOTChallenge counts from 1")
        rows = [(number, row._replace(frame=row.frame + 1)) for number, row in rows]
    return rows


def _lines(path: Path) -> list[tuple[int, str]]:
    """Read the lines that may be rows, with their numbers.

    Raises:
        SourceError: the file cannot be read.
    """
    refuse_lfs_pointer(path, SourceError)
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors put a byte order mark in front
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}; give a text file of MOTChallenge rows") from error
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, line) for number, line in lines if line and not line.casefold().startswith(("#", "frame"))]


def _row(line: str, needed: Sequence[str], max_frame: int | None) -> MotRow:
    """Read one line.

    Raises:
        ValueError: a value is missing, no number, or not allowed.
    """
    fields = [text.strip() for text in line.removesuffix(",").split(",")] if "," in line else line.split()
    if len(fields) < len(needed):
        raise ValueError(f"it has {len(fields)} values ({line!r}); expected {', '.join(needed)}, with commas between")
    values = [_number(text, name) for text, name in zip(fields, _COLUMNS, strict=False)]
    frame, track_id, left, top, width, height = values[:6]
    if not frame.is_integer() or frame < 0 or (max_frame is not None and frame > max_frame):
        most = "" if max_frame is None else f" to {max_frame}"
        raise ValueError(f"frame is {frame:g}; it must be a whole number from 1{most}")
    for name, value in (("width", width), ("height", height)):
        if value <= 0:
            raise ValueError(f"{name} is {value:g}; it must be over 0 (a box is left, top, width, height)")
    rest = (*values[6:], *(_float(text) for text in fields[len(_COLUMNS) :]))
    return MotRow(int(frame), track_id, left, top, width, height, rest)


def _number(text: str, name: str) -> float:
    value = _float(text)
    if not math.isfinite(value):
        raise ValueError(f"{name} is {text!r}; it must be a number")
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
