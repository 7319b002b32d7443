"""README.md of a model package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.deploy.card import CAMVID_RUN, card_for, write_readme
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.runtime.model_package import ModelPackage

RUN = {"name": "end-to-end", "data": "mine", "partial": "coarse", "hold_out": "", "start": ""}
SCORES = {
    "miou": 0.5,
    "boundary_f": 0.25,
    "pixel_accuracy": 0.75,
    "objectness_iou": 0.5,
    "objectness_precision": 0.7,
    "objectness_recall": 0.6,
    "images": 2,
    "iou": {"Sky": 0.5, "Car": 0.5},
    "class_boundary_f": {"Sky": 0.2, "Car": 0.3},
    "torch_parity": 1.0,
}


@pytest.mark.parametrize(("encoder", "paper"), [("lite", "EfficientNet-Lite0"), ("vgg", "VGG-16")])
def test_card_shows_network_scores_and_terms(tmp_path: Path, encoder: str, paper: str) -> None:
    package = ModelPackage.load("cmt-mchh-lite-camvid")
    card = card_for("", RUN, Path("runs/mine"), Path("models/mine"))
    description = {
        **package.description,
        **card,
        "scores": SCORES,
        "network": {"family": "cmt_mchh", "encoder": encoder},
    }
    write_readme(replace(package, folder=tmp_path, description=description))
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"{paper} (" in text and "2 frames of mine val" in text
    assert "**mIoU 0.5000**, boundary F at 3 px 0.2500, pixel accuracy" in text
    assert "| class | IoU | boundary F at 3 px |\n|---|---|---|\n| Sky | 0.5000 | 0.2000 |" in text
    assert "- mine (not stated): not stated" in text and "- coarse (not stated): not stated" in text
    train = "cmt-seg train --data mine --partial coarse --recipe end-to-end --out runs/mine"
    assert f"{train} && cmt-seg export --run runs/mine --data mine --out models/mine" in text


def test_the_card_of_the_shipped_model_is_for_its_run_alone() -> None:
    folders = (Path("runs/lite"), Path("models/lite"))
    assert card_for("camvid", CAMVID_RUN, *folders)["measured_on"] == "CamVid val"
    with pytest.raises(ConfigError, match="hold_out '0006R0' instead of ''"):
        card_for("camvid", {**CAMVID_RUN, "hold_out": "0006R0"}, *folders)
    assert "held out" in card_for("", {**CAMVID_RUN, "hold_out": "0006R0"}, *folders)["measured_on"]
