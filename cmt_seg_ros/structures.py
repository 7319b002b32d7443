"""Data structures passed between layers: frozen dataclasses of numpy arrays.

Shapes are (height, width[, channels]). Boxes are (left, top, right, bottom) in pixels, right and
bottom exclusive. Stamps are integer nanoseconds, as in ROS.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.encodings import ENCODINGS, Encoding, Pixels
from cmt_seg_ros.errors import FrameError

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
F64 = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Ground truth of a frame (complete for a synthetic scene, partial for a data set).

    Attributes:
        class_ids: (H, W) uint8, class id per pixel, 255 = unlabelled; None where unknown.
        objectness: (H, W) uint8, 255 where the class is an object, else 0; None where unknown.
        instance_ids: (H, W) uint16, object id per pixel, 0 = none; None where unknown. An id stays
            with its object for the whole sequence.
        boxes_px: boxes of all true objects by id, for truth that knows no pixels (MOTChallenge); None where unknown.
        camera_pose: (4, 4) float64, world from camera, metres; camera axes x right, y down,
            z forward; None where unknown.
        intrinsics: (3, 3) float64 pinhole matrix in pixels; None where unknown.
    """

    class_ids: U8 | None = None
    objectness: U8 | None = None
    instance_ids: U16 | None = None
    boxes_px: Mapping[int, Box] | None = None
    camera_pose: F64 | None = None
    intrinsics: F64 | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of one camera.

    Attributes:
        camera: name of the camera; batching and counting go by it.
        stamp_ns: time of capture, ns.
        pixels: as ``encoding`` says: (H, W, C) uint8, for one channel also (H, W); mono16: (H, W) uint16 in either
            byte order; yuv422 and its like: (H, W, 2) uint8; nv12, nv21, i420: (H * 3 / 2, W) uint8, the rows of
            luma first, then those of chroma (of i420 two in a row); jpeg, png and their like: (n,) uint8, the bytes
            of the file.
            Rows may be padded (a strided view), the last axis is contiguous.
        encoding: ROS name, one of ENCODINGS.
        frame_id: ROS coordinate frame, handed through.
        name: where it came from (a file's stem, a frame number); used to name outputs.
        truth: ground truth, where known.
        decoded_from: the frame with the jpeg or png that the pixels were decoded from; None: they came as they are.
    """

    camera: str
    stamp_ns: int
    pixels: Pixels
    encoding: str = "bgr8"
    frame_id: str = ""
    name: str = ""
    truth: GroundTruth | None = None
    decoded_from: Frame | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image in pixels.

        Raises:
            FrameError: jpeg or png: decode it first (``images.pixels.decoded``).
        """
        encoding = ENCODINGS.get(self.encoding, Encoding())
        if encoding.compressed:
            raise FrameError(f"a {self.encoding} frame has no size before it is decoded", "not_decoded")
        rows, columns = self.pixels.shape[:2]
        return (rows * 2 // 3 if encoding.planar else rows), columns


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Masks of one frame, at the frame's own size.

    Attributes:
        camera, stamp_ns, frame_id, name: as of the frame.
        class_ids: (H, W) uint8, class id per pixel, 255 = unlabelled.
        objectness: (H, W) uint8, 0 or 255; None where nobody wanted it.
        confidence: (H, W) uint8, fused probability of the network's first choice, 0-255 for 0-1; so also where
            that was too improbable for a label, or smoothing chose another one; None where nobody wanted it.
        top_ids: (k, H, W) uint8, the k most probable class ids per pixel, most probable first, before threshold
            and smoothing (never 255); None unless ``top_k`` is above 1.
        top_scores: (k, H, W) uint8, their fused probabilities, 0-255 for 0-1; None unless ``top_k`` is above 1.
    """

    camera: str
    stamp_ns: int
    class_ids: U8
    objectness: U8 | None = None
    confidence: U8 | None = None
    frame_id: str = ""
    name: str = ""
    top_ids: U8 | None = None
    top_scores: U8 | None = None


@dataclass(frozen=True, eq=False)
class Segment:
    """Image region of one object in one frame: a connected component, a part of one, or a detector's box.

    Attributes:
        class_id: id of an object class.
        box_px: (left, top, right, bottom), right and bottom exclusive.
        centroid_px: (x, y) mean of its pixels; of a box its centre.
        area_px: number of its pixels; of a box its area.
        score: share of its pixels that the objectness mask confirms, or the detector's score; 0-1.
        mask: (h, w) uint8 0/1, cut to the box, whose corners are whole numbers then; None if only a box is known.
    """

    class_id: int
    box_px: Box
    centroid_px: tuple[float, float]
    area_px: float
    score: float
    mask: U8 | None = None

    @property
    def corner_px(self) -> tuple[int, int]:
        """(x, y) of the pixel of the image where the mask's first pixel lies."""
        return round(self.box_px[0]), round(self.box_px[1])


class TrackState(enum.IntEnum):
    """State of a track; the numbers are those of ``msg/Track.msg``.

    TENTATIVE: seen too few times to be sure. CONFIRMED: seen in this frame. OCCLUDED: not seen in this frame, waited
    for. LOST: given up; reported in one frame, the last.
    """

    TENTATIVE = 0
    CONFIRMED = 1
    OCCLUDED = 2
    LOST = 3


class TrackEvent(enum.IntEnum):
    """Event of a track in this frame; the numbers are those of ``msg/Track.msg``.

    ENTERED: it was confirmed in this frame. LEFT: it was given up in this frame, and had been confirmed before.
    """

    NONE = 0
    ENTERED = 1
    LEFT = 2


@dataclass(frozen=True, eq=False)
class Track:
    """One object at one instant.

    Attributes:
        track_id: 1, 2, ...; never used again by the same tracker.
        class_id: id of its object class.
        box_px: matched box (left, top, right, bottom), of the whole object where a part of it is hidden by another
            of its class; the predicted one while it is not seen.
        velocity_px_s: (x, y) of the box centre, pixels per second.
        score: of the last matched segment, 0-1.
        state: see TrackState.
        age_s: seconds since it was first seen.
        unseen_s: seconds since it was last matched, 0 in a frame that shows it.
        segment: the pixels that show it; None in a frame that does not.
        event: see TrackEvent.
        covariance: (4, 4) float64 of centre x, centre y (px) and their velocities (px/s).
    """

    track_id: int
    class_id: int
    box_px: Box
    velocity_px_s: tuple[float, float]
    score: float
    state: TrackState
    age_s: float
    unseen_s: float
    segment: Segment | None = None
    event: TrackEvent = TrackEvent.NONE
    covariance: F64 = field(default_factory=lambda: np.zeros((4, 4)))

    @property
    def mask(self) -> U8 | None:
        """(h, w) uint8 0/1, its pixels, at ``segment.corner_px``; None if not seen or only a box is known."""
        return None if self.segment is None else self.segment.mask
