"""Matching of ground truth to frames: by stamp, by name, or by number. Each truth is used once."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from cmt_seg_ros.structures import Frame

K = TypeVar("K")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

WINDOW = 64
"""Label messages that wait for their frame at most: each may have megabytes."""

_SECONDS = re.compile(r"(\d+)(?:([._])(\d{1,9})\d*)?")


class Matcher(Protocol[T_co]):
    """One pass over a clip, which gives the truth of one frame after the other."""

    def find(self, frame: Frame, number: int) -> T_co | None:
        """Return the truth of a frame; ``number`` is its place in the clip, 0 and up, damaged frames counted."""

    def unused(self) -> Iterator[str]:
        """Name the truth that no frame had, once the clip has ended."""


class ByKey(Generic[K, T]):
    """Truth whose frame is known beforehand, by a name or a number.

    Args:
        truth: by key.
        key: a frame's key, from the frame and its number.
        name: what to call the truth of a key.
        missing: the truth of frames whose key is not there.
    """

    def __init__(
        self,
        truth: Mapping[K, T],
        key: Callable[[Frame, int], K],
        name: Callable[[K], str],
        missing: T | None = None,
    ) -> None:
        self._truth, self._key, self._name, self._missing = dict(truth), key, name, missing

    def find(self, frame: Frame, number: int) -> T | None:
        """See :class:`Matcher`."""
        return self._truth.pop(self._key(frame, number), self._missing)

    def unused(self) -> Iterator[str]:
        """See :class:`Matcher`."""
        return (self._name(key) for key in self._truth)


class ByStamp(Generic[T]):
    """Truth with stamps: that with the stamp nearest to a frame's is the frame's.

    Truth is read up to the frame's stamp; what no frame has had so far waits, at most ``window`` of it. With a window
    of 2 and truth at 10, 20, 30, 40, 50, 60:

    ======================  =======================  ===========================================================
    stamps of the frames    truth that they get      why
    ======================  =======================  ===========================================================
    10, 20, 30, 40, 50      10, 20, 30, 40, 50       each is read when its frame comes
    10, 20, 900, 40, 50     10, 20, none, 40, 50     there is no truth for 900, so nothing is given up for it
    10, 50, 60              10, none, 60             50 is more than the window ahead: it may be an odd stamp, and
                                                     gets nothing; as 60 is ahead, too, frames are missing, and 20
                                                     to 50 are given up
    ======================  =======================  ===========================================================

    So an odd stamp costs one frame, and of the frames after a gap of more than ``window`` the first has no truth. The
    first frame of all, and the first one after the clock was set back, may be ahead: truth is given up at once.

    Args:
        truth: begins to read it: stamp in ns, name, truth; in about the order of stamps. It is read a second time, for
            the stamps alone, if it must be known which are still to come.
        tolerance_ns: stamps may differ by as much; under half the time between two frames, or a frame can take the
            truth of the next.
        window: how many may wait for their frame.
    """

    def __init__(
        self, truth: Callable[[], Iterable[tuple[int, str, T]]], tolerance_ns: int, window: int = WINDOW
    ) -> None:
        self._truth, self._tolerance_ns, self._window = truth, tolerance_ns, window
        self._coming, self._count = iter(truth()), 0
        self._coming_ns: list[int] | None = None  # stamps of what is not read yet, ascending; None: not needed so far
        self._waiting: list[tuple[int, str, T]] = []
        self._given_up: list[str] = []
        self._frame_ns = -1  # the frame before
        self._read_ns = -1  # how far is read
        self._passed_ns = -1  # the last frame that was read up to
        self._old_ns: float = math.inf  # after the clock was set back: what is later is from before that
        self._ahead = True  # the frame before was far ahead; a first frame does not wait for a second one

    def find(self, frame: Frame, number: int) -> T | None:
        """See :class:`Matcher`."""
        stamp_ns = frame.stamp_ns
        if stamp_ns < self._frame_ns:  # the clock was set back; what was read says nothing of what comes
            self._old_ns, self._ahead = self._frame_ns, True
            self._read_ns = self._passed_ns = -1
        elif stamp_ns > self._old_ns:
            self._old_ns = math.inf
        self._frame_ns = stamp_ns
        self._ahead = not self._read_to(stamp_ns, self._ahead)
        place = nearest([stamp for stamp, _, _ in self._waiting], stamp_ns, self._tolerance_ns)
        return None if place is None else self._waiting.pop(place)[2]

    def unused(self) -> Iterator[str]:
        """See :class:`Matcher`."""
        yield from self._given_up
        yield from (name for _, name, _ in self._waiting)
        yield from (name for _, name, _ in self._coming)

    def _read_to(self, stamp_ns: int, second: bool) -> bool:
        """Read up to a frame's stamp as the class says; False: the frame is more than the window ahead."""
        near = True
        while self._read_ns < stamp_ns:
            if len(self._waiting) >= self._window:
                near = near and self._waiting[0][0] <= self._passed_ns
                if not ((near or second) and self._is_coming(stamp_ns)):
                    return near
            if not self._read():
                break
        self._passed_ns = stamp_ns
        return near

    def _read(self) -> bool:
        """Read one more; False: there is none."""
        truth = next(self._coming, None)
        if truth is None:
            return False
        self._count += 1
        if truth[0] <= self._old_ns:
            self._read_ns = truth[0]
        if self._coming_ns is not None:
            place = bisect_left(self._coming_ns, truth[0])
            del self._coming_ns[place : place + 1]
        self._waiting.append(truth)
        if len(self._waiting) > self._window:
            self._given_up.append(self._waiting.pop(0)[1])
        return True

    def _is_coming(self, stamp_ns: int) -> bool:
        """Say whether truth for this stamp is among what is not read yet."""
        if self._coming_ns is None:
            self._coming_ns = sorted(stamp for stamp, _, _ in islice(self._truth(), self._count, None))
        place = bisect_left(self._coming_ns, stamp_ns - self._tolerance_ns)
        return place < len(self._coming_ns) and self._coming_ns[place] <= stamp_ns + self._tolerance_ns


def nearest(stamps: Sequence[int], stamp_ns: int, tolerance_ns: int) -> int | None:
    """Find the index of the stamp nearest to another one; None if none is within the tolerance."""
    place = min(range(len(stamps)), key=lambda i: abs(stamps[i] - stamp_ns), default=None)
    return None if place is None or abs(stamps[place] - stamp_ns) > tolerance_ns else place


def file_stamp_ns(path: Path) -> int | None:
    """Read the stamp in a file's name, ns: nanoseconds, seconds with a point, or seconds_nanoseconds; else None."""
    match = _SECONDS.fullmatch(path.stem)
    if match is None:
        return None
    whole, sign, rest = match.groups()
    if sign is None:
        return int(whole)
    return int(whole) * 1_000_000_000 + int(rest.ljust(9, "0") if sign == "." else rest)
