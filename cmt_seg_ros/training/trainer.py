"""Training loop: runs every stage of a recipe; can stop and resume at any point with the same result."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.files import replace_with
from cmt_seg_ros.labels import IGNORE_ID, LabelSet
from cmt_seg_ros.metrics.segmentation import MaskMeter
from cmt_seg_ros.training import distributed
from cmt_seg_ros.training.batches import Batches, TrainingData, to_input
from cmt_seg_ros.training.curves import draw_curves
from cmt_seg_ros.training.datasets import LabelSpace, Sample
from cmt_seg_ros.training.depthwise import QuickDepthwise
from cmt_seg_ros.training.losses import LabelMeaning
from cmt_seg_ros.training.recipe import Recipe
from cmt_seg_ros.training.stage_network import build_network, check_stages, claim, finished_scores, write_stage
from cmt_seg_ros.training.tasks import TaskLosses

CHECKPOINT_EVERY = 100


@dataclass(frozen=True, eq=False)
class Run:
    """One training run: what all its stages have in common.

    Attributes:
        recipe: recipe to run.
        labels: the network's classes.
        space: numbering of the labels of ``data``.
        data: training samples.
        val: samples scored every ``val_every`` iterations and at the end of a stage.
        out: folder of the run; it holds run.yaml, which identifies the run, and one folder per stage.
        about: names of recipe and data, for run.yaml: they too decide the result.
        start: folder with weights.safetensors to start from; None: the lite encoder starts from ImageNet, everything
            else is randomly initialised.
        pretrained: start the lite encoder from ImageNet.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: threads that prepare batches.
    """

    recipe: Recipe
    labels: LabelSet
    space: LabelSpace
    data: TrainingData
    val: list[Sample]
    out: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    start: Path | None = None
    val_every: int = 500
    pretrained: bool = True
    device: str = "auto"
    workers: int = 1

    def run(self) -> dict[str, Any]:
        """Run every stage that is not finished and return the last one's scores on val.

        Raises:
            ConfigError: ``out`` holds another run, or the batch cannot be shared among the processes.
        """
        rank, world, device = distributed.start(self.device)
        try:
            if self.recipe.batch % world:
                raise ConfigError(f"batches of {self.recipe.batch} images cannot be shared by {world} processes evenly")
            check_stages(self.recipe, self.labels)
            claim(self.out, {**self.about, "recipe": self.recipe.to_dict(), "classes": self.labels.to_list()}, rank)
            distributed.wait()
            scores: dict[str, Any] = {}
            before = self.start
            for number in range(len(self.recipe.stages)):
                stage = StageRun(self, number, before, rank, world, device)
                scores = finished_scores(stage.folder) or stage.run()
                if rank == 0:
                    draw_curves(self.out)
                distributed.wait()
                before = stage.folder
            return scores
        finally:
            distributed.stop()


class StageRun:
    """One stage: its folder has checkpoint.pt while it runs, weights.safetensors and meta.yaml when it has ended."""

    def __init__(self, run: Run, number: int, before: Path | None, rank: int, world: int, device: torch.device) -> None:
        self.common, self.stage, self.before = run, run.recipe.stages[number], before
        self.rank, self.world, self.device = rank, world, device
        self.folder = run.out / f"{number + 1:02d}_{self.stage.name.replace(',', '').replace(' ', '_')}"
        self.position = f"{number + 1}/{len(run.recipe.stages)} {self.stage.name}"
        self.batches_before = sum(s.iterations for s in run.recipe.stages[:number])
        self.iteration = 0
        self.history: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        """Train to the end, write the averaged weights, and return their scores on val."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._build()
        self._resume()
        distributed.wait()  # the first process to finish removes the checkpoint, so all must have read it by then
        miou = self.history[-1]["miou"] if self.history else 0.0
        # One bar for the whole run, so that it shows the time left for the whole run.
        with tqdm(total=self.common.recipe.iterations, initial=self.batches_before + self.iteration, unit="batch",
                  dynamic_ncols=True, disable=self.rank > 0, file=sys.stderr, desc=self.position) as bar:  # fmt: skip
            for x, targets in self._ahead():
                losses = self._step(x, targets)
                self.iteration += 1
                bar.update()
                bar.set_postfix(epoch=f"{self.batches.epoch(self.iteration):.1f}", loss=f"{losses['loss']:.3f}",
                                val_miou=f"{miou:.4f}")  # fmt: skip
                last = self.iteration == self.stage.iterations
                if last or self.iteration % self.common.val_every == 0:
                    miou = self._validate(losses)["miou"]
                if last or self.iteration % CHECKPOINT_EVERY == 0:
                    self._save()
        if not self.rank:
            size = seen_size(self.common.data.main[0], self.common.recipe.image_scale)
            write_stage(self.folder, self.average.module, self.stage, self.common.labels, size, self.history[-1])
        return self.history[-1]

    def _build(self) -> None:
        recipe, stage = self.common.recipe, self.stage
        torch.manual_seed(recipe.seed)
        network = build_network(recipe, stage, self.common.labels, self.before, self.common.pretrained)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, parameter in network.named_parameters():
            parameter.requires_grad = not name.startswith(stage.frozen) if stage.frozen else True
        trained = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
        factors = {True: recipe.encoder_lr, False: 1.0}  # of the encoder, where the network has one, and of the rest
        groups = [
            {"params": [p for n, p in trained if n.startswith("encoder.") == part], "factor": factor}
            for part, factor in factors.items()
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=moving_average(recipe.ema), use_buffers=True
        )
        self.model = distributed.shared(self.network, self.world, self.device)
        space, data = self.common.space, self.common.data
        weights = data.class_weights if recipe.class_weights else ()
        meaning = LabelMeaning(space.sets, self.common.labels.object_ids, weights, recipe.boundary_weight)
        self.losses = TaskLosses(stage.task_weights, meaning).to(self.device)
        self.batches = Batches(data, recipe, stage, self.losses.targets, self.rank, self.world)

    def _ahead(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Yield batches from the current iteration on, prepared in threads while the network computes."""
        with ThreadPoolExecutor(self.common.workers) as pool:
            upcoming: deque[Future[tuple[Tensor, dict[str, Tensor]]]] = deque()
            following = self.iteration
            while upcoming or following < self.stage.iterations:
                while len(upcoming) <= self.common.workers and following < self.stage.iterations:
                    upcoming.append(pool.submit(self.batches.batch, following))
                    following += 1
                yield upcoming.popleft().result()

    def _step(self, x: Tensor, targets: Mapping[str, Tensor]) -> dict[str, float]:
        """Train on one batch; return ``loss``, the weighted sum, and the loss of each task."""
        recipe, stage = self.common.recipe, self.stage
        self.model.train()
        for prefix in stage.frozen:
            self.network.get_submodule(prefix.rstrip(".")).eval()  # BatchNorm statistics stay as they are
        warm = min(1.0, (self.iteration + 1) / min(recipe.warmup, stage.iterations))
        rate = recipe.lr * warm * (1 - self.iteration / stage.iterations) ** 0.9
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        x = x.to(self.device, non_blocking=True)
        targets = {name: target.to(self.device, non_blocking=True) for name, target in targets.items()}
        quick = QuickDepthwise() if self.device.type == "cpu" else nullcontext()
        with quick, torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device)):
            scores = self.model(x)
        losses = self.losses(scores, targets)
        loss = self.losses.total(losses)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        names = ("loss", *(f"{name}_loss" for name in losses))
        return dict(zip(names, torch.stack([loss, *losses.values()]).tolist(), strict=True))

    def _validate(self, losses: Mapping[str, float]) -> dict[str, Any]:
        row: dict[str, Any] = {"stage": self.stage.name, "iteration": self.iteration, **losses, "miou": 0.0}
        if not self.rank:
            scale = self.common.recipe.image_scale
            row.update(evaluate(self.average.module, self.common.val, self.common.labels, self.device, scale))
        self.history.append(row)
        if not self.rank:
            rows = "".join(json.dumps(row) + "\n" for row in self.history)
            (self.folder / "history.jsonl").write_text(rows, encoding="utf-8")
        distributed.wait()
        return self.history[-1]

    def _save(self) -> None:
        """Write the checkpoint in one piece, so that a kill leaves the old or the new one."""
        if self.rank:
            return
        state = {
            "iteration": self.iteration,
            "model": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
        }
        with replace_with(self.folder / "checkpoint.pt") as fresh:
            torch.save(state, fresh)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.history = state["iteration"], state["history"]


def has_bfloat16(device: torch.device) -> bool:
    """Say whether a device computes in bfloat16; processors without AVX-512 emulate it, three to ten times slower."""
    return device.type != "cpu" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def seen_size(sample: Sample, image_scale: float) -> tuple[int, int]:
    """Return the (height, width) at which the network sees an image."""
    height, width = (max(round(side * image_scale), 1) for side in sample.labels.shape)
    return height, width


@torch.no_grad()
def evaluate(
    model: nn.Module, samples: list[Sample], labels: LabelSet, device: torch.device, image_scale: float = 1.0
) -> dict[str, Any]:
    """Score the masks as they are deployed, at the images' own size; see MaskMeter.to_dict."""
    model.eval()
    meter = MaskMeter(labels)
    for s in samples:
        image = s.image
        if image_scale != 1:  # bilinear, as the pipeline scales
            image = cv2.resize(image, seen_size(s, image_scale)[::-1]).astype(np.uint8, copy=False)
        scores = model.deployed(to_input(image[None]).to(device))  # type: ignore[operator]
        classes, objectness = (_probabilities(x, s.labels.shape) for x in (scores.classes, scores.objectness))
        class_ids = torch.full(s.labels.shape, IGNORE_ID) if classes is None else classes.argmax(0)
        is_object = None if objectness is None else (objectness[1] > 0.5).to("cpu", torch.uint8).numpy()
        meter.add(s.labels, class_ids.to("cpu", torch.uint8).numpy(), is_object, s.objects)
    return meter.to_dict()


def _probabilities(scores: Tensor | None, size: tuple[int, ...]) -> Tensor | None:
    """Map the (1, K, h, w) scores of a task to (K, H, W) probabilities; None where the network has none."""
    if scores is None:
        return None
    return nn.functional.interpolate(scores.float().softmax(1), size, mode="bilinear")[0]


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Return an exponential moving average that forgets faster at first: over the last tenth of a young run."""

    def update(average: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
        keep = min(decay, (1 + int(updates)) / (10 + int(updates)))
        for mean, value in zip(average, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)  # counters of BatchNorm

    return update
