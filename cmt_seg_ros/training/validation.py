"""Scores of a network while it is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.metrics.segmentation import MaskMeter
from cmt_seg_ros.networks.cmt_mchh import CmtMchh
from cmt_seg_ros.training.batches import to_input
from cmt_seg_ros.training.datasets import Sample


@torch.no_grad()
def evaluate(model: CmtMchh, samples: list[Sample], labels: LabelSet, device: torch.device) -> dict[str, Any]:
    """Score the masks as they are deployed, at the images' own size; see MaskMeter.to_dict."""
    model.eval()
    meter = MaskMeter(labels)
    for s in samples:
        scores = model.deployed(to_input(s.image[None]).to(device))
        full = [
            None if x is None else nn.functional.interpolate(x.float().softmax(1), s.labels.shape, mode="bilinear")[0]
            for x in scores
        ]
        nothing = torch.full(s.labels.shape, IGNORE_ID)
        class_ids = nothing if full[0] is None else full[0].argmax(0)
        is_object = None if full[1] is None else (full[1][1] > 0.5).to("cpu", torch.uint8).numpy()
        meter.add(s.labels, class_ids.to("cpu", torch.uint8).numpy(), is_object)
    return meter.to_dict()
