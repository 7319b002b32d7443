"""MOT15 sequences: boxes of a detector, masks drawn from the ground truth, and the scores of perfect ids."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.metrics.matching import box_iou
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.sources.masks import OBJECT, MaskFolder
from cmt_seg_ros.sources.motchallenge import read_detections, row_of
from cmt_seg_ros.sources.pictures import Pictures
from cmt_seg_ros.structures import F64, U8

COMPONENT_SCORE = 0.9  # of the box of a component, for trackers that want a score
# Smaller components of real masks are noise: of this share of the image's area. For all trackers the same.
MIN_AREA_FRACTION = 0.0003
SAME_OBJECT_IOU = 0.5
VTEST = "PETS09-S2L1"  # the sequence whose video vtest is


@dataclass(frozen=True, eq=False)
class MotSequence:
    """A sequence with its ground truth.

    Attributes:
        folder: with gt/gt.txt, det/det.txt and seqinfo.ini.
        name: of the folder.
        size: (height, width) of the images, pixels.
        fps: frames per second.
        length: number of frames.
        truth: (n, 6) float64, frame (1 and up), id, left, top, width, height of what is ground truth.
    """

    folder: Path
    name: str
    size: tuple[int, int]
    fps: float
    length: int
    truth: F64

    @classmethod
    def read(cls, folder: Path) -> MotSequence:
        """Read a sequence's folder.

        Raises:
            CmtSegError: a file is missing or malformed.
        """
        try:
            parser = configparser.ConfigParser()
            parser.read_string((folder / "seqinfo.ini").read_text(encoding="utf-8"))
            info = parser["Sequence"]
            rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",", ndmin=2)
            size = int(info["imHeight"]), int(info["imWidth"])
            truth = rows[rows[:, 6] != 0, :6]  # rows with score 0 are not ground truth
            return cls(folder, folder.name, size, float(info["frameRate"]), int(info["seqLength"]), truth)
        except (OSError, ValueError, KeyError, IndexError, configparser.Error) as error:
            raise CmtSegError(f"{folder} is no MOT15 sequence (gt/gt.txt, seqinfo.ini): {error}") from error

    def true_boxes(self, frame: int) -> tuple[F64, F64]:
        """(n,) ids and (n, 4) boxes (left, top, right, bottom) of a frame, 1 and up."""
        rows = self.truth[self.truth[:, 0] == frame]
        return rows[:, 1], np.c_[rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]

    def ideal_masks(self) -> Iterator[U8]:
        """(H, W) uint8 0/1 of each frame: the ellipses of all true boxes, so that people who overlap are one piece."""
        for frame in range(1, self.length + 1):
            mask = np.zeros(self.size, np.uint8)
            for left, top, width, height in self.truth[self.truth[:, 0] == frame, 2:6]:
                centre = int(left + width / 2), int(top + height / 2)
                cv2.ellipse(mask, centre, (int(width / 2), int(height / 2)), 0, 0, 360, 1, -1)
            yield mask


@dataclass(frozen=True, eq=False)
class Material:
    """What trackers get of one sequence.

    Attributes:
        sequence: with the truth.
        boxes: of each frame, (n, 5) float64 left, top, right, bottom, score.
        masks: makes the (H, W) uint8 0/1 masks of the frames; None: there are only boxes.
        images: makes the (H, W, 3) uint8 images of the frames; None: there are none.
    """

    sequence: MotSequence
    boxes: list[F64]
    masks: Callable[[], Iterator[U8]] | None = None
    images: Callable[[], Iterator[U8]] | None = None


def public_boxes(sequence: MotSequence) -> Material:
    """The boxes of the benchmark's own detector."""
    found = read_detections(sequence.folder / "det" / "det.txt", Problems())
    frames = [
        np.array([(*segment.box_px, segment.score) for segment in found.get(frame, ())], np.float64).reshape(-1, 5)
        for frame in range(1, sequence.length + 1)
    ]
    return Material(sequence, frames)


def ideal_blobs(sequence: MotSequence) -> Material:
    """Masks drawn from the truth; boxes of their components."""
    boxes = [component_boxes(mask, 0.0) for mask in sequence.ideal_masks()]
    _compare(boxes, sequence.folder.parent / "blob" / f"{sequence.name}.txt")
    return Material(sequence, boxes, sequence.ideal_masks)


def real_masks(sequence: MotSequence, vtest: Path) -> Material:
    """Masks of a video that background subtraction made; boxes of their components."""
    masks = partial(_masks_of, vtest / "masks", sequence.fps)
    pictures = Pictures(vtest / "vtest.avi")

    def images() -> Iterator[U8]:
        return (image for image, _ in pictures.first(sequence.length, sequence.size))

    boxes = [component_boxes(mask, MIN_AREA_FRACTION * mask.size) for mask in masks()]
    return Material(sequence, boxes, masks, images)


def component_boxes(mask: U8, min_area: float) -> F64:
    """Boxes of the 8-connected components of a mask.

    Args:
        mask: (H, W) uint8, 0 = nothing.
        min_area: smaller components are left out, pixels.

    Returns:
        (n, 5) float64 left, top, right, bottom, score.
    """
    stats = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:].astype(np.float64)
    stats = stats[stats[:, cv2.CC_STAT_AREA] >= min_area]
    return np.c_[stats[:, :2], stats[:, :2] + stats[:, 2:4], np.full(len(stats), COMPONENT_SCORE)]


def perfect_identities(material: Material) -> list[str]:
    """Rows of a results file: each box with the id of the true object that it shows; boxes that show none are left out.

    No tracker that gives ids to these boxes can score more, but for one that also mends or adds boxes.
    """
    rows = []
    for frame, boxes in enumerate(material.boxes, start=1):
        ids, truth = material.sequence.true_boxes(frame)
        iou = box_iou(truth, boxes[:, :4])
        iou[iou < SAME_OBJECT_IOU] = 0
        for i, j in zip(*linear_sum_assignment(iou, maximize=True), strict=True):
            if iou[i, j] > 0:
                rows.append(box_row(frame, int(ids[i]), boxes[j]))
    return rows


def box_row(frame: int, track_id: int, box: F64) -> str:
    """A line of a results file; ``box`` is left, top, right, bottom, score."""
    left, top, right, bottom, score = box
    return row_of(frame, track_id, (left, top, right - left, bottom - top), score)


def _masks_of(folder: Path, fps: float) -> Iterator[U8]:
    for frame in MaskFolder(folder, fps, labels=OBJECT):
        yield np.equal(frame.segmentation.class_ids, 0).view(np.uint8)  # 0: the one class of binary masks


def _compare(boxes: list[F64], path: Path) -> None:
    """Make sure that redrawn masks are those that others were judged on, where the boxes of these are known."""
    if not path.is_file():
        return
    known = np.loadtxt(path, delimiter=",", ndmin=2)
    for frame, found in enumerate(boxes, start=1):
        expected = sorted(map(tuple, known[known[:, 0] == frame, 2:6]))
        if sorted(map(tuple, np.c_[found[:, :2], found[:, 2:4] - found[:, :2]])) != expected:
            raise CmtSegError(f"frame {frame}: the components of the drawn mask are not those of {path}")
