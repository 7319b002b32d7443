"""Temporal consistency: how far the mask of a frame agrees with the last one, moved along with the picture.

After Liu, Shen, Yu and Wang, "Efficient Semantic Video Segmentation with Per-frame Inference", ECCV 2020. Their
temporal consistency is the mean IoU of each mask and its predecessor, warped by optical flow (FlowNet2). This one
differs: it is the share of pixels that agree, so that frames add up and a class weighs what it covers; the flow is
the fast one of Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016; and pixels where the warped
picture does not look like the new one are left out: they were hidden before, or the flow is wrong.

No truth is needed. It says how steady masks are, not how good: a mistake that stays is steady. Not even true masks
reach 1, as flow errs at outlines: those of the synthetic street reach 0.98.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.labels import IGNORE_ID
from cmt_seg_ros.structures import U8

F32 = npt.NDArray[np.float32]

FLOW_PX = 320
"""Images are scaled down to this width or height for the flow; of the masks as many pixels are compared."""
MIN_FLOW_PX = 32
"""And never further down: OpenCV's flow fails on smaller ones."""
ALIKE = 12
"""Greatest difference of two grey values (0-255) that may show the same place: above a camera's noise."""


class TemporalConsistency:
    """Compares each mask with the one before it; takes the frames of one camera in their order.

    What it keeps are plain values and arrays: an evaluation saves it between frames and goes on later.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last frame, as after a cut."""
        self._last: tuple[U8, U8] | None = None  # small grey picture, class ids

    def add(self, image_bgr: U8, class_ids: U8) -> tuple[int, int] | None:
        """Take the next frame.

        Args:
            image_bgr: (H, W, 3) uint8, blue, green, red.
            class_ids: (H, W) uint8, predicted class ids; 255 = unlabelled, which is not compared.

        Returns:
            Agreeing and compared pixels, out of an even grid of them, at most ``FLOW_PX`` wide and high; None for
            the first frame and after a change of size.

        Raises:
            ValueError: the mask is not of the image's size.
        """
        if image_bgr.shape[:2] != class_ids.shape:
            raise ValueError(f"image is {image_bgr.shape}, mask {class_ids.shape}; both must have one height and width")
        last, self._last = self._last, (_small_grey(image_bgr), class_ids.copy())
        return None if last is None or last[1].shape != class_ids.shape else _agreement(*last, *self._last)


def _small_grey(image_bgr: U8) -> U8:
    """Return the picture in grey, as small as the flow takes it: (h, w) uint8."""
    height, width = image_bgr.shape[:2]
    scale = min(1.0, FLOW_PX / max(height, width))
    size = max(round(width * scale), MIN_FLOW_PX), max(round(height * scale), MIN_FLOW_PX)
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _agreement(last_grey: U8, last_ids: U8, grey: U8, ids: U8) -> tuple[int, int]:
    """Return agreeing and compared pixels of two frames: small grey pictures (h, w), class ids (H, W)."""
    # The engine keeps nothing that the next frame needs, and making it costs nothing; kept, it could not be saved.
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    # From this frame back to the last: for each pixel where it was.
    flow = engine.calc(grey, last_grey, None)
    before = cv2.remap(last_grey, cv2.add(_grid(grey.shape, grey.shape), flow), None, cv2.INTER_LINEAR)
    alike = cv2.absdiff(before, grey) <= ALIKE
    # Masks are looked up at their own size, if only at the small picture's pixels: scaled down, outlines would shift.
    grid = _grid(ids.shape, grey.shape)
    flow = cv2.multiply(flow, (ids.shape[1] / grey.shape[1], ids.shape[0] / grey.shape[0], 0, 0))
    now, was = _look_up(ids, grid), _look_up(last_ids, cv2.add(grid, flow))
    compared = alike & (now != IGNORE_ID) & (was != IGNORE_ID)
    return np.count_nonzero(compared & (now == was)), np.count_nonzero(compared)


@lru_cache(maxsize=8)
def _grid(shape: tuple[int, int], small: tuple[int, int]) -> F32:
    """Return the pixel of an image in the middle of each of a smaller one: (h, w, 2) float32, x and y."""
    y, x = (np.floor((np.arange(n) + 0.5) * (full / n)) for full, n in zip(shape, small, strict=True))
    return np.dstack(np.meshgrid(x, y)).astype(np.float32)


def _look_up(ids: U8, places: F32) -> U8:
    """Return class ids at places (h, w, 2), x and y in pixels; unlabelled outside of the mask."""
    found = cv2.remap(ids, places, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(IGNORE_ID,))
    return np.asarray(found, np.uint8)
