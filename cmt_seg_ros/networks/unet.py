"""U-Net: a contracting path, an expanding path, and skip connections at each level.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
MICCAI 2015, with the widths of the paper. Two things differ, as in most ports: convolutions are padded,
so that the scores have the input's size, and each is followed by BatchNorm, which the paper predates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.networks.config import NetworkConfig
from cmt_seg_ros.networks.scores import Scores, objectness_of

WIDTHS = (64, 128, 256, 512, 1024)


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions: (N, inputs, H, W) to (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        super().__init__(*layers)


class UpAndConcat(nn.Module):
    """Up-convolution, the encoder's features beside it, two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.convs = DoubleConv(2 * outputs, outputs)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Map (N, inputs, H // 2, W // 2) and (N, outputs, H, W) to (N, outputs, H, W)."""
        up = self.up(deep)
        # Pooling drops the last row or column of an odd size; here it comes back as zeros.
        up = F.pad(up, (0, shallow.shape[3] - up.shape[3], 0, shallow.shape[2] - up.shape[2]))
        return self.convs(torch.cat([shallow, up], 1))


@dataclass(frozen=True)
class UNetConfig(NetworkConfig):
    """Configuration of U-Net, whose objectness is the sum of the probabilities of the object classes.

    Attributes:
        widths: channels of each level; the resolution halves from one to the next.
    """

    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        widths = self.widths if isinstance(self.widths, tuple) else ()
        if len(widths) < 2 or not all(type(width) is int and width > 0 for width in widths):
            raise ConfigError(f"widths is {self.widths!r}; it must list two levels or more, each of 1 channel or more")


class UNet(nn.Module):
    """Plain U-Net; at 480x360 with 11 classes 127 GMACs, 254 GFLOPs.

    Input: (N, 3, H, W) float, red-green-blue, (value - 127) / 128; sides of 16 pixels or more.
    Output: Scores at the input's size, without objectness of their own.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.down = nn.ModuleList(
            DoubleConv(inputs, outputs) for inputs, outputs in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            UpAndConcat(deep, shallow) for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.classifier = nn.Conv2d(widths[0], config.num_classes, 1)

    def forward(self, x: Tensor) -> Scores:
        """Return the scores of every pixel."""
        # 1. Contracting path; what each level found is kept.
        levels = []
        for i, convs in enumerate(self.down):
            x = convs(F.max_pool2d(x, 2) if i else x)
            levels.append(x)
        # 2. Expanding path, deep to shallow.
        x = levels.pop()
        for up in self.up:
            x = up(x, levels.pop())
        # 3. A score for each class.
        return Scores(self.classifier(x), None)

    def deployed(self, x: Tensor) -> Scores:
        """Return class scores, and the objectness derived from them."""
        classes = self(x).classes
        return Scores(classes, objectness_of(classes, self.config.object_ids))
