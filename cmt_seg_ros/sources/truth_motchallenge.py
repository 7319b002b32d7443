"""Ground truth of MOTChallenge: boxes of objects by frame, from a text file such as ``gt/gt.txt``.

A line is a box: frame, id, left, top, width, height, and where given whether it counts (0: it does not), class and
visibility. Frames count from 1, lengths are pixels; see Leal-Taixé et al., "MOTChallenge 2015: Towards a Benchmark for
Multi-Target Tracking".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.sources.problems import Problems
from cmt_seg_ros.structures import Box

_COLUMNS = "frame, id, left, top, width, height"


def read_boxes(path: Path, problems: Problems) -> dict[int, dict[int, Box]]:
    """The true boxes of each frame, by the frame's number (1 and up) and the object's id.

    Every frame up to the last one of the file is there: one that the file does not name shows no object. Corners are as
    in the file: not rounded, and they may lie outside the image.

    Args:
        path: the file.
        problems: is told of lines that cannot be used.

    Raises:
        SourceError: the file cannot be read, or has no box.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}; give a text file of MOTChallenge rows") from error
    boxes: dict[int, dict[int, Box]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            frame, track, left, top, width, height, counts = _numbers(line)
        except ValueError as error:
            problems.add("bad_label", f"{path}, line {number} is skipped: {error}")
            continue
        found = boxes.setdefault(int(frame), {})
        if counts:
            found[int(track)] = (left, top, left + width, top + height)
    if not any(boxes.values()):
        raise SourceError(f"{path} has no boxes; expected rows of {_COLUMNS}")
    return {frame: boxes.get(frame, {}) for frame in range(1, max(boxes) + 1)}


def _numbers(line: str) -> list[float]:
    """The first seven values of a line; the seventh is 1 where it is not given.

    Raises:
        ValueError: there are fewer than six, one is not a number, or frame, width or height is not over 0.
    """
    values = np.array([float(text) for text in line.split(",")[:7]])
    if len(values) < 6 or not np.isfinite(values).all():
        raise ValueError(f"{line.strip()!r} is not {_COLUMNS}, numbers with commas between")
    if not 1 <= values[0] <= 10_000_000 or (values[4:6] <= 0).any() or (values[:2] % 1).any():
        raise ValueError(f"{line.strip()!r}: frame, width and height must be over 0, frame and id whole numbers")
    return [*values.tolist(), 1.0][:7]
