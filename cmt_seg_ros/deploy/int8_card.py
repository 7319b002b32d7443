"""What the package of an INT8 network says of itself, for people."""

from __future__ import annotations

from typing import Any

from cmt_seg_ros.deploy.provenance import provenance
from cmt_seg_ros.runtime.model_package import ModelPackage


def write_int8_readme(package: ModelPackage, fp16_scores: dict[str, Any]) -> None:
    """Write README.md of an INT8 package.

    Args:
        package: the INT8 package.
        fp16_scores: what ``measure`` says of the network it was made of, on the same images.
    """
    card = package.description
    scores, made = card["scores"], card["quantization"]
    control = (
        "Plain quantization cost more than is allowed, so NNCF's accuracy control put the layers that cost most\n"
        "back to float."
        if made["accuracy_control"]
        else "Plain quantization was good enough: accuracy control was not needed."
    )
    text = f"""# {package.name}

`{made["of"]}` in INT8: the same classes, input and outputs, and a smaller and faster network.

Measured on the {scores["images"]} frames of {card["measured_on"]}, both networks through the pipeline of the node
(OpenVINO, CPU, default precision): INT8 labels **{made["label_agreement"]:.2%}** of pixels as fp16 does.

{_table(fp16_scores, scores)}

Weights and activations of the ordinary convolutions are INT8, calibrated by NNCF on {made["calibrated_on"]};
the other layers stay in float. {control}
To train on, use `{made["of"]}`: INT8 has no `weights.safetensors`.

{provenance(card)}"""
    (package.folder / "README.md").write_text(text)


def _table(fp16: dict[str, Any], int8: dict[str, Any]) -> str:
    rows = {"**mIoU**": "miou", "pixel accuracy": "pixel_accuracy", "objectness IoU": "objectness_iou"}
    lines = ["| | fp16 | INT8 |", "|---|---|---|"]
    lines += [f"| {title} | {fp16[key]:.4f} | {int8[key]:.4f} |" for title, key in rows.items()]
    lines += [f"| IoU of {name} | {fp16['iou'][name]:.4f} | {value:.4f} |" for name, value in int8["iou"].items()]
    return "\n".join(lines)
