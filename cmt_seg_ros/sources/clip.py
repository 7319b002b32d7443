"""Source of frames as a protocol, and a clip: a source played at another rate or in part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Protocol

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.structures import Frame

DEFAULT_FPS = 15.0
"""Frames per second of clips without a rate of their own (images, the scene, a broken video header)."""


class Source(Protocol):
    """A finite sequence of frames; iterating again starts over.

    Attributes:
        name: what a user would call it: a file's or a folder's name.
        fps: frames per second, over 0.
        problems: what was wrong with it so far.
    """

    name: str
    fps: float
    problems: Problems

    @property
    def labels(self) -> LabelSet | None:
        """Meaning of the class ids of ``Frame.truth``; None without ground truth."""

    @property
    def lost(self) -> Mapping[int, str]:
        """Reason for each frame that was lost in the current or last iteration, by its number in the clip, from 0."""

    def __len__(self) -> int:
        """Return the number of frames; of a video or a bag with damaged frames, the most there can be."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order, stamps rising."""


class Clip:
    """A source cut to its first frames, or played at another rate.

    Args:
        source: what to play.
        fps: frames per second to play it at; 0: its own rate and its own stamps. Another rate gives
            new stamps, 0, 1/fps, 2/fps, ... seconds: all frames, faster or slower.
        frames: stop after that many; 0: all.

    Attributes:
        source: what is played; a :class:`~cmt_seg_ros.sources.truth.with_truth.WithTruth` counts frames without truth.
    """

    def __init__(self, source: Source, fps: float = 0.0, frames: int = 0) -> None:
        self.source, self._frames = source, frames
        self._restamp = fps > 0 and fps != source.fps
        self.name, self.labels, self.problems = source.name, source.labels, source.problems
        self.fps = fps or source.fps

    @property
    def lost(self) -> Mapping[int, str]:
        """See :class:`Source`."""
        return self.source.lost

    def __len__(self) -> int:
        return min(len(self.source), self._frames or len(self.source))

    def __iter__(self) -> Iterator[Frame]:
        frames = islice(self.source, self._frames or None)
        if not self._restamp:
            return frames
        return (dataclasses.replace(f, stamp_ns=round(i * 1e9 / self.fps)) for i, f in enumerate(frames))


def numbered(source: Source) -> Iterator[tuple[int, Frame | str]]:
    """Yield every place of a clip in order, from 0, with its frame or with the reason why it was lost.

    A frame that could not be read keeps its place: ground truth and results of other programs count it.
    """
    place = 0
    for frame in source:
        while place in source.lost:
            yield place, source.lost[place]
            place += 1
        yield place, frame
        place += 1
    for lost in sorted(number for number in source.lost if number >= place):
        yield lost, source.lost[lost]
