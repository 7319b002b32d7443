"""Hyper-feature network: deep stages concatenated, up-sampled and summed with the shallow ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
    """

    def __init__(self, inputs: int, shallow_channels: int, width: int) -> None:
        super().__init__()
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
        up = self.smooth(_resize(self.narrow(deep), shallow.shape[2:]))
        x = torch.relu(up + self.lateral(shallow))
        return x + self.refine(x)


class HyperFeatures(nn.Module):
    """Hyper-features of one task.

    Stages 3-5 are resampled to 1/8 and concatenated; the result is up-sampled with refinement to
    stage 2's resolution and summed with it, then to stage 1's and summed with it.

    Args:
        channels: channels of the five encoder stages.
        widths: channels at 1/8, 1/4 and 1/2.
        concatenated: which stages (numbers 1-5) are concatenated.
        summing_steps: 0, 1 or 2: output at 1/8, 1/4 or 1/2 of the input.
    """

    def __init__(
        self,
        channels: Sequence[int],
        widths: Sequence[int],
        concatenated: Sequence[int] = (3, 4, 5),
        summing_steps: int = 2,
    ) -> None:
        super().__init__()
        self.concatenated = tuple(concatenated)
        # Each stage is narrowed before it is up-sampled: the same sum as a 1x1 convolution of the
        # concatenation (both are linear), at the resolution where it is cheapest.
        # Named by stage, so that weights carry over to a network that concatenates other stages.
        self.narrow = nn.ModuleDict(
            {f"stage{s}": nn.Conv2d(channels[s - 1], widths[0], 1, bias=False) for s in self.concatenated}
        )
        self.narrow_norm = nn.Sequential(nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        self.context = Refine(widths[0], kernel=5)
        self.steps = nn.ModuleList(
            UpSampleAndSum(widths[i], channels[1 - i], widths[i + 1]) for i in range(summing_steps)
        )
        self.out_channels = widths[summing_steps]

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Map the five encoder stages to (N, out_channels, h, w)."""
        size = stages[2].shape[2:]
        narrowed = [_resize(self.narrow[f"stage{s}"](stages[s - 1]), size) for s in self.concatenated]
        x = self.narrow_norm(torch.stack(narrowed).sum(0) if len(narrowed) > 1 else narrowed[0])
        x = x + self.context(x)
        for i, step in enumerate(self.steps):
            x = step(x, stages[1 - i])
        return x
