"""An H.264 video out of images with stamps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from cmt_seg_ros.structures import U8

_TICKS_PER_S = 90_000  # clock of MPEG video
_LONGEST_NS = 1_000_000_000


class VideoFile:
    """Writes an .mp4 that every browser plays: H.264, yuv420p, index at the front.

    Frames are shown as far apart as their stamps are, so the video has the rate of its source, gaps
    included; a gap of more than a second (a paused bag) is shown as one second.

    Args:
        path: the file; overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._container: Any = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream: Any = None
        self._last_ns = 0
        self._time_ns = 0

    def write(self, pixels: U8, stamp_ns: int) -> bool:
        """Add a frame.

        Args:
            pixels: (H, W, 3) uint8, blue, green, red; frames of another size are scaled to the first's.
            stamp_ns: frames that are not newer than the one before are left out.

        Returns:
            Whether it was taken.
        """
        if self._stream is None:
            self._begin(pixels.shape[0], pixels.shape[1])
        elif stamp_ns <= self._last_ns:
            return False
        else:
            self._time_ns += min(stamp_ns - self._last_ns, _LONGEST_NS)
        self._last_ns = stamp_ns
        frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
        frame = frame.reformat(self._stream.width, self._stream.height, "yuv420p")
        frame.pts, frame.time_base = self._time_ns * _TICKS_PER_S // 1_000_000_000, Fraction(1, _TICKS_PER_S)
        self._container.mux(self._stream.encode(frame))
        return True

    def close(self) -> None:
        """Encode what is under way and write the index."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def _begin(self, height: int, width: int) -> None:
        # One thread: the encoder shares the machine with the network. 8 kB a frame at this quality and 640 x 360.
        options = {"preset": "veryfast", "crf": "23", "threads": "1"}
        self._stream = self._container.add_stream("libx264", rate=30, options=options)
        self._stream.width, self._stream.height = width - width % 2, height - height % 2  # yuv420p halves both
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        self._stream.codec_context.gop_size = 30
