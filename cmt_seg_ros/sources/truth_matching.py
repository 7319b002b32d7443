"""Which truth belongs to which frame: by stamp, by name, or by number. Each truth is used once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from cmt_seg_ros.structures import Frame

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

WINDOW = 64
"""Label messages that wait for their frame at most."""

_SECONDS = re.compile(r"(\d+)(?:([._])(\d{1,9})\d*)?")


class Matcher(Protocol[T_co]):
    """Gives the truth of one frame after the other, in one pass over a clip."""

    def find(self, frame: Frame, number: int) -> T_co | None:
        """The truth of a frame; ``number`` is its place in the clip, 0 and up, damaged frames counted."""

    def unused(self) -> Iterator[str]:
        """Names of the truth that no frame had, once the clip has ended."""


class ByKey(Generic[T]):
    """Truth whose frame is known beforehand, by a name or a number.

    Args:
        truth: by key.
        key: a frame's key, from the frame and its number.
        name: what to call the truth of a key.
    """

    def __init__(self, truth: dict[str, T], key: Callable[[Frame, int], str], name: Callable[[str], str]) -> None:
        self._truth, self._key, self._name = dict(truth), key, name

    def find(self, frame: Frame, number: int) -> T | None:
        """As of :class:`Matcher`."""
        return self._truth.pop(self._key(frame, number), None)

    def unused(self) -> Iterator[str]:
        """As of :class:`Matcher`."""
        return (self._name(key) for key, truth in self._truth.items() if truth)  # an empty one: a frame without objects


class ByStamp(Generic[T]):
    """Truth with stamps, read as far ahead as the frames need: the nearest to a frame's stamp is its truth.

    Args:
        truth: stamp in ns, name, truth; in about the order of stamps.
        tolerance_ns: stamps may differ by as much; under half the time between two frames, or a frame can take the
            truth of the next.
        window: how many may wait for their frame; before another is read the oldest is given up.
    """

    def __init__(self, truth: Iterable[tuple[int, str, T]], tolerance_ns: int, window: int = WINDOW) -> None:
        self._coming, self._tolerance_ns, self._window = iter(truth), tolerance_ns, window
        self._waiting: list[tuple[int, str, T]] = []
        self._given_up: list[str] = []
        self._read_ns = self._frame_ns = -1

    def find(self, frame: Frame, number: int) -> T | None:
        """As of :class:`Matcher`."""
        if frame.stamp_ns < self._frame_ns:
            self._read_ns = -1  # the clock was set back; what was read ahead says nothing of what comes
        self._frame_ns = frame.stamp_ns
        while self._read_ns < frame.stamp_ns and self._read():
            pass
        place = nearest([stamp for stamp, _, _ in self._waiting], frame.stamp_ns, self._tolerance_ns)
        return None if place is None else self._waiting.pop(place)[2]

    def unused(self) -> Iterator[str]:
        """As of :class:`Matcher`."""
        yield from self._given_up
        yield from (name for _, name, _ in self._waiting)
        yield from (name for _, name, _ in self._coming)

    def _read(self) -> bool:
        """Let one more wait; False: there is none."""
        truth = next(self._coming, None)
        if truth is None:
            return False
        self._read_ns = truth[0]
        self._waiting.append(truth)
        if len(self._waiting) > self._window:
            self._given_up.append(self._waiting.pop(0)[1])
        return True


def nearest(stamps: Sequence[int], stamp_ns: int, tolerance_ns: int) -> int | None:
    """Index of the stamp nearest to another one; None if none is within the tolerance."""
    place = min(range(len(stamps)), key=lambda i: abs(stamps[i] - stamp_ns), default=None)
    return None if place is None or abs(stamps[place] - stamp_ns) > tolerance_ns else place


def file_stamp_ns(path: Path) -> int | None:
    """The stamp in a file's name, ns: nanoseconds, seconds with a point, or seconds_nanoseconds; None: it is none."""
    match = _SECONDS.fullmatch(path.stem)
    if match is None:
        return None
    whole, sign, rest = match.groups()
    if sign is None:
        return int(whole)
    return int(whole) * 1_000_000_000 + int(rest.ljust(9, "0") if sign == "." else rest)
