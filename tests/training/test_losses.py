"""Equation (1) as the sum of two tasks' losses, and labels that stand for several classes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.networks.scores import Scores  # noqa: E402
from cmt_seg_ros.training.datasets import AS_LABELS, Sample  # noqa: E402
from cmt_seg_ros.training.losses import LabelMeaning, ObjectnessLoss, SemanticLoss, near_boundary  # noqa: E402
from cmt_seg_ros.training.tasks import TaskLosses  # noqa: E402

SETS = [(i,) for i in range(11)]


def scores() -> Scores:
    generator = torch.Generator().manual_seed(0)
    return Scores(torch.randn(2, 11, 4, 4, generator=generator), torch.randn(2, 2, 4, 4, generator=generator))


def labels() -> np.ndarray:
    made = np.random.default_rng(0).integers(0, 11, (2, 4, 4), np.uint8)
    made[0, 0, 0] = 255
    return made


def sample(labels: np.ndarray, objects: np.ndarray | None = None) -> Sample:
    return Sample("s", np.zeros((*labels.shape, 3), np.uint8), labels, objects)


def batch(loss: TaskLosses | SemanticLoss | ObjectnessLoss, samples: np.ndarray) -> dict[str, torch.Tensor]:
    made = [loss.targets(sample(one)) for one in samples]
    return {name: torch.from_numpy(np.stack([one[name] for one in made])) for name in made[0]}


def semantic(meaning: LabelMeaning, classes: torch.Tensor, samples: np.ndarray) -> torch.Tensor:
    loss = SemanticLoss(meaning)
    return loss(classes, batch(loss, samples))


def test_coupled_loss_is_equation_one() -> None:
    s, samples = scores(), labels()
    target = torch.from_numpy(samples).long()
    labelled = target != 255
    semantic_loss = -s.classes.log_softmax(1).gather(1, target.clamp(max=10)[:, None])[:, 0][labelled].mean()
    is_object = (target >= 8).long()
    binary = -s.objectness.log_softmax(1).gather(1, is_object[:, None])[:, 0][labelled].mean()
    meaning = LabelMeaning(SETS, (8, 9, 10))
    both = TaskLosses({"objectness": 1 / 3, "semantic": 2 / 3}, meaning)
    found = both(s, batch(both, samples))
    assert list(found) == ["semantic", "objectness"]
    torch.testing.assert_close(both.total(found), 2 / 3 * semantic_loss + 1 / 3 * binary)
    for name, alone, expected in (
        ("objectness", Scores(None, s.objectness), binary),
        ("semantic", Scores(s.classes, None), semantic_loss),
    ):
        one = TaskLosses({"semantic": 0.0, "objectness": 0.0, name: 1.0}, meaning)
        found = one(alone, batch(one, samples))
        assert list(found) == [name]
        torch.testing.assert_close(one.total(found), expected)


def test_a_union_costs_the_sum_of_its_probabilities() -> None:
    s = scores()
    samples = np.full((2, 4, 4), 255, np.uint8)
    samples[1, 2, 3] = 12
    meaning = LabelMeaning([*SETS, (1, 2), (8, 3, 5)], (8, 9, 10))
    p = s.classes.softmax(1)[1, :, 2, 3]
    torch.testing.assert_close(semantic(meaning, s.classes, samples), -(p[8] + p[3] + p[5]).log())
    # An object, or not: not known of this union, but of one whose classes agree.
    four = np.array([[12, 11, 9, 255]], np.uint8)
    assert ObjectnessLoss(meaning).targets(sample(four))["objects"].tolist() == [[255, 0, 1, 255]]


def test_objectness_labels_of_their_own_come_first() -> None:
    loss = ObjectnessLoss(LabelMeaning(SETS, (8, 9, 10)))
    labels, objects = np.array([[8, 8, 0, 0, 255, 9]], np.uint8), np.array([[0, 1, 1, 255, 1, AS_LABELS]], np.uint8)
    assert loss.targets(sample(labels, objects))["objects"].tolist() == [[0, 1, 1, 255, 1, 1]]


def test_class_weights_weigh_pixels() -> None:
    s, weights, samples = scores(), [1.0 + i for i in range(11)], labels()
    target = torch.from_numpy(samples).long()
    expected = torch.nn.functional.cross_entropy(s.classes, target, weight=torch.tensor(weights), ignore_index=255)
    torch.testing.assert_close(semantic(LabelMeaning(SETS, (8,), weights), s.classes, samples), expected)


def test_boundaries_count_more() -> None:
    samples = np.zeros((1, 20, 20), np.uint8)
    samples[:, :, 10:] = 3
    assert near_boundary(samples[0])[5].tolist() == [False] * 8 + [True] * 4 + [False] * 8
    wrong_there = torch.zeros(1, 11, 20, 20)
    wrong_there[:, 7, :, 8:12] = 5
    meanings = [LabelMeaning(SETS, (8,), boundary_weight=w) for w in (0.0, 2.0)]
    plain, weighted = (semantic(meaning, wrong_there, samples) for meaning in meanings)
    assert weighted > 1.2 * plain
    # Equal losses everywhere stay what they were: it is a mean.
    plain, weighted = (semantic(meaning, torch.zeros(1, 11, 20, 20), samples) for meaning in meanings)
    torch.testing.assert_close(plain, weighted)


@pytest.mark.parametrize("boundary_weight", [0.0, 1.0])
def test_nothing_labelled_costs_nothing(boundary_weight: float) -> None:
    classes, objectness = torch.randn(1, 3, 4, 4, requires_grad=True), torch.randn(1, 2, 4, 4, requires_grad=True)
    meaning = LabelMeaning([(0,), (1,), (2,), (0, 1)], (1,), boundary_weight=boundary_weight)
    losses = TaskLosses({"semantic": 2 / 3, "objectness": 1 / 3}, meaning)
    # Label 3 is an object or not: the objectness of it is not known.
    for label in (255, 3):
        value = losses.total(losses(Scores(classes, objectness), batch(losses, np.full((1, 4, 4), label, np.uint8))))
        gradients = torch.autograd.grad(value, [classes, objectness])
        assert value.isfinite() and all(g.isfinite().all() for g in gradients)
        assert label == 3 or value == 0
