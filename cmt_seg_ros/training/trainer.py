"""One loop that runs every stage of a recipe; stops and resumes at any checkpoint with the same result."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cmt_seg_ros.labels import LabelSet
from cmt_seg_ros.metrics.segmentation import MaskMeter
from cmt_seg_ros.training.augmentation import augment
from cmt_seg_ros.training.curriculum import Recipe
from cmt_seg_ros.training.datasets import Sample, class_weights, render_scenes
from cmt_seg_ros.training.losses import coupled_loss

CHECKPOINT_EVERY = 100
FIRST_TRAINING_SEED = 1000


def to_input(images: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 blue-green-red to (N, 3, H, W) float red-green-blue, (value - 127) / 128."""
    x = torch.from_numpy(np.ascontiguousarray(images[..., ::-1])).permute(0, 3, 1, 2)
    return ((x.float() - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def evaluate(model: nn.Module, samples: list[Sample], labels: LabelSet) -> dict[str, Any]:
    """MIoU and per-class IoU of the fused labels at the images' own size, and objectness IoU.

    Each is computed from one confusion matrix over all pixels of all samples.
    """
    model.eval()
    meter = MaskMeter(labels)
    for s in samples:
        fused, objectness = (
            nn.functional.interpolate(scores.float().softmax(1), s.labels.shape, mode="bilinear")[0]
            for scores in model(to_input(s.image[None]))
        )
        class_ids, is_object = fused.argmax(0), objectness[1] > 0.5
        meter.add(s.labels, class_ids.to(torch.uint8).numpy(), is_object.to(torch.uint8).numpy())
    return meter.to_dict()


class Trainer:
    """Runs a recipe on a model.

    Args:
        model: takes (N, 3, H, W), gives (fused, objectness) scores.
        recipe: what to run.
        train: real training samples.
        val: samples scored every ``val_every`` iterations and at the end.
        labels: what the class ids mean.
        out: folder for checkpoint.pt, history.jsonl and curves.png; a checkpoint there is resumed.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        train: list[Sample],
        val: list[Sample],
        labels: LabelSet,
        out: Path,
        val_every: int = 400,
    ) -> None:
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe, self.train, self.val, self.labels, self.out = recipe, train, val, labels, out
        self.val_every = val_every
        self.synthetic: list[Sample] = []
        self.weights = torch.tensor(class_weights(train, len(labels)))
        encoder = [p for n, p in model.named_parameters() if n.startswith("encoder.")]
        others = [p for n, p in model.named_parameters() if not n.startswith("encoder.")]
        groups = [{"params": encoder, "factor": recipe.encoder_lr}, {"params": others, "factor": 1.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
        self.average = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.ema), use_buffers=True
        )
        self.iteration = 0
        self.history: list[dict[str, Any]] = []

    def run(self, progress: Callable[..., Any] = tqdm) -> dict[str, Any]:
        """Train to the end and return the scores of the averaged weights on val."""
        self.out.mkdir(parents=True, exist_ok=True)
        self._resume()
        scores = self.history[-1] if self.history else {}
        bar = progress(total=self.recipe.iterations, initial=self.iteration, unit="batch", dynamic_ncols=True)
        with bar, ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(self._batch, self.iteration)
            while self.iteration < self.recipe.iterations:
                batch = upcoming.result()
                upcoming = pool.submit(self._batch, self.iteration + 1)
                loss = self._step(*batch)
                self.iteration += 1
                bar.update()
                bar.set_postfix(stage=self.recipe.stage_at(self.iteration - 1).name, loss=f"{loss:.3f}",
                                val_miou=f"{scores.get('miou', 0):.4f}")  # fmt: skip
                last = self.iteration == self.recipe.iterations
                if last or self.iteration % self.val_every == 0:
                    scores = self._validate(loss)
                if last or self.iteration % CHECKPOINT_EVERY == 0:
                    self._save()
        return scores

    def _batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """The batch of an iteration: a function of seed and iteration alone, so that resuming changes nothing."""
        stage = self.recipe.stage_at(iteration)
        if stage.synthetic and not self.synthetic:
            scenes = render_scenes(self.recipe.scenes, FIRST_TRAINING_SEED)
            self.synthetic = list(tqdm(scenes, total=self.recipe.scenes, desc="rendering scenes", leave=False))
        rng = np.random.default_rng([self.recipe.seed, iteration])
        real = self._draw(self.train, self.recipe.batch - stage.synthetic, iteration)
        picked = real + [self.synthetic[i] for i in rng.integers(0, max(len(self.synthetic), 1), stage.synthetic)]
        images, labels = zip(*(augment(s, stage.crop, rng) for s in picked), strict=True)
        return to_input(np.stack(images)), torch.from_numpy(np.stack(labels)).long()

    def _draw(self, samples: list[Sample], count: int, iteration: int) -> list[Sample]:
        """Every sample once an epoch, in an order shuffled by seed and epoch."""
        picked = []
        for k in range(iteration * count, (iteration + 1) * count):
            epoch, place = divmod(k, len(samples))
            order = np.random.default_rng([self.recipe.seed, 7, epoch]).permutation(len(samples))
            picked.append(samples[order[place]])
        return picked

    def _step(self, x: Tensor, target: Tensor) -> float:
        self.model.train()
        done = self.iteration / self.recipe.iterations
        rate = self.recipe.lr * min(1.0, (self.iteration + 1) / self.recipe.warmup) * (1 - done) ** 0.9
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with torch.autocast("cpu", torch.bfloat16):
            fused, objectness = self.model(x)
        loss = coupled_loss(fused, objectness, target, self.labels.object_ids, self.weights)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.average.update_parameters(self.model)
        return loss.item()

    def _validate(self, loss: float) -> dict[str, Any]:
        scores = evaluate(self.average.module, self.val, self.labels)
        self.history.append({"iteration": self.iteration, "loss": loss, **scores})
        (self.out / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.history))
        return self.history[-1]

    def _save(self) -> None:
        """Write the checkpoint in one piece: a kill leaves the old one or the new one."""
        state = {
            "iteration": self.iteration,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
        }
        torch.save(state, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.history = state["iteration"], state["history"]
