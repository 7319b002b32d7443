"""The loop learns, resumes with the same result, runs every stage of the curriculum, and alike in two processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

import yaml  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from cmt_seg_ros.errors import ConfigError, ModelError  # noqa: E402
from cmt_seg_ros.labels import CAMVID  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig  # noqa: E402
from cmt_seg_ros.networks.zoo import rebuild  # noqa: E402
from cmt_seg_ros.training import trainer as trainer_module  # noqa: E402
from cmt_seg_ros.training.batches import Batches, TrainingData  # noqa: E402
from cmt_seg_ros.training.curriculum import RECIPES, Recipe, Stage, seven_stages  # noqa: E402
from cmt_seg_ros.training.curves import draw_curves, read_history  # noqa: E402
from cmt_seg_ros.training.datasets import DataSet, LabelSpace, Sample, render_scenes  # noqa: E402
from cmt_seg_ros.training.stage_network import carry_over  # noqa: E402
from cmt_seg_ros.training.trainer import Run, StageRun  # noqa: E402

SMALL = {"semantic": {"widths": [16, 8, 8]}, "objectness": {"widths": [8, 8, 8]}}
RECIPE = Recipe(
    stages=(Stage("a", 3, (64, 64), ("objectness",), {"summing_steps": 0}, (0.0, 1.0)), Stage("b", 4, (64, 96))),
    network=SMALL,
    batch=2,
    warmup=1,
)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(render_scenes(3, 1000, 128, 96))


def make(samples: list[Sample], out: Path, recipe: Recipe = RECIPE, **options: Any) -> Run:
    classes = DataSet("main", samples, tuple((i,) for i in range(11)))
    halves = DataSet("half", samples[:1], (tuple(range(8)), (8, 9, 10), *((i,) for i in range(2, 11))))
    space = LabelSpace(len(CAMVID), [classes, halves])
    data = TrainingData.of(space, samples, space.renumbered(halves), samples[2:])
    return Run(recipe, CAMVID, space, data, samples[:1], out, pretrained=False, **{"val_every": 4, **options})


def test_resuming_after_a_kill_gives_the_same_weights(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "CHECKPOINT_EVERY", 2)
    torch.set_num_threads(1)  # sums in another order would differ in the last bit
    make(samples, tmp_path / "whole").run()

    step = StageRun._step
    for number, iteration in (("a", 1), ("b", 3)):  # a kill in the middle of each stage

        def die(self: StageRun, x: Any, target: Any, number: str = number, iteration: int = iteration) -> float:
            if (self.stage.name, self.iteration) == (number, iteration):
                raise KeyboardInterrupt
            return step(self, x, target)

        monkeypatch.setattr(StageRun, "_step", die)
        with pytest.raises(KeyboardInterrupt):
            make(samples, tmp_path / "killed").run()
    monkeypatch.setattr(StageRun, "_step", step)
    make(samples, tmp_path / "killed").run()

    for folder in ("01_a", "02_b"):
        whole, killed = (load_file(tmp_path / run / folder / "weights.safetensors") for run in ("whole", "killed"))
        for name, value in whole.items():
            torch.testing.assert_close(killed[name], value, rtol=0, atol=0, msg=name)
    assert [(r["stage"], r["batch"]) for r in read_history(tmp_path / "killed")] == [("a", 3), ("b", 7)]
    assert draw_curves(tmp_path / "killed").stat().st_size > 5000


def test_training_lowers_the_loss(samples: list[Sample], tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage("a", 30, (96, 128)),), lr=5e-3, warmup=2)
    stage = StageRun(make(samples, tmp_path, recipe), 0, None, 0, 1, torch.device("cpu"))
    stage._build()
    batch = stage.batches.batch(0)
    losses = []
    for stage.iteration in range(30):
        losses.append(stage._step(*batch))
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("encoder", ["lite", "vgg"])
def test_the_seven_stages_run_and_hand_on_their_weights(samples: list[Sample], tmp_path: Path, encoder: str) -> None:
    stages = tuple(replace(s, crop=(32, 48)) for s in seven_stages((1, 1, 1, 1, 1, 1, 2), partial=1, synthetic=1))
    recipe = replace(RECIPE, stages=stages, network={**SMALL, "encoder": encoder}, batch=3)
    make(samples, tmp_path, recipe).run()
    folders = sorted(p for p in tmp_path.iterdir() if p.is_dir())
    assert [p.name[3:6] for p in folders] == ["502", "503", "504", "505", "506", "506", "507"]
    metas = [yaml.safe_load((p / "meta.yaml").read_text()) for p in folders]
    assert [m["network"]["tasks"] for m in metas[:2]] == [["objectness"], ["semantic", "objectness"]]
    assert [m["network"]["semantic"]["concatenated"] for m in metas[2:4]] == [[5], [3, 4, 5]]
    assert [m["network"]["objectness"]["summing_steps"] for m in metas[3:]] == [0, 1, 2, 2]
    weights = [load_file(p / "weights.safetensors") for p in folders]
    frozen, tuned = (
        all(torch.equal(weights[i][k], weights[j][k]) for k in weights[i] if k.startswith("encoder."))
        for i, j in ((2, 5), (5, 6))
    )
    assert frozen and not tuned  # BatchNorm statistics are among these
    for meta, values in zip(metas, weights, strict=True):
        rebuild(meta["network"]).load_state_dict(values)


def test_large_crops_are_larger_than_small_ones() -> None:
    for recipe in RECIPES.values():
        crops = [s.crop for s in recipe.stages]
        assert crops == sorted(crops)
        assert all(s.partial + s.synthetic < recipe.batch for s in recipe.stages)


def test_processes_share_each_batch(samples: list[Sample], tmp_path: Path) -> None:
    run = make(samples, tmp_path)
    stage = replace(RECIPE.stages[1], partial=1)
    recipe = replace(RECIPE, batch=4)
    whole = Batches(run.data, recipe, stage).batch(5)
    parts = [Batches(run.data, recipe, stage, rank, 2).batch(5) for rank in (0, 1)]
    for k in range(4):
        assert all(torch.equal(whole[i][k], parts[k % 2][i][k // 2]) for i in (0, 1))


def test_every_sample_is_drawn_once_an_epoch(samples: list[Sample], tmp_path: Path) -> None:
    run = make(samples, tmp_path)
    batches = Batches(run.data, replace(RECIPE, batch=1), RECIPE.stages[1])
    names = [batches._draw(run.data.main, 1, k)[0].name for k in range(6)]
    assert len(set(names[:3])) == len(set(names[3:])) == 3
    assert batches.epoch(6) == 2.0


def test_encoders_that_do_not_fit_are_refused() -> None:
    lite, vgg = (CmtMchh(CmtMchhConfig(3, (1,), encoder=encoder)) for encoder in ("lite", "vgg"))
    with pytest.raises(ModelError, match="does not fit"):
        carry_over(lite, vgg.state_dict())


def test_stages_are_checked() -> None:
    with pytest.raises(ConfigError, match="sum to one"):
        Stage("a", 1, (64, 64), weights=(1.0, 1.0))
    with pytest.raises(ConfigError, match="at least one iteration"):
        Stage("a", 0, (64, 64))


TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
from test_trainer import RECIPE, make
from cmt_seg_ros.training.datasets import render_scenes
make(list(render_scenes(3, 1000, 128, 96)), Path(sys.argv[1])).run()
"""


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(TWO_PROCESSES)
    here = str(Path(__file__).parent)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    subprocess.run([*command, str(tmp_path / "run"), here], check=True, timeout=100, capture_output=True)
    weights = load_file(tmp_path / "run" / "02_b" / "weights.safetensors")
    assert all(np.isfinite(v.float().numpy()).all() for v in weights.values())
    assert [r["stage"] for r in read_history(tmp_path / "run")] == ["a", "b"]
