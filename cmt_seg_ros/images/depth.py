"""Mono16Range: how many of the 16 bits the values of a camera's images use, as set or as seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cmt_seg_ros.encodings import ENCODINGS
from cmt_seg_ros.structures import Frame

# Nothing is brighter than a quarter of white: rather a sensor of fewer bits than a dark scene.
SUSPICIOUS_BITS = 14


class Mono16Range:
    """Bits of the images of 16 bits of each camera.

    Many cameras of 10, 12 or 14 bits write their values as they are: seen as 16 bits, all of them are almost black.

    Args:
        setting: ``mono16_range``: a number of bits, or "auto": as many as the highest value of the camera's images
            so far needs, so that brightness changes a few times at the start and not with every scene.
        warn: called with a sentence, once a camera, where the setting does not fit its images.
    """

    def __init__(self, setting: str, warn: Callable[[str], None]) -> None:
        self._set = None if setting == "auto" else int(setting)
        self._warn, self._warned = warn, set[str]()
        self._seen: dict[str, int] = {}

    def of(self, frame: Frame) -> Frame:
        """Return the frame with its ``bits``; one that has not 16 bits as it is.

        Args:
            frame: checked; those of a camera in their order.
        """
        if ENCODINGS[frame.encoding].dtype is not np.uint16:
            return frame
        if self._set is not None and frame.camera in self._warned:
            return replace(frame, bits=self._set)
        low, high = int(frame.pixels.min()), int(frame.pixels.max())
        bits = max(8, high.bit_length())
        if self._set is None:
            most = self._seen[frame.camera] = max(bits, self._seen.get(frame.camera, 0))
            return replace(frame, bits=most)
        if bits > self._set or (bits <= SUSPICIOUS_BITS and self._set == 16):
            self._warned.add(frame.camera)
            self._warn(self._sentence(frame, low, high, bits))
        return replace(frame, bits=self._set)

    def _sentence(self, frame: Frame, low: int, high: int, bits: int) -> str:
        camera = f"camera {frame.camera}" if frame.camera else "the camera"
        effect = "what is above is white" if bits > (self._set or 0) else "the network sees them darker than they are"
        return (
            f"values of the {frame.encoding} images of {camera} are {low} to {high}, which takes {bits} bits; "
            f"mono16_range is {self._set}, so {effect}. Set it to the bits that the camera has, or to auto"
        )
