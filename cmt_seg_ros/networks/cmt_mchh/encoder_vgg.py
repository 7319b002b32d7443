"""VGG-16's thirteen convolutions as the five-stage encoder (Simonyan and Zisserman 2015)."""

from __future__ import annotations

from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512, 512)
STAGE_CONVOLUTIONS = (2, 2, 3, 3, 3)
POOLED_STAGES = 3  # pooling after the first three stages only: 1/2, 1/4, 1/8, 1/8, 1/8


class Vgg16(nn.Module):
    """Five stages of 3x3 convolutions; 14.7 M parameters.

    Input: (N, 3, H, W) float. Output: five tensors at 1/2, 1/4, 1/8, 1/8 and 1/8 of the input with
    STAGE_CHANNELS channels: 320x320 gives 160, 80, 40, 40, 40. Sizes are rounded up, as in the Lite form.

    BatchNorm after each convolution (Ioffe and Szegedy 2015), because it is trained from scratch here.
    """

    channels = STAGE_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        inputs = 3
        for number, (width, convolutions) in enumerate(zip(STAGE_CHANNELS, STAGE_CONVOLUTIONS, strict=True)):
            stage = nn.Sequential()
            for _ in range(convolutions):
                stage.append(nn.Conv2d(inputs, width, 3, padding=1, bias=False))
                stage.append(nn.BatchNorm2d(width))
                stage.append(nn.ReLU(inplace=True))
                inputs = width
            if number < POOLED_STAGES:
                stage.append(nn.MaxPool2d(2, ceil_mode=True))
            self.stages.append(stage)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the five stages, shallow to deep."""
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs
