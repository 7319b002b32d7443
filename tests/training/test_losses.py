"""Equation (1), and labels that stand for several classes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.networks.scores import Scores  # noqa: E402
from cmt_seg_ros.training.losses import CoupledLoss, near_boundary  # noqa: E402

SETS = [(i,) for i in range(11)]


def scores() -> Scores:
    generator = torch.Generator().manual_seed(0)
    return Scores(torch.randn(2, 11, 4, 4, generator=generator), torch.randn(2, 2, 4, 4, generator=generator))


def test_coupled_loss_is_equation_one() -> None:
    s, target = scores(), torch.randint(0, 11, (2, 4, 4))
    target[0, 0, 0] = 255
    labelled = target != 255
    semantic = -s.classes.log_softmax(1).gather(1, target.clamp(max=10)[:, None])[:, 0][labelled].mean()
    is_object = (target >= 8).long()
    binary = -s.objectness.log_softmax(1).gather(1, is_object[:, None])[:, 0][labelled].mean()
    loss = CoupledLoss(SETS, (8, 9, 10))
    torch.testing.assert_close(loss(s, target), 2 / 3 * semantic + 1 / 3 * binary)
    torch.testing.assert_close(loss(Scores(None, s.objectness), target, (0.0, 1.0)), binary)
    torch.testing.assert_close(loss(Scores(s.classes, None), target, (1.0, 0.0)), semantic)


def test_a_union_costs_the_sum_of_its_probabilities() -> None:
    s = scores()
    target = torch.full((2, 4, 4), 255)
    target[1, 2, 3] = 12
    loss = CoupledLoss([*SETS, (1, 2), (8, 3, 5)], (8, 9, 10))
    p = s.classes.softmax(1)[1, :, 2, 3]
    torch.testing.assert_close(loss.semantic(s.classes, target), -(p[8] + p[3] + p[5]).log())
    # An object, or not: not known of this union, but of one whose classes agree.
    assert loss.is_object[[12, 11, 9, 255]].tolist() == [255, 0, 1, 255]


def test_class_weights_weigh_pixels() -> None:
    s, weights = scores(), [1.0 + i for i in range(11)]
    target = torch.randint(0, 11, (2, 4, 4))
    expected = torch.nn.functional.cross_entropy(s.classes, target, weight=torch.tensor(weights))
    torch.testing.assert_close(CoupledLoss(SETS, (8,), weights).semantic(s.classes, target), expected)


def test_boundaries_count_more() -> None:
    target = torch.zeros(1, 20, 20).long()
    target[:, :, 10:] = 3
    near = near_boundary(target)[0]
    assert near[5].tolist() == [0.0] * 8 + [1.0] * 4 + [0.0] * 8
    wrong_there = torch.zeros(1, 11, 20, 20)
    wrong_there[:, 7, :, 8:12] = 5
    plain, weighted = (CoupledLoss(SETS, (8,), None, w).semantic(wrong_there, target) for w in (0.0, 2.0))
    assert weighted > 1.2 * plain
    # Equal losses everywhere stay what they were: it is a mean.
    even = torch.zeros(1, 11, 20, 20)
    plain, weighted = (CoupledLoss(SETS, (8,), None, w).semantic(even, target) for w in (0.0, 2.0))
    torch.testing.assert_close(plain, weighted)


@pytest.mark.parametrize("boundary_weight", [0.0, 1.0])
def test_nothing_labelled_costs_nothing(boundary_weight: float) -> None:
    classes, objectness = torch.randn(1, 3, 4, 4, requires_grad=True), torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = CoupledLoss([(0,), (1,), (2,), (0, 1)], (1,), None, boundary_weight)
    # Label 3 is an object or not: the objectness of it is not known.
    for target in (torch.full((1, 4, 4), 255), torch.full((1, 4, 4), 3)):
        value = loss(Scores(classes, objectness), target)
        gradients = torch.autograd.grad(value, [classes, objectness])
        assert value.isfinite() and all(g.isfinite().all() for g in gradients)
    assert loss(Scores(classes, objectness), torch.full((1, 4, 4), 255)) == 0
