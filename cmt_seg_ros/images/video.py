"""Video file: H.264 in an .mp4 that every browser plays, out of images with stamps."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.structures import U8

_TICKS_PER_S = 90_000  # clock of MPEG video


class VideoFile:
    """Writes an .mp4: H.264, yuv420p, index at the front.

    Frames are shown as far apart as their stamps are, so the video has the rate of its source, gaps included.

    The file appears when it is complete: until :meth:`close` its content is in ``.<name>.part`` beside it (not by
    files.replace_with, which needs a ``with`` block around all of it). Without any frame there is no file.

    Args:
        path: the file; replaced.
        max_gap_s: a longer gap between two frames (a paused bag) is shown as this one.

    Raises:
        OSError: the file cannot be written; also of all methods.
    """

    def __init__(self, path: Path, max_gap_s: float = 1.0) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._max_gap_ns = max_gap_s * 1e9
        self._part.unlink(missing_ok=True)  # a link would be written through
        self._part.touch()  # PyAV would open it only with the first frame
        try:
            self._container: Any = av.open(str(self._part), "w", "mp4", options={"movflags": "faststart"})
        except av.FFmpegError as error:
            self._part.unlink(missing_ok=True)
            raise self._failed(error) from error
        self._stream: Any = None
        self._last_ns, self._time_ns, self._ticks, self._gap = 0, 0, -1, 1

    def write(self, pixels: U8, stamp_ns: int) -> bool:
        """Add a frame.

        Args:
            pixels: (H, W, 3) uint8 blue-green-red, a last odd row or column is left out; frames of another size are
                scaled to the first one's.
            stamp_ns: time of the frame, ns; frames that are not newer than the one before are left out.

        Returns:
            Whether it was taken.

        Raises:
            FrameError: a side has less than 2 pixels (``bad_size``).
        """
        if self._stream is not None and stamp_ns <= self._last_ns:
            return False
        height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2  # yuv420p halves both
        if not height or not width:
            raise FrameError(f"image is {pixels.shape[1]}x{pixels.shape[0]}; a video needs 2x2 or more", "bad_size")
        if self._stream is None:
            self._stream = self._add_stream(height, width)
        else:
            self._time_ns += int(min(stamp_ns - self._last_ns, self._max_gap_ns))
        self._last_ns = stamp_ns
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="bgr24")
        frame = frame.reformat(self._stream.width, self._stream.height, "yuv420p")
        before, self._ticks = self._ticks, max(self._ticks + 1, round(self._time_ns * _TICKS_PER_S / 1e9))
        self._gap = self._ticks - before if before >= 0 else _TICKS_PER_S // 30
        frame.pts, frame.time_base = self._ticks, Fraction(1, _TICKS_PER_S)
        self._encode(frame)
        return True

    def close(self) -> None:
        """Encode what is left, write the index, and give the file its name."""
        if self._stream is None:
            self.discard()
            return
        try:
            self._encode(None)
            self._container.close()
            os.replace(self._part, self._path)
        except av.FFmpegError as error:
            raise self._failed(error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Delete what was written; a file of this name that was there before stays."""
        with suppress(av.FFmpegError):
            self._container.close()  # once more does nothing
        self._part.unlink(missing_ok=True)

    def _encode(self, frame: Any) -> None:
        """Encode a frame, or, of None, what the encoder still holds."""
        try:
            for packet in self._stream.encode(frame):
                packet.duration = self._gap  # only that of the last one counts: as long as the frame before it
                self._container.mux(packet)
        except av.FFmpegError as error:
            raise self._failed(error) from error

    def _add_stream(self, height: int, width: int) -> Any:
        # One thread: the encoder shares the machine with the network. 8 kB a frame at this quality and 640 x 360.
        options = {"preset": "veryfast", "crf": "23", "threads": "1"}
        try:
            stream = self._container.add_stream("libx264", rate=30, options=options)
        except (av.FFmpegError, ValueError) as error:  # a PyAV that was built without this encoder
            raise self._failed(error) from error
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        stream.codec_context.gop_size = 30
        return stream

    def _failed(self, error: Exception) -> OSError:
        return OSError(f"{self._path} cannot be written: {error}")
