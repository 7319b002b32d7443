"""Writes small videos whose frames have times of their own."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (48, 64)
CODECS = {
    ".mp4": "libx264", ".mov": "mpeg4", ".mkv": "libx264", ".webm": "libvpx", ".avi": "mpeg4", ".ts": "libx264",
}  # fmt: skip
"""The codec of each container."""


def write_timed(
    path: Path, times: Sequence[int], options: dict[str, str] | None = None, tick: Fraction = Fraction(1, 1000)
) -> Path:
    """Write a video whose frames become lighter and lighter.

    Args:
        path: the file; its suffix is one of :data:`CODECS`.
        times: when the frames are shown, ticks.
        options: of the container.
        tick: seconds.
    """
    noise = np.random.default_rng(0)  # or all frames but the first would have a few bytes
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(CODECS[path.suffix], rate=30)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = stream.codec_context.time_base = tick
        if stream.codec_context.name == "libx264":
            stream.codec_context.max_b_frames = 2  # decoded in another order than shown
        for number, time in enumerate(times):
            pixels = np.repeat(grey(number) + noise.integers(-20, 21, (*SIZE, 1)), 3, axis=2).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "bgr24")
            frame.pts, frame.time_base = time, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def grey(number: int) -> int:
    """Mean of the pixels of a frame."""
    return 40 + 8 * number
