"""Depthwise convolutions with fast backward passes on the CPU.

Two backward passes of oneDNN, which PyTorch uses, take ten times as long as their arithmetic needs: the
gradient of a 5x5 depthwise kernel, and the gradient of the input of a depthwise convolution with
stride 2. EfficientNet consists of these. Here they are composed of fast ones, with the same result.
``benchmarks/training_step.py`` measures the gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def _backward(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, want: Sequence[bool]) -> Any:
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], x.shape[1], [*want, False]
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = _input_gradient(grad, x, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_gradient(grad, x, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None, None


def _input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Compute the gradient as of a convolution with stride 1 whose output gradient is 0 where stride skips it."""
    if stride > 1:
        size = [n + 2 * padding - weight.shape[2] + 1 for n in x.shape[2:]]
        spread = grad.new_zeros(*grad.shape[:2], *size).contiguous(memory_format=torch.channels_last)
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    return _backward(grad, x, weight, 1, padding, (True, False))[0]


def _weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Compute a 5x5 gradient as four 3x3 ones, which overlap in the middle row and column."""
    if weight.shape[2] != 5:
        return _backward(grad, x, weight, stride, padding, (False, True))[1]
    padded = F.pad(x, [padding] * 4)
    height, width = ((n - 1) * stride + 3 for n in grad.shape[2:])
    result = torch.empty_like(weight)
    small = weight[:, :, :3, :3].contiguous()
    for top in (0, 2):
        for left in (0, 2):
            part = padded[:, :, top : top + height, left : left + width]
            part = part.contiguous(memory_format=torch.channels_last)
            result[:, :, top : top + 3, left : left + 3] = _backward(grad, part, small, stride, 0, (False, True))[1]
    return result


class QuickDepthwise(TorchFunctionMode):
    """Context in which depthwise convolutions on the CPU have the fast backward passes."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace the convolutions concerned; leave everything else alone."""
        if func is F.conv2d and not kwargs and len(args) == 7:
            x, weight, bias, stride, padding, dilation, groups = args
            same = all(isinstance(v, tuple) and v[0] == v[1] for v in (stride, padding, dilation))
            kernel = tuple(weight.shape[2:])
            depthwise = groups == x.shape[1] == weight.shape[0] and bias is None and kernel in ((3, 3), (5, 5))
            if same and depthwise and dilation[0] == 1 and x.device.type == "cpu" and torch.is_grad_enabled():
                if torch.is_autocast_enabled("cpu"):
                    dtype = torch.get_autocast_dtype("cpu")
                    x, weight = x.to(dtype), weight.to(dtype)
                return _Depthwise.apply(x, weight, stride[0], padding[0])
        return func(*args, **(kwargs or {}))
