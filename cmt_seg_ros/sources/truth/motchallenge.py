"""Ground truth of MOTChallenge: boxes of objects by frame, from a text file such as ``gt/gt.txt``.

A line is a box: frame, id, left, top, width, height, and where given whether it counts (0: it does not), class and
visibility. Frames count from 1, lengths are pixels; see Leal-Taixé et al., "MOTChallenge 2015: Towards a Benchmark for
Multi-Target Tracking".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.structures import Box

_COLUMNS = "frame, id, left, top, width, height"


def read_boxes(path: Path, problems: Problems) -> dict[int, dict[int, Box]]:
    """The true boxes of each frame, by the frame's number (1 and up) and the object's id.

    Only frames with boxes are there. All others show no object, also those after the last one of the file: it belongs
    to a whole clip. Corners are as in the file: not rounded, and they may lie outside the image.

    Args:
        path: the file.
        problems: is told of lines that cannot be used; one is a second box of an object in a frame.

    Raises:
        SourceError: the file cannot be read, or has no box.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}; give a text file of MOTChallenge rows") from error
    boxes: dict[int, dict[int, Box]] = {}
    seen: set[tuple[int, int]] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            frame, track, box, counts = _row(line)
            if (frame, track) in seen:
                raise ValueError(f"{line.strip()!r}: frame {frame} has id {track} already; the first line counts")
        except ValueError as error:
            problems.add("bad_label", f"{path}, line {number} is skipped: {error}")
            continue
        seen.add((frame, track))
        if counts:
            boxes.setdefault(frame, {})[track] = box
    if not boxes:
        raise SourceError(f"{path} has no boxes; expected rows of {_COLUMNS}")
    return boxes


def _row(line: str) -> tuple[int, int, Box, bool]:
    """Frame, id, box, and whether it counts: it does where that is not given.

    Raises:
        ValueError: there are fewer than six values, one is not a number, frame and id are not whole numbers, or frame,
            width or height is not over 0.
    """
    values = [float(text) for text in line.split(",")[:7]]
    if len(values) < 6 or not np.isfinite(values).all():
        raise ValueError(f"{line.strip()!r} is not {_COLUMNS}, numbers with commas between")
    frame, track, left, top, width, height, counts = [*values, 1.0][:7]
    if frame < 1 or width <= 0 or height <= 0 or frame % 1 or track % 1:
        raise ValueError(f"{line.strip()!r}: frame, width and height must be over 0, frame and id whole numbers")
    return int(frame), int(track), (left, top, left + width, top + height), bool(counts)
