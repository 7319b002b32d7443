"""Data structures passed between layers: frozen dataclasses of numpy arrays.

Shapes are (height, width[, channels]). Boxes are (left, top, right, bottom) in pixels, right and
bottom exclusive. Stamps are integer nanoseconds, as in ROS.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.encodings import ENCODINGS, Encoding, Pixels
from cmt_seg_ros.errors import FrameError

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
F64 = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]


class OtherBox(NamedTuple):
    """A true box that does not count.

    Attributes:
        box_px: the box.
        is_distractor: a track on it does not count either.
        place: how many boxes that count come before it in the file.
    """

    box_px: Box
    is_distractor: bool
    place: int


class TrueBoxes(NamedTuple):
    """True boxes of a frame: those that count, by the object's id, and the others, both in the order of the file."""

    boxes_px: dict[int, Box]
    others: list[OtherBox]


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Ground truth of a frame (complete for a synthetic scene, partial for a data set).

    Attributes:
        class_ids: (H, W) uint8, class id per pixel, 255 = unlabelled; None where unknown.
        objectness: (H, W) uint8, 255 where the class is an object, else 0; None where unknown.
        instance_ids: (H, W) uint16, object id per pixel, 0 = none; None where unknown. An id stays
            with its object for the whole sequence.
        boxes_px: box of each true object by id, for ground truth without masks (MOTChallenge); None where unknown.
        camera_pose: (4, 4) float64, world from camera, metres; camera axes x right, y down,
            z forward; None where unknown.
        intrinsics: (3, 3) float64 pinhole matrix in pixels; None where unknown.
        other_boxes: beside ``boxes_px``, true boxes that do not count.
    """

    class_ids: U8 | None = None
    objectness: U8 | None = None
    instance_ids: U16 | None = None
    boxes_px: Mapping[int, Box] | None = None
    camera_pose: F64 | None = None
    intrinsics: F64 | None = None
    other_boxes: Sequence[OtherBox] = ()


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of one camera.

    Attributes:
        camera: name of the camera; frames are batched and counted per camera.
        stamp_ns: time of capture, ns.
        pixels: laid out according to ``encoding``: (H, W, C) uint8, for one channel also (H, W); mono16: (H, W) uint16,
            rgb16 and bgr16: (H, W, 3) uint16, in either byte order; yuv422 variants: (H, W, 2) uint8; nv12, nv21, i420:
            (H * 3 / 2, W) uint8, luma rows first, then chroma rows (in i420 two chroma rows per row); jpeg, png and the
            like: (n,) uint8, the bytes of the file. Rows may be padded (a strided view); the last axis is contiguous.
        encoding: ROS name, one of ENCODINGS.
        frame_id: ROS coordinate frame, passed through unchanged.
        name: origin of the frame (stem of a file, frame number); used to name outputs.
        truth: ground truth, None where unknown.
        bits: of encodings of 16 bits: how many of them the values use; 12: 4095 is white. Of others it has no meaning.
        decoded_from: the frame with the jpeg or png that the pixels were decoded from; None: they came as they are.
    """

    camera: str
    stamp_ns: int
    pixels: Pixels
    encoding: str = "bgr8"
    frame_id: str = ""
    name: str = ""
    truth: GroundTruth | None = None
    bits: int = 16
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


@dataclass(frozen=True)
class Instance:
    """One object of one frame.

    Attributes:
        instance_id: its value in an image of instances, 1, 2, ...
        class_id: id of its class.
        score: 0-1.
        box_px: (left, top, right, bottom), right and bottom exclusive, within the image.
        area_px: number of its visible pixels.
    """

    instance_id: int
    class_id: int
    score: float
    box_px: Box
    area_px: int


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Masks of one frame, at the frame's own size.

    Attributes:
        camera, stamp_ns, frame_id, name: those of the frame.
        class_ids: (H, W) uint8, class id per pixel, 255 = unlabelled.
        objectness: (H, W) uint8, 0 or 255; None if it was not requested.
        confidence: (H, W) uint8, fused probability of the network's first choice, 0-255 for 0-1, even where the
            threshold left the pixel unlabelled or smoothing chose another class; None if it was not requested.
        top_ids: (k, H, W) uint8, the k most probable class ids per pixel, most probable first, before threshold
            and smoothing (never 255); None unless ``top_k`` is above 1.
        top_scores: (k, H, W) uint8, their fused probabilities, 0-255 for 0-1; None unless ``top_k`` is above 1.
        instance_ids: (H, W) uint16, object of each pixel, 0 = none, 1, 2, ... by falling score; None if it was not
            requested, or the model gives no instances.
        instances: the objects of ``instance_ids`` in that order; None likewise.
        edges: (H, W) uint8, probability that the pixel is at the edge of an object, 0-255 for 0-1; None likewise.
        distance: (H, W) uint8, distance of an object's pixel to its edge, 25.5 for each pixel up to 10, 0 where
            there is no object; None likewise.
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
    instance_ids: U16 | None = None
    instances: tuple[Instance, ...] | None = None
    edges: U8 | None = None
    distance: U8 | None = None


@dataclass(frozen=True, eq=False)
class Segment:
    """Image region of one object in one frame: a connected component, a part of one, or a detector's box.

    Attributes:
        class_id: id of an object class.
        box_px: (left, top, right, bottom), right and bottom exclusive.
        centroid_px: (x, y) mean of its pixels; for a box, its centre.
        area_px: number of its pixels; for a box, its area.
        score: share of its pixels confirmed by the objectness mask, or the detector's score; 0-1.
        mask: (h, w) uint8 0/1, cropped to the box, whose corners are then integers; None if only a box is known.
        is_instance: the network told it apart from others of its class: it is neither divided nor joined with them.
    """

    class_id: int
    box_px: Box
    centroid_px: tuple[float, float]
    area_px: float
    score: float
    mask: U8 | None = None
    is_instance: bool = False

    @property
    def corner_px(self) -> tuple[int, int]:
        """(x, y) image pixel of the mask's top left pixel."""
        return round(self.box_px[0]), round(self.box_px[1])


class TrackState(enum.IntEnum):
    """State of a track; the numbers are those of ``msg/Track.msg``.

    TENTATIVE: new, matched in fewer than ``min_hits`` frames. CONFIRMED: matched in this frame. OCCLUDED: not matched
    in this frame, position predicted. LOST: deleted; reported once, in its last frame.
    """

    TENTATIVE = 0
    CONFIRMED = 1
    OCCLUDED = 2
    LOST = 3


class TrackEvent(enum.IntEnum):
    """Event of a track in this frame; the numbers are those of ``msg/Track.msg``.

    ENTERED: it became confirmed in this frame. LEFT: it became lost in this frame, after having been confirmed.
    """

    NONE = 0
    ENTERED = 1
    LEFT = 2


@dataclass(frozen=True, eq=False)
class Track:
    """One object at one instant.

    Attributes:
        track_id: 1, 2, ...; never reused by the same tracker.
        class_id: id of its object class.
        box_px: matched box (left, top, right, bottom); the box of the whole object where another object of its class
            hides part of it; the predicted box in frames without a match.
        velocity_px_s: velocity (x, y) of the box centre, pixels per second.
        score: score of the last matched segment, 0-1.
        state: see TrackState.
        age_s: seconds since the first match.
        unseen_s: seconds since the last match, 0 in a frame with a match.
        segment: pixels of the object in this frame; None without a match.
        event: see TrackEvent.
        covariance: (4, 4) float64 covariance of centre x, centre y (px) and their velocities (px/s).
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
        """(h, w) uint8 0/1 mask, placed at ``segment.corner_px``; None without a match or if only a box is known."""
        return None if self.segment is None else self.segment.mask
