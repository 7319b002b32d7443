"""The quick backward passes give what PyTorch's own give."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.training import depthwise  # noqa: E402
from cmt_seg_ros.training.depthwise import QuickDepthwise  # noqa: E402


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(17, 20), (16, 21)])
@pytest.mark.parametrize("padded", [False, True])
def test_gradients_are_the_same(kernel: int, stride: int, size: tuple[int, int], padded: bool) -> None:
    padding = kernel // 2 if padded else 0
    conv = torch.nn.Conv2d(8, 8, kernel, stride, padding, groups=8, bias=False).double()
    x = torch.randn(2, 8, *size, dtype=torch.double, requires_grad=True)
    y = conv(x)
    grad = torch.randn_like(y)
    expected = torch.autograd.grad(y, [x, conv.weight], grad)
    with QuickDepthwise():
        quick = conv(x)
    torch.testing.assert_close(quick, y)
    for found, theirs in zip(torch.autograd.grad(quick, [x, conv.weight], grad), expected, strict=True):
        torch.testing.assert_close(found, theirs)


def test_only_depthwise_convolutions_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    apply = depthwise._Depthwise.apply
    monkeypatch.setattr(depthwise._Depthwise, "apply", lambda *a: (taken.append(a[1].shape), apply(*a))[1])
    x = torch.randn(1, 4, 8, 8)
    full, grouped = torch.nn.Conv2d(4, 4, 3, bias=False), torch.nn.Conv2d(4, 4, 3, groups=2, bias=False)
    single = torch.nn.Conv2d(4, 4, 3, groups=4, bias=False)
    with QuickDepthwise():
        full(x), grouped(x), single(x)
        with torch.no_grad():
            single(x)
    single(x)
    assert taken == [(4, 1, 3, 3)]
