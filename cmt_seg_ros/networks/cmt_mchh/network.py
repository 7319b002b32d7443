"""CMT-MCHH put together: encoder, two hyper-feature networks, fused classification."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.networks.cmt_mchh.encoder_lite import EfficientNetLite0
from cmt_seg_ros.networks.cmt_mchh.hyper_features import HyperFeatures


@dataclass(frozen=True)
class CmtMchhConfig:
    """Everything that is needed to rebuild the network.

    Attributes:
        num_classes: number of semantic classes.
        object_ids: which of them are objects (objectness = 1).
        encoder: ``"lite"`` (EfficientNet-Lite0).
        semantic_widths: channels of the semantic hyper-features at 1/8, 1/4 and 1/2.
        objectness_widths: the same of the objectness hyper-features.
        summing_steps: 0, 1 or 2 up-sample-and-sum steps.
    """

    num_classes: int
    object_ids: tuple[int, ...]
    encoder: str = "lite"
    semantic_widths: tuple[int, int, int] = (128, 64, 32)
    objectness_widths: tuple[int, int, int] = (64, 32, 16)
    summing_steps: int = 2

    def __post_init__(self) -> None:
        if self.encoder != "lite":
            raise ConfigError(f"encoder is {self.encoder!r}; allowed: 'lite'")
        if self.summing_steps not in (0, 1, 2):
            raise ConfigError(f"summing_steps is {self.summing_steps}; allowed: 0, 1, 2")
        if not self.object_ids or not all(0 <= i < self.num_classes for i in self.object_ids):
            raise ConfigError(f"object_ids is {self.object_ids}; it must name classes in 0-{self.num_classes - 1}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CmtMchhConfig:
        """The reverse of :meth:`to_dict`.

        Raises:
            ConfigError: a key that is not known, or a value that is not allowed.
        """
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError(f"unknown network key {sorted(unknown)}; allowed: {sorted(cls.__dataclass_fields__)}")
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


class Scores(NamedTuple):
    """Scores before softmax, at the resolution of the last summing step.

    Attributes:
        fused: (N, C, h, w), semantic scores with the objectness scores added in.
        objectness: (N, 2, h, w), no object and object.
    """

    fused: Tensor
    objectness: Tensor


class CmtMchh(nn.Module):
    """Coupled multi-task fully convolutional network.

    Input: (N, 3, H, W) float, red-green-blue, (value - 127) / 128.
    Output: Scores; with two summing steps at half the input's size.
    """

    def __init__(self, config: CmtMchhConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = EfficientNetLite0()
        channels = self.encoder.channels
        self.semantic_hyper = HyperFeatures(channels, config.semantic_widths, summing_steps=config.summing_steps)
        self.objectness_hyper = HyperFeatures(channels, config.objectness_widths, summing_steps=config.summing_steps)
        self.semantic_classifier = nn.Conv2d(self.semantic_hyper.out_channels, config.num_classes, 1)
        self.objectness_classifier = nn.Conv2d(self.objectness_hyper.out_channels, 2, 1)
        # Which objectness score each class is coupled to: 1 = object, 0 = no object.
        coupling = [int(i in config.object_ids) for i in range(config.num_classes)]
        self.register_buffer("coupling", torch.tensor(coupling), persistent=False)

    def forward(self, x: Tensor) -> Scores:
        """Scores of both tasks."""
        # 1. The encoder, shared by both tasks.
        stages = self.encoder(x)
        # 2. Each task's own hyper-features and scores.
        semantic = self.semantic_classifier(self.semantic_hyper(stages))
        objectness = self.objectness_classifier(self.objectness_hyper(stages))
        # 3. Fusion: object classes gain the object score, the others the no-object score.
        return Scores(semantic + objectness[:, self.coupling], objectness)
