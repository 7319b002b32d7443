"""A real drive through real processes: every mask comes back, as good as without ROS."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image
from support import ROOT
from support.ros_harness import MODEL, Process, array, bench, free_domain, stamps

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.metrics.segmentation import confusion_matrix, mean_iou
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources import ImageFolderSource

FOLDER = Path(os.environ.get("CMT_SEG_CAMVID") or ROOT.parent / "shared" / "data" / "camvid" / "val")
HZ = 15


def score(results: list[np.ndarray]) -> float:
    """mIoU of masks in the order of the frames, percent."""
    total = np.zeros((len(CAMVID), len(CAMVID) + 1), np.int64)
    for path, mask in zip(sorted((FOLDER / "labels").glob("*.png")), results, strict=True):
        truth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        total += confusion_matrix(np.where(truth < len(CAMVID), truth, 255).astype(np.uint8), mask, len(CAMVID))
    return 100 * mean_iou(total)


@pytest.mark.slow
@pytest.mark.skipif(not (FOLDER / "images").is_dir(), reason=f"no CamVid in {FOLDER}; CMT_SEG_CAMVID says where it is")
def test_every_frame_of_the_drive_comes_back_as_good_as_offline(tmp_path: Path) -> None:
    frames = list(ImageFolderSource(FOLDER / "images", HZ))
    domain, model = free_domain(), {"model": MODEL, "device": "CPU"}
    played = {"images": str(FOLDER / "images"), "fps": HZ, "keep_stamps": True, "drop_policy": "none"}
    with bench(domain) as ros:
        masks = ros.listen(Image, "/segmentation/mask")
        segmenting = Process("segmentation_node", tmp_path / "seg", domain, {**model, "drop_policy": "none"})
        with segmenting, Process("source_node", tmp_path / "source", domain, played) as source:
            assert source.end() == 0, source.output
            ros.until(lambda: len(masks) == len(frames))
    assert stamps(masks) == [frame.stamp_ns or 1 for frame in frames]  # 0 means in ROS that there is none
    assert [(mask.height, mask.width) for mask in masks] == [frame.size for frame in frames]
    assert {mask.header.frame_id for mask in masks} == {frames[0].frame_id}

    pipeline = Pipeline(SegmentationConfig(**model))
    offline = score([pipeline.process([frame])[0].class_ids for frame in frames])
    live = score([array(mask) for mask in masks])
    print(f"\nCamVid val: {len(masks)} of {len(frames)} masks, mIoU {live:.3f} % over ROS, {offline:.3f} % offline")
    assert abs(live - offline) <= 0.1
