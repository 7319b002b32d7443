"""The loop learns, resumes with the same result, runs every stage of the curriculum, and alike in two processes."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.waiting import DEADLINE_S

torch = pytest.importorskip("torch", reason="torch is not installed: make test installs it unless TORCH=0")

import yaml  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from cmt_seg_ros.errors import ConfigError, DeviceError, ModelError  # noqa: E402
from cmt_seg_ros.labels import CAMVID  # noqa: E402
from cmt_seg_ros.networks.cmt_mchh import CmtMchh, CmtMchhConfig  # noqa: E402
from cmt_seg_ros.networks.zoo import build, rebuild  # noqa: E402
from cmt_seg_ros.training import curriculum as curriculum_module  # noqa: E402
from cmt_seg_ros.training import trainer as trainer_module  # noqa: E402
from cmt_seg_ros.training.batches import Batches, TrainingData  # noqa: E402
from cmt_seg_ros.training.curriculum import RECIPES, curriculum, read_recipe, recipe_of  # noqa: E402
from cmt_seg_ros.training.curves import draw_curves, read_history  # noqa: E402
from cmt_seg_ros.training.datasets import DataSet, LabelSpace, Sample, render_scenes  # noqa: E402
from cmt_seg_ros.training.recipe import Recipe, Stage  # noqa: E402
from cmt_seg_ros.training.stage_network import carry_over, network_description  # noqa: E402
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


@pytest.mark.usefixtures("quick_training")
def test_resuming_after_a_kill_gives_the_same_weights(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "CHECKPOINT_EVERY", 2)
    torch.set_num_threads(1)  # sums in another order would differ in the last bit
    make(samples, tmp_path / "whole").run()

    step = StageRun._step
    for number, iteration in (("a", 1), ("b", 3)):  # a kill in the middle of each stage

        def die(self: StageRun, x: Any, targets: Any, number: str = number, iteration: int = iteration) -> Any:
            if (self.stage.name, self.iteration) == (number, iteration):
                raise KeyboardInterrupt
            return step(self, x, targets)

        monkeypatch.setattr(StageRun, "_step", die)
        with pytest.raises(KeyboardInterrupt):
            make(samples, tmp_path / "killed").run()
    monkeypatch.setattr(StageRun, "_step", step)
    make(samples, tmp_path / "killed").run()

    for folder in ("01_a", "02_b"):
        whole, killed = (load_file(tmp_path / run / folder / "weights.safetensors") for run in ("whole", "killed"))
        for name, value in whole.items():
            torch.testing.assert_close(killed[name], value, rtol=0, atol=0, msg=name)
    rows = read_history(tmp_path / "killed")
    assert [(r["stage"], r["batch"]) for r in rows] == [("a", 3), ("b", 7)]
    assert rows[0]["loss"] == rows[0]["objectness_loss"] and "semantic_loss" not in rows[0]
    assert rows[1]["loss"] == pytest.approx(2 / 3 * rows[1]["semantic_loss"] + 1 / 3 * rows[1]["objectness_loss"])
    assert draw_curves(tmp_path / "killed").stat().st_size > 5000


def test_training_lowers_the_loss(samples: list[Sample], tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage("a", 20, (64, 64)),), lr=5e-3, warmup=2)
    stage = StageRun(make(samples, tmp_path, recipe), 0, None, 0, 1, torch.device("cpu"))
    stage._build()
    batch = stage.batches.batch(0)
    losses = []
    for stage.iteration in range(10):
        losses.append(stage._step(*batch)["loss"])
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.usefixtures("quick_training")
@pytest.mark.parametrize("encoder", ["lite", "vgg"])
def test_the_curriculum_run_and_hand_on_their_weights(samples: list[Sample], tmp_path: Path, encoder: str) -> None:
    stages = tuple(replace(s, crop=(32, 48)) for s in curriculum((1, 1, 1, 1, 1, 1, 2), partial=1, synthetic=1))
    recipe = replace(RECIPE, stages=stages, network={**SMALL, "encoder": encoder}, batch=3)
    make(samples, tmp_path, recipe).run()
    folders = sorted(p for p in tmp_path.iterdir() if p.is_dir())
    assert [p.name[3:6] for p in folders] == ["502", "503", "504", "505", "506", "506", "507"]
    metas = [yaml.safe_load((p / "meta.yaml").read_text(encoding="utf-8")) for p in folders]
    assert [m["network"]["tasks"] for m in metas[:2]] == [["objectness"], ["semantic", "objectness"]]
    assert [m["network"]["semantic"]["concatenated"] for m in metas[2:4]] == [[5], [3, 4, 5]]
    assert [m["network"]["objectness"]["summing_steps"] for m in metas[3:]] == [[], [2], [2, 1], [2, 1]]
    weights = [load_file(p / "weights.safetensors") for p in folders]
    frozen, tuned = (
        all(torch.equal(weights[i][k], weights[j][k]) for k in weights[i] if k.startswith("encoder."))
        for i, j in ((2, 5), (5, 6))
    )
    assert frozen and not tuned  # BatchNorm statistics are among these
    for meta, values in zip(metas, weights, strict=True):
        rebuild(meta["network"]).load_state_dict(values)


@pytest.mark.usefixtures("quick_training")
def test_any_row_of_the_zoo_is_trained(samples: list[Sample], tmp_path: Path) -> None:
    stages = (Stage("a", 1, (32, 48), weights=(1.0, 0.0)), Stage("b", 2, (32, 48), weights={"semantic": 1}))
    recipe = replace(RECIPE, row="unet", network={"widths": (8, 8, 8)}, stages=stages)
    scores = make(samples, tmp_path, recipe).run()
    assert scores["miou"] >= 0 and "objectness_iou" in scores
    for folder in sorted(p for p in tmp_path.iterdir() if p.is_dir()):
        meta = yaml.safe_load((folder / "meta.yaml").read_text(encoding="utf-8"))
        assert (meta["network"]["family"], meta["network"]["widths"]) == ("unet", [8, 8, 8])
        rebuild(meta["network"]).load_state_dict(load_file(folder / "weights.safetensors"))
    assert yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))["recipe"]["row"] == "unet"
    wrong = replace(recipe, stages=(Stage("a", 1, (32, 48)),))
    with pytest.raises(ConfigError, match=r"unet has neither hyper-features nor objectness .* weights {semantic: 1}"):
        make(samples, tmp_path / "wrong", wrong).run()


def test_each_row_has_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert recipe_of("cmt-mchh-lite") == "cmt-mchh-lite-camvid" and recipe_of("unet") == "unet-small"
    assert read_recipe(recipe_of("cmt-mchh-vgg")).row == "cmt-mchh-vgg"
    with pytest.raises(ConfigError, match="no such network; there are recipes for cmt-mchh-lite, cmt-mchh-vgg, unet"):
        recipe_of("lenet")
    with monkeypatch.context() as patch:
        patch.setattr(curriculum_module, "RECIPES", {"a": RECIPES["unet-small"]})
        with pytest.raises(ConfigError, match=r"no recipe trains it: write one .* there are recipes for unet"):
            recipe_of("cmt-mchh-vgg")
    with pytest.raises(ConfigError, match="row is 'lenet'; the zoo has cmt-mchh-lite"):
        replace(RECIPE, row="lenet")
    assert "row" not in RECIPES["smoke"].to_dict() and "network" not in RECIPES["smoke"].to_dict()["stages"][0]


@pytest.mark.parametrize(
    ("changes", "stage", "message"),
    [
        ({"widths": 3}, {}, "widths is 3; it must list two levels or more"),
        ({"widths": {"a": 1}}, {}, "widths is {'a': 1}; it must list"),
        ({"widths": [8, 0]}, {}, r"widths is \(8, 0\)"),
        ({"family": "cmt_mchh"}, {}, "family cannot be changed; `row` names the network"),
        ({}, {"network": {"num_classes": 3}}, "num_classes cannot be changed"),
        ({}, {"frozen": ("encoder.",)}, "frozen is 'encoder.'; parts of unet: down., up., classifier."),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_before_anything_is_written(
    samples: list[Sample], tmp_path: Path, changes: dict[str, Any], stage: dict[str, Any], message: str
) -> None:
    stages = (Stage("a", 1, (32, 48), weights=(1.0, 0.0), **stage),)
    recipe = replace(RECIPE, row="unet", network={"widths": [8, 8], **changes}, stages=stages)
    with pytest.raises(ConfigError, match=message):
        make(samples, tmp_path / "run", recipe).run()
    assert not (tmp_path / "run").exists()


def test_runs_of_cmt_mchh_are_recorded_as_by_0_1() -> None:
    recipe = RECIPES["cmt-mchh-vgg-camvid"]
    assert recipe.row == "cmt-mchh-vgg" and "row" not in recipe.to_dict()
    assert recipe.to_dict()["network"]["encoder"] == "vgg" and RECIPES["unet-small"].to_dict()["row"] == "unet"


def test_weights_of_another_network_are_refused() -> None:
    network = build("unet", 3, (1,))
    with pytest.raises(ModelError, match="none of the weights fits"):
        carry_over(network, CmtMchh(CmtMchhConfig(3, (1,))).state_dict())


def test_large_crops_are_larger_than_small_ones() -> None:
    for recipe in RECIPES.values():
        for axis in (0, 1):
            sizes = [s.crop[axis] for s in recipe.stages]
            assert sizes == sorted(sizes)


@pytest.mark.usefixtures("quick_training")
def test_another_run_does_not_continue_in_a_folder(samples: list[Sample], tmp_path: Path) -> None:
    short = replace(RECIPE, stages=(Stage("a", 1, (64, 64)),))
    first = make(samples, tmp_path, short, about={"hold_out": ""}).run()
    assert make(samples, tmp_path, short, about={"hold_out": ""}).run() == first  # ended: nothing to do
    with pytest.raises(ConfigError, match="holds a run with another recipe"):
        make(samples, tmp_path, replace(short, lr=1.0), about={"hold_out": ""}).run()
    with pytest.raises(ConfigError, match="another hold_out"):
        make(samples, tmp_path, short, about={"hold_out": "x"}).run()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="has files that are no training run; give another folder"):
        make(samples, tmp_path.parent, short).run()
    with pytest.raises(ConfigError, match="cannot be written"):
        make(samples, tmp_path / "file", short).run()


@pytest.mark.usefixtures("quick_training")
def test_a_run_may_start_from_weights(samples: list[Sample], tmp_path: Path) -> None:
    still = replace(RECIPE, stages=(Stage("a", 1, (64, 64)),), lr=0.0)
    make(samples, tmp_path / "one", replace(still, seed=5)).run()
    make(samples, tmp_path / "two", still, start=tmp_path / "one" / "01_a").run()
    one, two = (load_file(tmp_path / run / "01_a" / "weights.safetensors") for run in ("one", "two"))
    assert torch.equal(one["semantic_classifier.weight"], two["semantic_classifier.weight"])
    (tmp_path / "one" / "01_a" / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot read"):
        make(samples, tmp_path / "three", still, start=tmp_path / "one" / "01_a").run()


def test_recipes_from_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("""
base: end-to-end
batch: 4
network: {fusion: probabilities, semantic: {summing_steps: 1}}
augmentation: {dusk: 0}
stages:
- {name: one, iterations: 3, crop: [64, 96], weights: [0.5, 0.5], hyper: {concatenated: [4, 5]}}
""")
    recipe = read_recipe(str(path))
    assert (recipe.batch, recipe.augmentation.dusk, recipe.augmentation.shade) == (4, 0, 0.2)
    network = network_description(recipe, recipe.stages[0], CAMVID)
    semantic, objectness = network["semantic"], network["objectness"]
    assert (network["fusion"], semantic["summing_steps"], objectness["summing_steps"]) == ("probabilities", 1, [2, 1])
    assert semantic["concatenated"] == objectness["concatenated"] == [4, 5]
    for text, message in (
        ("batch: 4", "base is None"),
        ("base: end-to-end\nbatches: 4", r"\['batches'\] is not known"),
        ("base: end-to-end\naugmentation: {fog: 1}", r"\['fog'\] is not known"),
        ("base: end-to-end\nstages: 3", "stages is 3; it must be a list"),
        ("base: end-to-end\nnetwork: vgg", "network is 'vgg'; it must be a mapping"),
        ("base: end-to-end\nstages: [{name: a, iterations: 3}]", "stage 1: .*crop"),
        ("base: end-to-end\nlr: 1e-3", "lr is '1e-3'; .*write 0.001 for 1e-3, which YAML takes for a text"),
        ("base: end-to-end\nwarmup: 0", "warmup is 0; it must be a whole number from 1"),
        ("base: end-to-end\nbatch: 8.5", "batch is 8.5; it must be a whole number"),
        ("base: end-to-end\nseed: -1", "seed is -1"),
        ("base: end-to-end\nstages: []", "stages is empty"),
        ("base: end-to-end\nstages: [{name: 1, iterations: 3, crop: [64, 64]}]", "name is 1; it must be a text"),
        ("base: end-to-end\nstages: [{name: a, iterations: 3.5, crop: [64, 64]}]", "iterations is 3.5"),
        ("base: end-to-end\nstages: [{name: a, iterations: 3, crop: 64}]", "crop is 64; it must be height and width"),
        (
            "base: end-to-end\nstages: [{name: a, iterations: 3, crop: [64, 64], frozen: b}]",
            "frozen is 'b'; it must be",
        ),
        ("base: end-to-end\naugmentation: {scale: 1.0}", "scale is 1.0; it must be two factors"),
        ("base: end-to-end\naugmentation: {scale: [0, 2]}", "it must be two factors, from 0.01"),
        ("base: end-to-end\naugmentation: {dusk: 2}", "dusk is 2; it must be a number from 0 to 1"),
        ("base: end-to-end\nclass_weights: some", "class_weights is 'some'; it must be true or false"),
        ("base: end-to-end\nimage_scale: 9", "image_scale is 9; it must be a number from 0.1 to 4"),
        ("base: cmt-mchh-lite-camvid\nbatch: 4", "leave no room for fully labelled ones in batches of 4"),
        ("{", "is not YAML"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_recipe(str(path))
    with pytest.raises(ConfigError, match="known: cmt-mchh-lite-camvid"):
        read_recipe("nothing")
    for network, message in (
        ({"tasks": 3}, "tasks is 3; allowed"),
        ({"encoder": "vgg", "vgg": [16, 32]}, r"vgg is \(16, 32\); it must be a mapping"),
        ({"semantic": {"resampled_to": 2.5}}, "resampled_to is 2.5; it must be a stage"),
        ({"semantic": {"resampled_to": 0, "summing_steps": []}}, "resampled_to is 0; it must be a stage"),
        ({"semantic": {"summing_steps": True}}, "summing_steps is True; it must be a list"),
    ):
        with pytest.raises(ConfigError, match=message):
            network_description(replace(RECIPE, network=network), RECIPE.stages[1], CAMVID)
    alone = replace(RECIPE, network={"tasks": ["semantic"]})
    with pytest.raises(ConfigError, match="but the recipe's network has"):
        network_description(alone, RECIPE.stages[1], CAMVID)


def labels_alone(sample: Sample) -> dict[str, Any]:
    return {"labels": sample.labels}


def test_processes_share_each_batch(samples: list[Sample], tmp_path: Path) -> None:
    run = make(samples, tmp_path)
    stage = replace(RECIPE.stages[1], partial=1)
    recipe = replace(RECIPE, batch=4)
    x, targets = Batches(run.data, recipe, stage, labels_alone).batch(5)
    parts = [Batches(run.data, recipe, stage, labels_alone, rank, 2).batch(5) for rank in (0, 1)]
    for k in range(4):
        x_part, targets_part = parts[k % 2]
        assert torch.equal(x[k], x_part[k // 2])
        assert torch.equal(targets["labels"][k], targets_part["labels"][k // 2])


def test_every_sample_is_drawn_once_an_epoch(samples: list[Sample], tmp_path: Path) -> None:
    run = make(samples, tmp_path)
    batches = Batches(run.data, replace(RECIPE, batch=1), RECIPE.stages[1], labels_alone)
    names = [batches._draw(run.data.main, 1, k)[0].name for k in range(6)]
    assert len(set(names[:3])) == len(set(names[3:])) == 3
    assert batches.epoch(6) == 2.0


def test_encoders_that_do_not_fit_are_refused() -> None:
    lite, vgg = (CmtMchh(CmtMchhConfig(3, (1,), encoder=encoder)) for encoder in ("lite", "vgg"))
    with pytest.raises(ModelError, match="does not fit"):
        carry_over(lite, vgg.state_dict())


def test_stages_are_checked() -> None:
    assert Stage("a", 1, (64, 64), weights=(2.0, 1.0)).task_weights == {"semantic": 2.0, "objectness": 1.0}
    for weights in (
        (1.0,),
        1.0,
        {},
        {"depth": 1.0},
        {"semantic": "all"},
        (0.0, 0.0),
        (1.0, -1.0),
        {"semantic": math.inf},
    ):
        with pytest.raises(ConfigError, match="weights are"):
            Stage("a", 1, (64, 64), weights=weights)
    assert Stage("a", 1, (64, 64), weights={"objectness": 1.0}).task_weights == {"objectness": 1.0}
    with pytest.raises(ConfigError, match="iterations is 0; it must be a whole number from 1"):
        Stage("a", 0, (64, 64))
    with pytest.raises(ConfigError, match="but tasks"):
        Stage("a", 1, (64, 64), ("objectness",))
    with pytest.raises(ConfigError, match=r"'b' has crops of .* crops must not become smaller"):
        Recipe((Stage("a", 1, (64, 96)), Stage("b", 1, (96, 64))))


@pytest.mark.usefixtures("quick_training")
def test_images_are_seen_at_the_scale_of_the_recipe(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    deployed = CmtMchh.deployed
    monkeypatch.setattr(CmtMchh, "deployed", lambda self, x: (seen.append(x.shape[2:]), deployed(self, x))[1])
    recipe = replace(RECIPE, stages=RECIPE.stages[1:], image_scale=0.5, class_weights=False)
    recipe = replace(recipe, stages=(replace(recipe.stages[0], iterations=1),))
    run = make(samples, tmp_path, recipe)
    assert run.run()["images"] == 1
    assert seen == [(48, 64)] and yaml.safe_load((tmp_path / "01_b" / "meta.yaml").read_text())["input"] == [48, 64]
    stage = StageRun(run, 0, None, 0, 1, torch.device("cpu"))
    stage._build()
    assert stage.losses.losses["semantic"].label_weights.tolist() == [1.0] * len(run.space.sets)
    assert stage.batches.area_px == 48 * 64


TWO_PROCESSES = """
import contextlib, hashlib, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
torch.autocast = lambda *_, **__: contextlib.nullcontext()  # as quick_training
sys.path[:0] = [sys.argv[2], os.path.dirname(sys.argv[2])]
from test_trainer import RECIPE, make
from cmt_seg_ros.training import trainer
from cmt_seg_ros.training.datasets import render_scenes
trainer.CHECKPOINT_EVERY = 2
out, step = Path(sys.argv[1]), trainer.StageRun._step
def watched(self, x, targets):
    if sys.argv[3] == "die" and (self.stage.name, self.iteration) == ("b", 3):
        os._exit(7)
    losses = step(self, x, targets)
    bits = b"".join(p.detach().numpy().tobytes() for p in self.network.parameters())
    with open(out.with_name(f"rank{self.rank}"), "a") as f:
        f.write(f"{self.stage.name} {self.iteration} {len(x)} {hashlib.sha256(bits).hexdigest()}\\n")
    return losses
trainer.StageRun._step = watched
make(list(render_scenes(3, 1000, 128, 96)), out).run()
"""


def test_two_processes_train_one_network_and_resume(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(TWO_PROCESSES)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(tmp_path / "program.py"), str(tmp_path / "run"), str(Path(__file__).parent)]
    assert subprocess.run([*command, "die"], timeout=DEADLINE_S, capture_output=True).returncode != 0
    subprocess.run([*command, "live"], check=True, timeout=DEADLINE_S, capture_output=True)
    ranks = [(tmp_path / f"rank{k}").read_text(encoding="utf-8").splitlines() for k in (0, 1)]
    # After every step both have the same weights, from one image each; the second run went on at the checkpoint.
    assert ranks[0] == ranks[1]
    assert [line.split()[:3] for line in ranks[0]] == [
        [stage, str(number), "1"] for stage, number in
        [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2), ("b", 2), ("b", 3)]
    ]  # fmt: skip
    assert [(r["stage"], r["batch"]) for r in read_history(tmp_path / "run")] == [("a", 3), ("b", 7)]


def test_a_batch_must_divide_among_processes(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module.distributed, "start", lambda device: (0, 3, torch.device("cpu")))
    with pytest.raises(ConfigError, match="cannot be shared by 3 processes"):
        make(samples, tmp_path).run()


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")
def test_a_gpu_that_is_not_there_is_an_error(samples: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="use --device cpu"):
        make(samples, tmp_path, device="cuda").run()
