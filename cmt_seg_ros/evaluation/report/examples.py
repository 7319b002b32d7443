"""Example pictures of the report: what was found in a frame, what is true, where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.evaluation.job import FrameResult
from cmt_seg_ros.images.drawing import draw_masks
from cmt_seg_ros.images.pixels import to_bgr
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.structures import U8, GroundTruth, TrackState
from cmt_seg_ros.tracking.render import draw_tracks

EXAMPLES = "examples"
"""Folder of the pictures: ``<name>.jpg`` and, where there is ground truth, ``<name>-truth.jpg`` and so on."""

PANELS = {"": "found", "-truth": "true", "-difference": "red: wrong, grey: right, black: unlabelled"}
"""What the pictures of one frame show, by the ends of their names."""

_MAX_WIDTH_PX, _QUALITY = 720, 82
_ALPHA = SegmentationConfig.overlay_alpha
_RED, _WHITE = (60, 50, 225), (255, 255, 255)


def draw_examples(
    results: Iterable[FrameResult], labels: LabelSet, truth_lut: U8 | None, wanted: Mapping[str, int]
) -> dict[str, bytes]:
    """Draw frames; ``results`` are only read as far as needed.

    Args:
        results: of one clip.
        labels: of the predicted classes.
        truth_lut: (256,) uint8, predicted class id for each true one, else 255; None: true classes are others.
        wanted: index of a frame by the name its pictures get.

    Returns:
        JPEG by name: for each wanted frame ``name``, the image with masks and tracks, and, where it has ground
        truth, ``name-truth`` and ``name-difference``. Frames that the results lack are missing.
    """
    names: dict[int, list[str]] = {}
    for name, index in wanted.items():
        names.setdefault(index, []).append(name)
    found: dict[str, bytes] = {}
    for result in results:
        called = names.pop(result.index, None)
        if called:
            panels = {end: _jpeg(picture) for end, picture in _panels(result, labels, truth_lut)}
            found |= {f"{name}{end}": data for name in called for end, data in panels.items()}
        if not names:
            break
    return found


def save_examples(folder: Path, pictures: Mapping[str, bytes]) -> None:
    """Write the pictures to where the report of ``folder`` looks for them.

    Raises:
        OSError: they cannot be written.
    """
    (folder / EXAMPLES).mkdir(exist_ok=True)
    for name, data in pictures.items():
        (folder / EXAMPLES / f"{name}.jpg").write_bytes(data)


def load_examples(folder: Path) -> dict[str, list[bytes]]:
    """Return the pictures of each frame by its name, in the order of PANELS; of nothing drawn, nothing."""
    paths = {path.stem: path for path in (folder / EXAMPLES).glob("*.jpg")}
    ends = tuple(end for end in PANELS if end)
    names = sorted((name for name in paths if not name.endswith(ends)), key=_order)
    return {name: [paths[name + end].read_bytes() for end in PANELS if name + end in paths] for name in names}


def _order(name: str) -> tuple[int, str]:
    """Return a key that sorts frame 9 before frame 10."""
    digits = "".join(c for c in name if c.isdigit())
    return int(digits or 0), name


def _panels(result: FrameResult, labels: LabelSet, truth_lut: U8 | None) -> Iterator[tuple[str, U8]]:
    """Yield (end of its name, picture) of what is known of a frame."""
    image, masks, truth = to_bgr(result.frame), result.segmentation, result.frame.truth
    picture = image if masks is None else draw_masks(image, masks.class_ids, masks.objectness, labels, _ALPHA)
    seen = [track for track in result.tracks or () if track.state in (TrackState.CONFIRMED, TrackState.OCCLUDED)]
    yield "", draw_tracks(picture, seen, labels)
    if truth is None:
        return
    if truth.class_ids is not None and truth_lut is not None:
        true_ids = truth_lut[truth.class_ids]
        yield "-truth", _with_boxes(draw_masks(image, true_ids, truth.objectness, labels, _ALPHA), truth)
        if masks is not None:
            yield "-difference", draw_difference(image, masks.class_ids, true_ids)
    elif truth.boxes_px is not None:
        yield "-truth", _with_boxes(image, truth)


def draw_difference(image: U8, class_ids: U8, true_ids: U8) -> U8:
    """Show where masks are wrong.

    Args:
        image: (H, W, 3) uint8, blue, green, red.
        class_ids: (H, W) uint8, predicted; 255 = unlabelled, wrong wherever the truth knows a class.
        true_ids: (H, W) uint8; 255 = unlabelled.

    Returns:
        (H, W, 3) uint8: red where wrong, the image in pale grey where right, black where the truth is unlabelled.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) // 2 + 110
    picture: U8 = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR).astype(np.uint8, copy=False)
    picture[class_ids != true_ids] = _RED
    picture[true_ids == IGNORE_ID] = 0
    return picture


def _with_boxes(image: U8, truth: GroundTruth) -> U8:
    picture = np.ascontiguousarray(image).copy()
    for number, (left, top, right, bottom) in (truth.boxes_px or {}).items():
        corners = (round(left), round(top)), (round(right) - 1, round(bottom) - 1)
        cv2.rectangle(picture, *corners, _WHITE, 1, cv2.LINE_AA)
        at = corners[0][0] + 2, corners[0][1] + 12
        cv2.putText(picture, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _WHITE, 1, cv2.LINE_AA)
    return picture


def _jpeg(image: U8) -> bytes:
    height, width = image.shape[:2]
    if width > _MAX_WIDTH_PX:
        size = _MAX_WIDTH_PX, max(1, round(height * _MAX_WIDTH_PX / width))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
