"""CMT-MCHH network: encoder, a hyper-feature network for each task, fused classification."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmt_seg_ros.networks.cmt_mchh.config import CmtMchhConfig, HyperConfig
from cmt_seg_ros.networks.cmt_mchh.encoder_lite import EfficientNetLite0
from cmt_seg_ros.networks.cmt_mchh.encoder_vgg import Vgg
from cmt_seg_ros.networks.cmt_mchh.hyper_features import HyperFeatures
from cmt_seg_ros.networks.scores import Scores, objectness_of


class CmtMchh(nn.Module):
    """Coupled multi-task fully convolutional network.

    Input: (N, 3, H, W) float, red-green-blue, (value - 127) / 128; any H and W from 32 pixels.
    Output: Scores at the size of the encoder stage that is summed last, by default half the input's.
    """

    def __init__(self, config: CmtMchhConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Vgg(config.vgg) if config.encoder == "vgg" else EfficientNetLite0()
        if "semantic" in config.tasks:
            self.semantic_hyper = self._hyper(config.semantic)
            self.semantic_classifier = nn.Conv2d(self.semantic_hyper.out_channels, config.num_classes, 1)
        if "objectness" in config.tasks:
            if not self._shares:
                self.objectness_hyper = self._hyper(config.objectness)
            hyper = self.semantic_hyper if self._shares else self.objectness_hyper
            self.objectness_classifier = nn.Conv2d(hyper.out_channels, 2, 1)
        # Which objectness score each class is coupled to: 1 = object, 0 = no object.
        coupling = [int(i in config.object_ids) for i in range(config.num_classes)]
        self.register_buffer("coupling", torch.tensor(coupling), persistent=False)

    @property
    def _shares(self) -> bool:
        return self.config.shared and len(self.config.tasks) == 2

    def _hyper(self, config: HyperConfig) -> HyperFeatures:
        return HyperFeatures(self.encoder.channels, self.encoder.strides, config)

    def forward(self, x: Tensor) -> Scores:
        """Return the scores of both tasks, as training sees them; ``fuse_in_training`` says whether they are fused."""
        semantic, objectness = self.branches(x)
        if self.config.fuse_in_training:
            semantic = self.fuse(semantic, objectness)
        return Scores(semantic, objectness)

    def deployed(self, x: Tensor) -> Scores:
        """Return the scores from which masks are made: ``labels_from`` and ``objectness_from`` decide which."""
        semantic, objectness = self.branches(x)
        fused = self.fuse(semantic, objectness)
        if fused is not None and (objectness is None or self.config.objectness_from == "fused"):
            objectness = objectness_of(fused, self.config.object_ids)
        return Scores(semantic if self.config.labels_from == "semantic" else fused, objectness)

    def branches(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return (N, C, h, w) semantic and (N, 2, h, w) objectness scores of one size; None without that task."""
        # 1. The encoder, shared by both tasks.
        stages = self.encoder(x)
        # 2. Each task's own hyper-features and scores.
        semantic = objectness = features = None
        if "semantic" in self.config.tasks:
            features = self.semantic_hyper(stages)
            semantic = self.semantic_classifier(features)
        if "objectness" in self.config.tasks:
            own = features if self._shares else self.objectness_hyper(stages)
            objectness = self.objectness_classifier(own)
        # 3. The coarser scores, if those of one task are coarser, at the size of the finer ones.
        if semantic is not None and objectness is not None and not self._shares:
            finer = self.objectness_hyper.out_stride - self.semantic_hyper.out_stride
            if finer > 0:
                objectness = F.interpolate(objectness, semantic.shape[2:], mode="bilinear", align_corners=False)
            elif finer < 0:
                semantic = F.interpolate(semantic, objectness.shape[2:], mode="bilinear", align_corners=False)
        return semantic, objectness

    def fuse(self, semantic: Tensor | None, objectness: Tensor | None) -> Tensor | None:
        """Fuse the tasks into (N, C, h, w) scores, whose softmax gives the class probabilities."""
        if semantic is None or objectness is None or self.config.fusion == "none":
            return semantic
        if self.config.fusion == "scores":
            return semantic + objectness[:, self.coupling]
        # The logarithm of the sum: softmax of it is the normalised sum of the probabilities.
        return torch.logaddexp(semantic.log_softmax(1), objectness.log_softmax(1)[:, self.coupling])
