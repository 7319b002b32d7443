"""VGG as the encoder (Simonyan and Zisserman 2015): stages of 3x3 convolutions, some of them ending with pooling."""

from __future__ import annotations

from itertools import accumulate
from operator import mul

from torch import Tensor, nn

from cmt_seg_ros.networks.cmt_mchh.config import VggConfig


class Vgg(nn.Module):
    """Stages of 3x3 convolutions; by default VGG-16's thirteen, 14.7 M parameters.

    Input: (N, 3, H, W) float. Output: a tensor for each stage. By default five, with 64, 128, 256, 512 and 512 channels
    at 1/2, 1/4, 1/8, 1/8 and 1/8 of the input: 320x320 gives 160, 80, 40, 40, 40. Sizes are rounded up, as in the Lite
    form.

    BatchNorm after each convolution (Ioffe and Szegedy 2015), because it is trained from scratch here.
    """

    def __init__(self, config: VggConfig) -> None:
        super().__init__()
        self.channels = config.widths
        factors = [2 if number in config.pooled else 1 for number in range(1, len(config.widths) + 1)]
        self.strides = tuple(accumulate(factors, mul))
        self.stages = nn.ModuleList()
        inputs = 3
        for factor, width, convolutions in zip(factors, config.widths, config.convolutions, strict=True):
            stage = nn.Sequential()
            for _ in range(convolutions):
                stage.append(nn.Conv2d(inputs, width, 3, padding=1, bias=False))
                stage.append(nn.BatchNorm2d(width))
                stage.append(nn.ReLU(inplace=True))
                inputs = width
            if factor == 2:
                stage.append(nn.MaxPool2d(2, ceil_mode=True))
            self.stages.append(stage)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the stages, shallow to deep."""
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs
