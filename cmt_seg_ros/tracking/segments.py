"""Segments: the connected components of each object class in the masks of a frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import TrackingError
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.structures import U8, U16, Segment

FARTHEST = 100
"""Boxes must not lie further away than this many image sizes."""
MIN_AREA_PX = 4
"""Smaller components are noise in an image of any size."""


def find_segments(class_ids: U8, objectness: U8, labels: LabelSet, *, min_area_fraction: float) -> list[Segment]:
    """Find the segments in the masks of one frame.

    Args:
        class_ids: (H, W) uint8, class id per pixel.
        objectness: (H, W) uint8, 0 = no object, anything else = object.
        labels: of the classes, with which of them are objects.
        min_area_fraction: smaller components are dropped; share of the image's area, 0-1. Those below
            ``MIN_AREA_PX`` pixels are always dropped.

    Returns:
        Segments by class, then top to bottom and left to right.

    Raises:
        TrackingError: an array is not a 2-D uint8 array, or their sizes differ.
    """
    check_masks(class_ids, objectness)
    min_area = max(MIN_AREA_PX, min_area_fraction * class_ids.size)
    segments: list[Segment] = []
    for class_id in labels.object_ids:
        segments += _segments_of_class(class_ids, objectness, class_id, min_area)
    return segments


def segments_of_instances(
    class_ids: U8, objectness: U8, instance_ids: U16, labels: LabelSet, *, min_area_fraction: float
) -> list[Segment]:
    """Find the segments of a frame whose objects the network told apart; the numbers of the instances do not count.

    Args:
        class_ids: as of :func:`find_segments`.
        objectness: likewise.
        instance_ids: (H, W) uint16, object of each pixel, 0 = none.
        labels: as of :func:`find_segments`.
        min_area_fraction: likewise.

    Returns:
        A segment for each instance, of the class that most of its pixels have; then the components of pixels of object
        classes that belong to no instance. Instances whose class is no object are left out.

    Raises:
        TrackingError: as of :func:`find_segments`, also of the instances.
    """
    from scipy.ndimage import find_objects  # here, as importing it would delay the start of segmentation_node

    check_masks(class_ids, objectness)
    if instance_ids.dtype != np.uint16 or instance_ids.shape != class_ids.shape:
        raise TrackingError(
            f"instance_ids is {instance_ids.dtype} of shape {instance_ids.shape}; it must be uint16 {class_ids.shape}"
        )
    min_area = max(MIN_AREA_PX, min_area_fraction * class_ids.size)
    segments = []
    for number, window in enumerate(find_objects(instance_ids.astype(np.int32)), 1):
        if window is None:
            continue
        inside = instance_ids[window] == number
        area = int(np.count_nonzero(inside))
        class_id = int(np.bincount(class_ids[window][inside]).argmax())
        if area < min_area or class_id not in labels.object_ids:
            continue
        (y0, y1), (x0, x1) = ((part.start, part.stop) for part in window)
        y, x = np.nonzero(inside)
        centroid = float(x.mean()) + x0, float(y.mean()) + y0
        share = float(np.count_nonzero(objectness[window][inside]) / area)
        mask = inside.astype(np.uint8)
        segments.append(Segment(class_id, (x0, y0, x1, y1), centroid, area, share, mask, is_instance=True))
    rest = np.where(instance_ids == 0, class_ids, np.uint8(IGNORE_ID))
    return segments + find_segments(rest, objectness, labels, min_area_fraction=min_area_fraction)


def check_masks(class_ids: U8, objectness: U8) -> None:
    """Refuse masks that cannot be tracked; see :func:`find_segments`."""
    for name, mask in (("class_ids", class_ids), ("objectness", objectness)):
        if mask.dtype != np.uint8 or mask.ndim != 2 or not mask.size:
            raise TrackingError(f"{name} is {mask.dtype} of shape {mask.shape}; it must be uint8 (height, width)")
    if class_ids.shape != objectness.shape:
        raise TrackingError(
            f"class_ids is {class_ids.shape} and objectness {objectness.shape} (height, width); "
            "both must belong to one frame and have one size"
        )


def check_segments(segments: Sequence[Segment], size: tuple[int, int], labels: LabelSet) -> None:
    """Refuse segments that cannot be tracked.

    Raises:
        TrackingError: the image has no pixels; a box or a score is not a number, a box is empty or very far outside
            the image, a class is not one of the objects, a mask does not fit its box or is empty, or some segments
            have masks and others do not.
    """
    if min(size) < 1:
        raise TrackingError(f"the image is {size} (height, width); both must be 1 or more")
    farthest = FARTHEST * max(size)
    for segment in segments:
        left, top, right, bottom = segment.box_px
        if not (-farthest <= left < right <= farthest and -farthest <= top < bottom <= farthest):
            raise TrackingError(
                f"a segment's box is {segment.box_px}; expected left < right and top < bottom, pixels of an image of "
                f"{size} (height, width)"
            )
        if not 0 <= segment.score <= 1 or not segment.area_px > 0:
            raise TrackingError(
                f"a segment's score is {segment.score} and its area {segment.area_px}; expected 0-1 and over 0"
            )
        if segment.class_id not in labels.object_ids:
            raise TrackingError(f"a segment's class is {segment.class_id}; objects are {list(labels.object_ids)}")
        _check_mask(segment)
    if len({segment.mask is None for segment in segments}) > 1:
        raise TrackingError("some segments of the frame have a mask and some do not; give all of them masks, or none")


def _check_mask(segment: Segment) -> None:
    mask = segment.mask
    if mask is None:
        return
    x, y = segment.corner_px
    shape = round(segment.box_px[3]) - y, round(segment.box_px[2]) - x
    if mask.dtype != np.uint8 or mask.shape != shape or not mask.any() or mask.max() > 1:
        raise TrackingError(
            f"a segment's mask is {mask.dtype} of shape {mask.shape} in the box {segment.box_px}; it must be uint8 "
            f"{shape} (height, width) of 0 and 1, some of them 1"
        )


def occupied_by(segments: Sequence[Segment], size: tuple[int, int]) -> U8:
    """Return (H, W) uint8: 1 where a segment is (or its box, if only that is known), in an image of (height, width)."""
    image = np.zeros(size, np.uint8)
    for segment in segments:
        left, top, right, bottom = (round(v) for v in segment.box_px)
        window = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        if segment.mask is None:
            window[:] = 1
        else:
            mask = segment.mask[max(-top, 0) :, max(-left, 0) :]
            window |= mask[: window.shape[0], : window.shape[1]]
    return image


def outlines(segment: Segment) -> list[npt.NDArray[np.int32]]:
    """Return the outline of each part, or the box: (n, 2) int32, x and y of the corners in the image."""
    left, top, right, bottom = (round(v) for v in segment.box_px)
    if segment.mask is None:
        return [np.array([(left, top), (right - 1, top), (right - 1, bottom - 1), (left, bottom - 1)], np.int32)]
    parts = cv2.findContours(segment.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))[0]
    return [np.asarray(part, np.int32).reshape(-1, 2) for part in parts]


def _segments_of_class(class_ids: U8, objectness: U8, class_id: int, min_area: float) -> list[Segment]:
    """Find the segments of one class; labelling, which is slow, is limited to where the class is."""
    mask = np.equal(class_ids, class_id).view(np.uint8)
    x0, y0, crop_w, crop_h = cv2.boundingRect(mask)
    if not crop_w:
        return []
    crop, confirmed = mask[y0 : y0 + crop_h, x0 : x0 + crop_w], objectness[y0 : y0 + crop_h, x0 : x0 + crop_w]
    # Block-based labelling (Grana et al. 2010) takes less than half the time of OpenCV's default.
    _, pieces, stats, centroids = cv2.connectedComponentsWithStatsWithAlgorithm(crop, 8, cv2.CV_32S, cv2.CCL_BBDT)
    segments = []
    for piece in np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= min_area):
        if piece == 0:  # the background
            continue
        x, y, width, height, area = stats[piece].tolist()
        cut = np.equal(pieces[y : y + height, x : x + width], piece).view(np.uint8)
        share = np.count_nonzero(confirmed[y : y + height, x : x + width] * cut) / area
        centroid = float(centroids[piece, 0]) + x0, float(centroids[piece, 1]) + y0
        box = x0 + x, y0 + y, x0 + x + width, y0 + y + height
        segments.append(Segment(class_id, box, centroid, area, share, cut))
    return sorted(segments, key=lambda s: (s.box_px[1], s.box_px[0], s.box_px, s.area_px))
