"""True boxes of a MOTChallenge file, and which of them count: as TrackEval prepares MOT15, MOT16, MOT17 and MOT20.

A box whose flag (column 7) is 0 never counts. Where columns 8 and 9 are class and visibility, as from MOT16 on, only
pedestrians count, or the classes that are asked for; and a track on a distractor, such as a reflection or a standing
person, is neither right nor wrong. What takes such tracks out is
:func:`~cmt_seg_ros.metrics.matching.confirmed_only`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.motchallenge import MotRow, read_rows
from cmt_seg_ros.structures import OtherBox, TrueBoxes

MOT_CLASSES = (
    *("pedestrian", "person_on_vehicle", "car", "bicycle", "motorbike", "non_mot_vehicle", "static_person"),
    *("distractor", "occluder", "occluder_on_ground", "occluder_full", "reflection", "crowd"),
)
"""Names of the classes 1, 2, ... of column 8."""

_COUNTED = ("pedestrian",)
_DISTRACTORS = ("person_on_vehicle", "static_person", "distractor", "reflection")
_DISTRACTORS_MOT20 = (*_DISTRACTORS, "non_mot_vehicle")
_BENCHMARK = re.compile(r"mot(\d\d)(?!\d)", re.IGNORECASE)


def read_boxes(path: Path, problems: Problems, classes: Collection[str] = ()) -> dict[int, TrueBoxes]:
    """Read the true boxes of each frame, such as MOTChallenge's ``gt/gt.txt``.

    Only frames with boxes are there. All others show no object, also those after the last one of the file: it belongs
    to a whole clip.

    Args:
        path: the file.
        problems: is told of lines that cannot be used (one is a second box of an object in a frame), of a file that
            counts frames from 0, and why no box counts if none does.
        classes: names of the classes that count, lower case; none: pedestrians, in a file without classes all.

    Returns:
        The boxes by the frame's number, 1 and up. As in the file, corners are not rounded and may lie outside the
        image.

    Raises:
        SourceError: the file cannot be read, or has lines of which none can be used.
    """
    rows = _distinct(path, problems, read_rows(path, problems, "bad_label"))
    has_classes = any(_has_class(row) for _, row in rows) and all(_may_have_class(row) for _, row in rows)
    counted = set(classes) or set(_COUNTED)
    distractors = set(_DISTRACTORS_MOT20 if _is_mot20(path) else _DISTRACTORS) - counted
    frames: dict[int, TrueBoxes] = {}
    left_out: Counter[str] = Counter()
    for number, row in rows:
        if has_classes and not _has_class(row):
            text = f"class is {row.rest[1]:g}; MOTChallenge numbers its classes 1 to {len(MOT_CLASSES)}"
            mend = "leave columns 8 and 9 out if the file has classes of its own"
            problems.add("bad_label", f"{path}, line {number} is skipped: {text}: {mend}")
            continue
        name = MOT_CLASSES[int(row.rest[1]) - 1] if has_classes else ""
        is_flagged = not row.rest or row.rest[0] != 0
        if is_flagged and (not has_classes or name in counted):
            frames.setdefault(row.frame, TrueBoxes({}, [])).boxes_px[int(row.track_id)] = row.box_px
            continue
        left_out[f"of {name}" if is_flagged else "with the flag 0 (column 7)"] += 1
        if has_classes:
            boxes = frames.setdefault(row.frame, TrueBoxes({}, []))
            boxes.others.append(OtherBox(row.box_px, name in distractors, len(boxes.boxes_px)))
    if not any(boxes.boxes_px for boxes in frames.values()):
        why = ", ".join(f"{count} {what}" for what, count in left_out.items())
        say = "it has no boxes" if not why else f"it has {why}; --truth-classes says which classes count"
        problems.add("no_true_object", f"{path} shows no object in the whole clip, every track is wrong: {say}")
    return frames


def _distinct(path: Path, problems: Problems, rows: list[tuple[int, MotRow]]) -> list[tuple[int, MotRow]]:
    """Return the rows without those that no object can have."""
    kept: dict[tuple[int, float], tuple[int, MotRow]] = {}
    for number, row in rows:
        if not row.track_id.is_integer():
            why = f"id is {row.track_id:g}; it must be a whole number"
        elif (row.frame, row.track_id) in kept:
            why = f"frame {row.frame} has id {row.track_id:g} already; the first line counts"
        else:
            kept[row.frame, row.track_id] = number, row
            continue
        problems.add("bad_label", f"{path}, line {number} is skipped: {why}")
    return list(kept.values())


def _may_have_class(row: MotRow) -> bool:
    """Say whether a row ends as those from MOT16 on: flag, class, visibility 0-1; MOT15 has 10 columns."""
    return len(row.rest) == 2 or (len(row.rest) == 3 and 0 <= row.rest[2] <= 1)


def _has_class(row: MotRow) -> bool:
    return _may_have_class(row) and row.rest[1].is_integer() and 1 <= row.rest[1] <= len(MOT_CLASSES)


def _is_mot20(path: Path) -> bool:
    """Say whether a file is of MOT20, which has one distractor more: by seqinfo.ini beside it, else by its path."""
    path = path.resolve()
    infos = [folder / "seqinfo.ini" for folder in path.parents[:2]]
    texts = [info.read_text(encoding="utf-8", errors="replace") for info in infos if info.is_file()]
    found = (_BENCHMARK.search(text) for text in (*texts, *reversed(path.parts)))
    return next((match[1] == "20" for match in found if match), False)
