"""The VGG form of CMT-MCHH: trained by the curriculum, exported, and run by the node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image
from support.ros_harness import array, bench, image

pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.deploy.export import label_agreement, load_stage, write_package
from cmt_seg_ros.labels import CAMVID
from cmt_seg_ros.ros.segmentation_node import SegmentationNode
from cmt_seg_ros.training.batches import TrainingData
from cmt_seg_ros.training.curriculum import RECIPES
from cmt_seg_ros.training.datasets import DataSet, LabelSpace, render_scenes
from cmt_seg_ros.training.trainer import Run


@pytest.mark.usefixtures("quick_training", "quick_export")
def test_trained_exported_and_run(tmp_path: Path) -> None:
    samples = list(render_scenes(2, 1000, 128, 96))
    space = LabelSpace(11, [DataSet("scene", samples, tuple((i,) for i in range(11)))])
    recipe = RECIPES["cmt-mchh-vgg-camvid"]
    short = replace(recipe, batch=2, stages=tuple(
        replace(s, iterations=1, crop=(32, 48), partial=0, synthetic=0) for s in recipe.stages
    ))  # fmt: skip
    Run(short, CAMVID, space, TrainingData.of(space, samples), samples[:1], tmp_path / "run").run()
    stage = load_stage(tmp_path / "run")
    package = write_package(stage.network, stage.labels, tmp_path / "vgg", (64, 96), {"terms": "none"})
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    assert label_agreement(package, stage.network, [noise]) > 0.98  # hardly trained: many scores are nearly equal
    with bench() as ros:
        ros.add(SegmentationNode, device="CPU", model=str(package.folder))
        masks = ros.listen(Image, "/segmentation/mask")
        ros.send("/image_raw", image(7, 96, 64, "bgr8"))
        ros.until(lambda: masks)
        assert array(masks[0]).shape == (64, 96) and array(masks[0]).max() < 11
