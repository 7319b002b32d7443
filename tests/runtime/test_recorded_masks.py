"""Recorded masks: the shipped model gives what it gave when the record was made, on two frames of the street.

A failure means that results changed. If that was on purpose, renew the record and say so in the changelog::

    PYTHONPATH=tests:. python tests/runtime/test_recorded_masks.py
"""

from __future__ import annotations

import numpy as np
from support import ROOT

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import U8

RECORD = ROOT / "tests" / "data" / "recorded_masks.npz"
MODEL = "cmt-mchh-lite-camvid"
EQUAL = 0.999
"""Share of pixels that must be equal: processors round differently."""


def segment() -> tuple[U8, U8]:
    """(2, H, W) class ids and objectness of two frames a second apart."""
    config = SegmentationConfig(model=str(ROOT / "models" / MODEL), device="CPU", precision="f32")
    scene, pipeline = StreetScene(320, 180, frames=16, seed=3), Pipeline(config)
    found = [pipeline.process([scene.frame(index)])[0] for index in (0, 15)]
    return np.array([s.class_ids for s in found]), np.array([s.objectness for s in found])


def test_masks_are_those_of_the_record() -> None:
    with np.load(RECORD) as record:
        for mask, recorded in zip(segment(), (record["class_ids"], record["objectness"]), strict=True):
            assert mask.shape == recorded.shape and mask.dtype == recorded.dtype
            assert np.mean(mask == recorded) >= EQUAL


def renew() -> None:
    """Write the record."""
    class_ids, objectness = segment()
    np.savez_compressed(RECORD, class_ids=class_ids, objectness=objectness)


if __name__ == "__main__":
    renew()
