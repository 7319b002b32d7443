"""Hyper-feature network: deep stages concatenated, up-sampled and summed with the shallow ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmt_seg_ros.networks.cmt_mchh.config import HyperConfig


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class Refine(nn.Sequential):
    """Depthwise k x k, then 1x1 convolution, at constant width."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )


class UpSampleAndSum(nn.Module):
    """One summing step: narrow, up-sample to a shallower stage with refinement, sum, refine.

    Narrowing comes first: a 1x1 convolution and bilinear up-sampling commute, and it is a quarter
    of the work at the lower resolution. A shallow stage that has the step's width is summed as it
    is; another goes through a 1x1 convolution first.

    Args:
        inputs: channels of the deep features.
        shallow_channels: channels of the shallower stage.
        width: channels of the result.
        factor: how many times finer the shallower stage is, for learned up-sampling; None: bilinear.
    """

    def __init__(self, inputs: int, shallow_channels: int, width: int, factor: int | None = None) -> None:
        super().__init__()
        self.deconv = None if factor is None else bilinear_deconv(width, factor)
        self.narrow = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.smooth = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False), nn.BatchNorm2d(width)
        )
        self.lateral: nn.Module = nn.Identity()
        if shallow_channels != width:
            self.lateral = nn.Sequential(nn.Conv2d(shallow_channels, width, 1, bias=False), nn.BatchNorm2d(width))
        self.refine = Refine(width, kernel=3)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """Map (N, inputs, h, w) and (N, shallow_channels, H, W) to (N, width, H, W)."""
        up = self.narrow(deep)
        if self.deconv is None:
            up = _resize(up, shallow.shape[2:])
        else:  # sizes of stages are rounded up
            up = self.deconv(up)[..., : shallow.shape[2], : shallow.shape[3]]
        up = self.smooth(up)
        x = torch.relu(up + self.lateral(shallow))
        return x + self.refine(x)


def bilinear_deconv(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Return an up-sampling of each channel that can learn, starting as bilinear interpolation (Long et al. 2015).

    Maps (N, channels, h, w) to (N, channels, factor * h, factor * w).
    """
    kernel = 2 * factor - factor % 2
    layer = nn.ConvTranspose2d(
        channels, channels, kernel, factor, padding=(kernel - factor) // 2, groups=channels, bias=False
    )
    half = (kernel + 1) // 2
    centre = half - 1 if kernel % 2 else half - 0.5
    line = 1 - (torch.arange(kernel) - centre).abs() / half
    with torch.no_grad():
        layer.weight.copy_(torch.outer(line, line))
    return layer


class HyperFeatures(nn.Module):
    """Hyper-features of one task.

    Deep stages are resampled to one size and concatenated (by default stages 3-5 at 1/8); the result is up-sampled with
    refinement to a shallower stage and summed with it (by default stage 2, then 1).

    Args:
        channels: channels of the encoder's stages.
        strides: of the encoder's stages: image size divided by theirs.
        config: stages, widths and up-sampling.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], config: HyperConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        # Each stage is narrowed before it is up-sampled: the same sum as a 1x1 convolution of the
        # concatenation (both are linear), at the resolution where it is cheapest.
        # Named by stage, so that weights carry over to a network that concatenates other stages.
        self.narrow = nn.ModuleDict(
            {f"stage{s}": nn.Conv2d(channels[s - 1], widths[0], 1, bias=False) for s in config.concatenated}
        )
        self.narrow_norm = nn.Sequential(nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        self.context = Refine(widths[0], kernel=5)
        self.steps = nn.ModuleList()
        deep = config.resampled_to
        for stage, inputs, width in zip(config.summing_steps, widths, widths[1:], strict=False):
            factor = strides[deep - 1] // strides[stage - 1] if config.upsampler == "deconv" else None
            self.steps.append(UpSampleAndSum(inputs, channels[stage - 1], width, factor))
            deep = stage
        self.out_channels = widths[len(config.summing_steps)]
        self.out_stride = strides[deep - 1]

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Map the encoder's stages to (N, out_channels, h, w)."""
        config = self.config
        size = stages[config.resampled_to - 1].shape[2:]
        narrowed = [_resize(self.narrow[f"stage{s}"](stages[s - 1]), size) for s in config.concatenated]
        x = self.narrow_norm(torch.stack(narrowed).sum(0) if len(narrowed) > 1 else narrowed[0])
        x = x + self.context(x)
        for stage, step in zip(config.summing_steps, self.steps, strict=True):
            x = step(x, stages[stage - 1])
        return x
