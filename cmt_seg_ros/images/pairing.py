"""Pairing of frames with files of another folder: masks, labels, instances or pictures, by name or number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import takewhile
from pathlib import Path

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.files import natural_key

_SHOWN = 5


def pair(frames: Sequence[str] | int, files: Sequence[Path], names: Sequence[str] | None = None) -> dict[int, Path]:
    """Find the file of each frame; the place of a file in its folder says nothing.

    The first rule that finds a pair is used for all: names without suffix are equal, numbers in them as
    numbers (``1`` and ``001``); they are equal without what all names of a folder end with (``a``, ``b`` and ``a_L``,
    ``b_L``); also without what all names begin with (``image_1``, ``image_2`` and ``mask_0001``, ``mask_0002``).

    Args:
        frames: names without suffix, in order; or how many frames there are in a clip that has none, such as a video:
            its frames are numbered from 0 or, if more files then have a frame, from 1.
        files: those that belong to the frames.
        names: what the files are called; None: by their names without suffix.

    Returns:
        The file of each frame that has one, by the frame's place, from 0.

    Raises:
        SourceError: two files differ in their suffix only, and so have one name.
    """
    stems = names or [path.stem for path in files]
    if len(set(stems)) < len(stems):
        check_distinct(files)
    if isinstance(frames, int):
        numbered = ([str(first + place) for place in range(frames)] for first in (0, 1))
        found = max((_pair_names(numbers, stems) for numbers in numbered), key=len)
    else:
        found = _pair_names(frames, stems)
    return {place: files[index] for place, index in found.items()}


def _pair_names(frames: Sequence[str], stems: Sequence[str]) -> dict[int, int]:
    rules: tuple[Callable[[Sequence[str]], list[str]], ...] = (list, _without_end, _without_both_ends)
    for rule in rules:
        for key in (_numbers, str):  # str: a folder may have 1 and 01
            ours, theirs = ([key(name) for name in rule(names)] for names in (frames, stems))
            if len(set(ours)) == len(ours) and len(set(theirs)) == len(theirs):
                index = {name: place for place, name in enumerate(theirs)}
                if pairs := {place: index[name] for place, name in enumerate(ours) if name in index}:
                    return pairs
    return {}


def _numbers(name: str) -> Hashable:
    return tuple(natural_key(name)[0])


def _without_end(names: Sequence[str]) -> list[str]:
    """Cut off what all names end with, but no digit of a number."""
    end = _common([name[::-1] for name in names])[::-1].lstrip("0123456789")
    return [name.removesuffix(end) for name in names]


def _without_both_ends(names: Sequence[str]) -> list[str]:
    names = _without_end(names)
    begin = _common(names).rstrip("0123456789")
    return [name.removeprefix(begin) for name in names]


def _common(names: Sequence[str]) -> str:
    """Return what all of several names begin with."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)  # the two that differ earliest
    same = (one == other for one, other in zip(first, last, strict=False))
    return first[: len(list(takewhile(bool, same)))]


def frame_names(files: Sequence[Path]) -> list[str]:
    """Return what frames read from files are called: names without suffix, with it where two would be called alike."""
    counts = Counter(path.stem for path in files)
    names = [path.stem if counts[path.stem] == 1 else path.name for path in files]
    return names if len(set(names)) == len(names) else [path.name for path in files]


def check_distinct(files: Sequence[Path]) -> None:
    """Refuse files that differ in their suffix only: which of them belongs to a frame, nobody knows.

    Raises:
        SourceError: there are some; names two.
    """
    seen: dict[str, Path] = {}
    for path in files:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise SourceError(f"{other} and {path.name} have the same name; take one of them out, or rename it")


def check_paired(pairs: dict[int, Path], frames: Sequence[str] | int, files: Sequence[Path], what: str) -> None:
    """Refuse frames without a file, and files without a frame.

    Args:
        pairs: of :func:`pair`.
        frames: as :func:`pair` takes them.
        files: as :func:`pair` takes them; empty: files without a frame are allowed.
        what: what the files are to a frame, as ``mask``.

    Raises:
        SourceError: there are some; says how many, and the first of them.
    """
    names = [f"{place}" for place in range(frames)] if isinstance(frames, int) else frames
    alone = [name for place, name in enumerate(names) if place not in pairs]
    paired = set(pairs.values())
    unused = [path.name for path in files if path not in paired]
    texts = [f"{len(alone)} of {len(names)} frames have no {what}: {first_of(alone)}"] if alone else []
    if unused:
        where = files[0].parent
        texts.append(f"{len(unused)} of {len(files)} files in {where} have no frame: {first_of(unused)}")
    if texts:
        raise SourceError(f"{'; '.join(texts)}. Frame and {what} must have the same name or number")


def first_of(names: Sequence[str]) -> str:
    """Return the first few of some names, for a message."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
