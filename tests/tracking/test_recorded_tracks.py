"""Recorded tracks: the tracker gives what it gave when the record was made, on 40 frames of the synthetic street.

A failure means that results changed. If that was on purpose, renew the record and say so in the changelog::

    PYTHONPATH=tests:. python tests/tracking/test_recorded_tracks.py
"""

from __future__ import annotations

import numpy as np
from support import ROOT

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.labels import CAMVID, IGNORE_ID
from cmt_seg_ros.structures import F64, U8, Segmentation
from cmt_seg_ros.tracking.tracker import Tracker

RECORD = ROOT / "tests" / "data" / "recorded_tracks.npz"
FPS = 15
BOX_PX = 2e-3
"""Boxes may differ by that much: processors round differently."""


def track(masks: U8) -> tuple[np.ndarray, F64]:
    """Track (T, H, W) class ids; (N, 4) frame, id, class, state and (N, 4) boxes in pixels, to a thousandth."""
    tracker, numbers, boxes = Tracker(CAMVID, TrackerConfig()), [], []
    for index, class_ids in enumerate(masks):
        objectness = np.where(class_ids != IGNORE_ID, 255, 0).astype(np.uint8)
        for t in tracker.update(Segmentation("street", round(index * 1e9 / FPS), class_ids, objectness)):
            numbers.append((index, t.track_id, t.class_id, int(t.state)))
            boxes.append(t.box_px)
    return np.array(numbers, np.int16), np.round(np.array(boxes, np.float64), 3)


def test_tracks_are_those_of_the_record() -> None:
    with np.load(RECORD) as record:
        numbers, boxes = track(record["masks"])
        np.testing.assert_array_equal(numbers, record["numbers"])
        np.testing.assert_allclose(boxes, record["boxes"], rtol=0, atol=BOX_PX)


def renew() -> None:
    """Render the clip, of which the objects are kept, track it, and write the record."""
    from cmt_seg_ros.street import StreetScene

    truths = [frame.truth for frame in StreetScene(320, 180, FPS, frames=40, seed=7)]
    masks = np.array([np.where(t.objectness, t.class_ids, IGNORE_ID) for t in truths if t is not None], np.uint8)
    numbers, boxes = track(masks)
    np.savez_compressed(RECORD, masks=masks, numbers=numbers, boxes=boxes.astype(np.float32))


if __name__ == "__main__":
    renew()
