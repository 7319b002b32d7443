"""The loop learns, resumes with the same result, and its parts do what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

from cmt_seg_ros.errors import DatasetError  # noqa: E402
from cmt_seg_ros.labels import CAMVID  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig  # noqa: E402
from cmt_seg_ros.training import trainer as trainer_module  # noqa: E402
from cmt_seg_ros.training.augmentation import augment  # noqa: E402
from cmt_seg_ros.training.curriculum import RECIPES, Recipe, Stage  # noqa: E402
from cmt_seg_ros.training.curves import draw_curves  # noqa: E402
from cmt_seg_ros.training.datasets import Sample, read_folder, render_scenes  # noqa: E402
from cmt_seg_ros.training.losses import coupled_loss  # noqa: E402
from cmt_seg_ros.training.trainer import Trainer  # noqa: E402

RECIPE = Recipe(stages=(Stage("a", 4, (64, 64)), Stage("b", 4, (64, 96), synthetic=1)), batch=2, warmup=1, scenes=1)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(render_scenes(2, 1000, 128, 96))


def make(samples: list[Sample], out: Path, recipe: Recipe = RECIPE) -> Trainer:
    torch.manual_seed(0)
    network = CmtMchh(CmtMchhConfig(len(CAMVID), CAMVID.object_ids))
    return Trainer(network, recipe, samples, samples[:1], CAMVID, out, val_every=4)


def test_resuming_after_a_kill_gives_the_same_weights(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "CHECKPOINT_EVERY", 3)
    torch.set_num_threads(1)  # sums in another order would differ in the last bit
    whole = make(samples, tmp_path / "whole")
    whole.run()

    killed = make(samples, tmp_path / "killed")
    step = killed._step

    def die(x: object, target: object) -> float:
        if killed.iteration == 5:
            raise KeyboardInterrupt
        return step(x, target)  # type: ignore[arg-type]

    monkeypatch.setattr(killed, "_step", die)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    resumed = make(samples, tmp_path / "killed")
    resumed.run()
    for name, value in whole.average.state_dict().items():
        torch.testing.assert_close(resumed.average.state_dict()[name], value, rtol=0, atol=0, msg=name)
    assert [r["iteration"] for r in resumed.history] == [4, 8]
    assert draw_curves(tmp_path / "killed").stat().st_size > 5000


def test_training_lowers_the_loss(samples: list[Sample], tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage("a", 25, (96, 128)),), lr=3e-3, warmup=2)
    trainer = make(samples, tmp_path, recipe)
    losses = [trainer._step(*trainer._batch(0))]
    for trainer.iteration in range(1, 25):
        losses.append(trainer._step(*trainer._batch(0)))
    assert losses[-1] < 0.6 * losses[0]


def test_recipes_are_whole() -> None:
    recipe = RECIPES["cmt-mchh-lite-camvid"]
    assert recipe.stage_at(0) is recipe.stages[0] and recipe.stage_at(recipe.iterations - 1) is recipe.stages[-1]


def test_coupled_loss_is_equation_one() -> None:
    fused, objectness = torch.randn(1, 11, 4, 4), torch.randn(1, 2, 4, 4)
    target = torch.randint(0, 11, (1, 4, 4))
    target[0, 0, 0] = 255
    labelled = target != 255
    semantic = -fused.log_softmax(1).gather(1, target.clamp(max=10)[:, None])[:, 0][labelled].mean()
    is_object = (target >= 8).long()
    binary = -objectness.log_softmax(1).gather(1, is_object[:, None])[:, 0][labelled].mean()
    found = coupled_loss(fused, objectness, target, (8, 9, 10))
    torch.testing.assert_close(found, 2 / 3 * semantic + 1 / 3 * binary)


def test_augmented_image_and_labels_stay_together() -> None:
    labels = np.zeros((120, 160), np.uint8)
    labels[:, 80:] = 1
    sample = Sample("s", np.where(labels[..., None] == 1, np.uint8(220), np.uint8(30)).repeat(3, 2), labels)
    for seed in range(20):
        image, found = augment(sample, (96, 128), np.random.default_rng(seed))
        assert image.shape == (96, 128, 3) and found.shape == (96, 128) and image.dtype == found.dtype == np.uint8
        if (found == 1).any() and (found == 0).any():
            assert image[found == 1].mean() > image[found == 0].mean() + 40


def test_augmentation_follows_its_seed(samples: list[Sample]) -> None:
    first, second = (augment(samples[0], (64, 64), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])


def test_folder_is_read_and_foreign_ids_are_ignored(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((20, 30, 3), 9, np.uint8))
    cv2.imwrite(str(tmp_path / "labels" / "a.png"), np.full((20, 30), 11, np.uint8))
    assert (read_folder(tmp_path)[0].labels == 255).all()
    cv2.imwrite(str(tmp_path / "labels" / "a.png"), np.zeros((20, 31), np.uint8))
    with pytest.raises(DatasetError, match="sizes must be equal"):
        read_folder(tmp_path)
    (tmp_path / "labels" / "a.png").unlink()
    with pytest.raises(DatasetError, match="every image needs its label file"):
        read_folder(tmp_path)
    with pytest.raises(DatasetError, match="no images in"):
        read_folder(tmp_path / "nothing")
