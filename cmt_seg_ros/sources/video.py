"""Source of frames: a video file, each frame at its own time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np

from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.files import openable, refuse_lfs_pointer
from cmt_seg_ros.images.containers import missing_bytes
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.clip import DEFAULT_FPS
from cmt_seg_ros.structures import U8, Frame

log = logging.getLogger(__name__)

_NS = 1_000_000_000
_MAX_FPS = 1000.0
_MAX_STEP_NS = 86_400 * _NS  # two frames further apart than a day: one of the times is wrong
_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
_FULL_RANGE = 2  # FFmpeg's number: luma from 0 to 255, not from 16 to 235


class VideoSource:
    """All frames of a video file that FFmpeg can read, in the order in which they are shown.

    A frame's stamp is its own time in the file, counted from the first frame: phones and screen recorders do not keep
    one rate. Where the file states no time, or one that goes back or jumps by more than a day, the frame is taken to be
    one period after the frame before it.

    Args:
        path: the file.
        camera: name the frames carry.
        problems: gets a line if the file is cut, has frames that are damaged, or frames without a time.

    Attributes:
        name: the file's name.
        fps: usual rate: of the frames that are about as far apart as most are; 15, with a logged warning, where the
            times say nothing or nonsense.
        labels: None, see :class:`~cmt_seg_ros.sources.truth.with_truth.WithTruth`.
        problems: what was wrong so far.
        lost: always empty: frames of a video that cannot be decoded have no number.

    Raises:
        SourceError: no such file, not a video, or no frame in it can be decoded.
    """

    labels: LabelSet | None = None

    def __init__(self, path: str | Path, camera: str = "camera", problems: Problems | None = None) -> None:
        self._path, self._camera = Path(path), camera
        self.problems, self.lost = problems or Problems(), dict[int, str]()
        self.name = self._path.name
        if not self._path.is_file():
            raise SourceError(f"video {self._path} is not a file; give the path of a video file (for images: a folder)")
        refuse_lfs_pointer(self._path, SourceError)
        with self._open() as (container, stream):
            shown = [p.pts for p in _packets(container, stream, []) if p.size and not p.is_discard]
            times = [time for time in shown if time is not None]
            self._length, self._has_times = len(shown), bool(times)
            # AVI has no times of showing: packets are numbered as they are decoded, and frames get wrong ones.
            mixed = stream.codec_context.has_b_frames and all(end > begin for begin, end in pairwise(times))
            self._times_by_place = times if mixed else []
            self.fps = self._rate(times, stream)
        if next(self._decoded([]), None) is None:
            raise SourceError(f"video {self._path} has no frame that can be decoded; play it elsewhere to check it")

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Frame]:
        damaged: list[str] = []
        times, index = _Times(round(_NS / self.fps)), 0
        for frame, stream in self._decoded(damaged):
            own = self._times_by_place[index] if index < len(self._times_by_place) else frame.pts
            stamp_ns = times.next(None if own is None else round(own * stream.time_base * _NS))
            pixels = _pixels(frame, _rotation(frame, stream))
            yield Frame(self._camera, stamp_ns, pixels, "bgr8", f"{self._camera}_optical_frame", f"{index:06d}")
            index += 1
        self._report(index, len(damaged), times.guessed)

    def _report(self, frames: int, damaged: int, guessed: int) -> None:
        """Say what was wrong with the file, once all of it has been read."""
        if missing := missing_bytes(self._path):
            text = f"is cut: {missing} bytes are missing at its end; it has {frames} frames that can be decoded"
            self.problems.add("damaged_video", f"video {self._path} {text}")
        elif damaged:
            self.problems.add("damaged_video", f"video {self._path} has damaged frames: {damaged} of them, or more")
        if guessed and self._has_times:
            text = f"{guessed} frames have no time, or one that is not after that of the frame before"
            text += f"; each is taken to be {1e3 / self.fps:.0f} ms later"
            self.problems.add("video_times", f"video {self._path}: {text}")

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Any]]:
        """Open the file; give it with its first stream of video that is no cover picture."""
        try:
            # By its whole path: FFmpeg takes what comes before a colon for a protocol.
            with openable(self._path.absolute()) as path:
                container = av.open(str(path))
        except (av.FFmpegError, OSError, ValueError) as error:
            missing = missing_bytes(self._path)
            why = f"it is cut, {missing} bytes are missing at its end" if missing else "not a video, or damaged"
            raise SourceError(f"video {self._path} cannot be opened: {why} ({error})") from error
        with container:
            streams = [stream for stream in container.streams.video if not _is_cover(stream)]
            if not streams:
                raise SourceError(f"video {self._path} cannot be opened: it has no video that can be decoded")
            yield container, streams[0]

    def _decoded(self, damaged: list[str]) -> Iterator[tuple[Any, Any]]:
        """Yield the frames of FFmpeg in the order in which they are shown, with their stream.

        Args:
            damaged: gets an entry for each packet that cannot be read or decoded, or only with faults.
        """
        with self._open() as (container, stream):
            stream.thread_type = "AUTO"
            for packet in _packets(container, stream, damaged):
                try:
                    frames = packet.decode()
                except (av.FFmpegError, ValueError) as error:
                    damaged.append(str(error))
                    continue
                if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
                    damaged.append("corrupt")
                for frame in frames:
                    yield frame, stream

    def _rate(self, times: list[int], stream: Any) -> float:
        """Return the frames per second by the times of the frames, in the stream's own unit, or by its header."""
        steps = [end - begin for begin, end in pairwise(sorted(times)) if end > begin]
        usual = median(steps) if steps else 0
        near = [step for step in steps if usual <= 2 * step <= 3 * usual]
        stated = stream.average_rate or stream.guessed_rate or 0
        fps = float(len(near) / (sum(near) * stream.time_base) if near else stated)
        if not times:
            log.warning("video %s has no times of its frames; they are taken to be evenly spaced", self._path)
        if 0 < fps <= _MAX_FPS:
            return fps
        log.warning("video %s has %g frames per second; playing it at %g", self._path, fps, DEFAULT_FPS)
        return DEFAULT_FPS


class _Times:
    """Stamps of frames from their own times, ns, counted from the first frame.

    Args:
        period_ns: how long after the frame before one comes whose time is of no use.

    Attributes:
        guessed: how many those were.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns, self._stamp_ns, self.guessed = period_ns, -1, 0
        self._own_ns: int | None = None

    def next(self, own_ns: int | None) -> int:
        """Return the stamp of the next frame, ns; ``own_ns``: its own time, if it has one."""
        before_ns, first = self._own_ns, self._stamp_ns < 0
        step_ns = 0 if own_ns is None or before_ns is None else own_ns - before_ns
        if not first and not 0 < step_ns <= _MAX_STEP_NS:
            step_ns, self.guessed = self._period_ns, self.guessed + 1
        self._own_ns = own_ns if own_ns is not None or before_ns is None else before_ns + step_ns
        self._stamp_ns = 0 if first else self._stamp_ns + step_ns
        return self._stamp_ns


def _packets(container: Any, stream: Any, damaged: list[str]) -> Iterator[Any]:
    """Yield the packets of a stream, up to where the file can be read; ``damaged``: gets why it cannot be read on."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, ValueError) as error:
            damaged.append(str(error))
            return
        if packet is None:
            return
        yield packet


def _is_cover(stream: Any) -> bool:
    """Tell whether a stream is the one picture of a cover, or of a codec that FFmpeg lacks."""
    kinds = getattr(av.stream, "Disposition", None)  # the PyAV of older distributions cannot tell covers
    return stream.codec_context is None or bool(kinds and stream.disposition & kinds.attached_pic)


def _rotation(frame: Any, stream: Any) -> float:
    """Return by how many degrees a frame is to be turned counter-clockwise."""
    if hasattr(frame, "rotation"):
        return float(frame.rotation)
    # The PyAV of older distributions says it of the stream.
    stated = getattr(stream, "side_data", {}).get("DISPLAYMATRIX")
    return float(-int(stream.metadata.get("rotate", 0)) if stated is None else stated)


def _pixels(frame: Any, rotation: float) -> U8:
    """Return a frame of FFmpeg as (H, W, 3) uint8 blue, green, red, turned by quarters of a circle only."""
    # With the range and the matrix that the file states; if not told, PyAV takes those of standard television.
    colours = "JPEG" if frame.color_range == _FULL_RANGE else "MPEG"
    pixels = frame.to_ndarray(format="bgr24", src_color_range=colours, dst_colorspace="ITU601")
    turns = _TURNS.get(round(rotation / 90) % 4) if rotation % 90 == 0 else None
    return np.asarray(pixels if turns is None else cv2.rotate(pixels, turns), np.uint8)
