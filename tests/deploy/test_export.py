"""A network becomes a package that OpenVINO runs alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.config import SegmentationConfig  # noqa: E402
from cmt_seg_ros.deploy.export import label_agreement, load_network, load_stage, write_package  # noqa: E402
from cmt_seg_ros.deploy.measure import measure  # noqa: E402
from cmt_seg_ros.errors import ModelError  # noqa: E402
from cmt_seg_ros.labels import CAMVID  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig, HyperConfig  # noqa: E402
from cmt_seg_ros.networks.zoo import build  # noqa: E402
from cmt_seg_ros.runtime.model_package import ModelPackage  # noqa: E402
from cmt_seg_ros.runtime.pipeline import Pipeline  # noqa: E402
from cmt_seg_ros.street import StreetScene  # noqa: E402


def rebuilt(package: ModelPackage) -> torch.nn.Module:
    return load_network(package.description["network"], package.folder / "weights.safetensors")


@pytest.mark.parametrize("size", [(96, 128), (90, 122)])
def test_shipped_network_and_its_ir_label_alike(size: tuple[int, int]) -> None:
    package = ModelPackage.load("cmt-mchh-lite-camvid")
    scene = StreetScene(size[1], size[0], frames=100)
    images = [scene.frame(k).pixels for k in (0, 10)]
    assert label_agreement(package, rebuilt(package), images) >= 0.999


@pytest.mark.usefixtures("quick_export")
def test_package_written_is_package_read(tmp_path: Path) -> None:
    torch.manual_seed(1)
    hyper = HyperConfig((16, 16, 8), summing_steps=1)
    network = CmtMchh(CmtMchhConfig(len(CAMVID), CAMVID.object_ids, semantic=hyper)).eval()
    package = write_package(network, CAMVID, tmp_path / "mine", (96, 128), {"data": "none"})
    assert package.name == "mine" and package.description["data"] == "none"
    again = rebuilt(package)
    assert again.config == network.config
    x = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        torch.testing.assert_close(again(x).classes, network(x).classes)
    # Untrained scores lie close together, so the comparison is of what both say of random noise, in f32.
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    assert label_agreement(package, network, [noise]) > 0.98


@pytest.mark.usefixtures("quick_export")
def test_what_cannot_be_deployed_or_rebuilt_is_refused(tmp_path: Path) -> None:
    alone = CmtMchh(CmtMchhConfig(len(CAMVID), CAMVID.object_ids, tasks=("objectness",)))
    with pytest.raises(ModelError, match="objectness task alone"):
        write_package(alone, CAMVID, tmp_path / "alone", (96, 128), {})
    with pytest.raises(ModelError, match="no finished stage"):
        load_stage(tmp_path)
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "meta.yaml").write_text("{}")
    with pytest.raises(ModelError, match=r"run\.yaml is missing"):
        load_stage(tmp_path / "stage")
    package = write_package(build("unet", 11, CAMVID.object_ids), CAMVID, tmp_path / "unet", (32, 32), {})
    description = {**package.description, "network": {**package.description["network"], "widths": [8, 16]}}
    with pytest.raises(ModelError, match="does not fit the network"):
        rebuilt(replace(package, description=description))
    (package.folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="use the fp16 package"):
        rebuilt(package)


def test_measure_scores_what_the_pipeline_publishes() -> None:
    scene = StreetScene(160, 96, frames=10)
    frames = [scene.frame(k) for k in (0, 5)]
    pipeline = Pipeline(SegmentationConfig(device="CPU", precision="f32"))
    own = [(f.pixels, pipeline.process([f])[0].class_ids) for f in frames]
    scores = measure(pipeline, own)
    assert scores["miou"] == scores["pixel_accuracy"] == 1.0 and scores["images"] == 2
