"""Still pictures for the report, as JPEG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cmt_seg_ros.evaluation.recording import Recording
from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.structures import U8

_QUALITY = 82
_MAX_WIDTH_PX = 960


def video_stills(path: Path, count: int) -> list[bytes]:
    """Frames spread evenly over a video, as JPEG; none when it cannot be read."""
    if not path.is_file():
        return []
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        wanted, found = set(_spread(total, count)), []
        for index in range(max(wanted, default=-1) + 1):
            if not capture.grab():
                break
            if index in wanted:
                found.append(_jpeg(np.asarray(capture.retrieve()[1], np.uint8)))
        return found
    finally:
        capture.release()


def mask_stills(recording: Recording, labels: LabelSet, count: int) -> list[bytes]:
    """Class colours of frames spread evenly over a recording, as JPEG."""
    total = recording.header.counts["segmentation/mask"]
    wanted, found = set(_spread(total, count)), []
    masks = (frame.class_ids for frame in recording)
    for index, mask in enumerate(m for m in masks if m is not None):
        if index in wanted:
            found.append(_jpeg(labels.bgr_lut[mask]))
    return found


def _spread(total: int, count: int) -> Sequence[int]:
    """``count`` numbers from the middle of equal parts of 0 to ``total`` - 1."""
    return [int((i + 0.5) * total / count) for i in range(count)] if total >= count else range(total)


def _jpeg(image: U8) -> bytes:
    if image.shape[1] > _MAX_WIDTH_PX:
        height = round(image.shape[0] * _MAX_WIDTH_PX / image.shape[1])
        image = np.asarray(cv2.resize(image, (_MAX_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
