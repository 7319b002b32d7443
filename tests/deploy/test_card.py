"""README.md of a model package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.deploy.card import card_for, write_readme
from cmt_seg_ros.runtime.model_package import ModelPackage

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
    card = card_for("", Path("somewhere/mine"), Path("models/mine"))
    description = {
        **package.description,
        **card,
        "scores": SCORES,
        "network": {"family": "cmt_mchh", "encoder": encoder},
    }
    write_readme(replace(package, folder=tmp_path, description=description))
    text = (tmp_path / "README.md").read_text()
    assert f"{paper} (" in text and "2 frames of mine val" in text
    assert "**mIoU 0.5000**, boundary F at 3 px 0.2500, pixel accuracy" in text
    assert "| class | IoU | boundary F at 3 px |\n|---|---|---|\n| Sky | 0.5000 | 0.2000 |" in text
    assert "- mine (not stated): not stated" in text and "cmt-seg export --run runs/RUN --data mine" in text
