"""Configuration of CMT-MCHH: every choice, enough to rebuild the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.networks.config import NetworkConfig, from_plain

CHOICES: dict[str, tuple[Any, ...]] = {
    "encoder": ("lite", "vgg"),
    "tasks": (("semantic", "objectness"), ("semantic",), ("objectness",)),
    "fusion": ("scores", "probabilities", "none"),
    "fuse_in_training": (True, False),
    "labels_from": ("fused", "semantic"),
    "objectness_from": ("own", "fused"),
}
UPSAMPLERS = ("bilinear", "deconv")


@dataclass(frozen=True)
class HyperConfig:
    """Hyper-features of one task. Encoder stages are counted from 1, the shallowest.

    Attributes:
        widths: channels of the concatenation, then after each summing step; more than are needed may be given.
        concatenated: encoder stages that are concatenated.
        summing_steps: encoder stages that the result is up-sampled to and summed with, one after another; stages may be
            skipped. A number n, as in 0.1, stands for the first n of 2, 1.
        resampled_to: encoder stage to whose size the concatenated ones are resampled.
        upsampler: ``"bilinear"``, or ``"deconv"``: learned for each channel, starting as bilinear.
    """

    widths: tuple[int, ...]
    concatenated: tuple[int, ...] = (3, 4, 5)
    summing_steps: tuple[int, ...] = (2, 1)
    resampled_to: int = 3
    upsampler: str = "bilinear"

    def __post_init__(self) -> None:
        steps: Any = self.summing_steps
        if type(steps) is int and steps in (0, 1, 2):
            object.__setattr__(self, "summing_steps", (2, 1)[:steps])
        for key in ("widths", "concatenated", "summing_steps"):
            value = getattr(self, key)
            if not isinstance(value, tuple) or not all(type(n) is int and n > 0 for n in value):
                raise ConfigError(f"{key} is {value!r}; it must be a list of whole numbers above 0")
        if type(self.resampled_to) is not int or self.resampled_to < 1:
            raise ConfigError(f"resampled_to is {self.resampled_to!r}; it must be a stage of the encoder: 1, 2, ...")
        if not self.concatenated:
            raise ConfigError("concatenated is empty; it must name stages of the encoder")
        falling = (self.resampled_to, *self.summing_steps)
        if any(deep <= shallow for deep, shallow in pairwise(falling)):
            raise ConfigError(
                f"summing_steps is {list(self.summing_steps)} and resampled_to {self.resampled_to}; each step must "
                "name a shallower stage than the one before it, the first a shallower one than resampled_to"
            )
        if len(self.widths) <= len(self.summing_steps):
            raise ConfigError(
                f"widths is {list(self.widths)}; it needs {len(self.summing_steps) + 1} channel counts: of the "
                "concatenation and after each summing step"
            )
        if self.upsampler not in UPSAMPLERS:
            raise ConfigError(f"upsampler is {self.upsampler!r}; allowed: {', '.join(UPSAMPLERS)}")


@dataclass(frozen=True)
class VggConfig:
    """Stages of the VGG form; the defaults are VGG-16's, pooled as CMT-MCHH's authors do.

    Attributes:
        widths: channels of each stage.
        convolutions: number of 3x3 convolutions of each stage.
        pooled: stages that end with 2x2 max pooling.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    convolutions: tuple[int, ...] = (2, 2, 3, 3, 3)
    pooled: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        for key in ("widths", "convolutions", "pooled"):
            value = getattr(self, key)
            if not isinstance(value, tuple) or not all(type(n) is int and n > 0 for n in value):
                raise ConfigError(f"vgg: {key} is {value!r}; it must be a list of whole numbers above 0")
        if not self.widths or len(self.convolutions) != len(self.widths):
            raise ConfigError(
                f"vgg: widths is {list(self.widths)} and convolutions {list(self.convolutions)}; each must have one "
                "number for every stage"
            )
        if self.pooled and max(self.pooled) > len(self.widths):
            raise ConfigError(f"vgg: pooled is {list(self.pooled)}; there are {len(self.widths)} stages")


PARTS: dict[str, Any] = {"semantic": HyperConfig, "objectness": HyperConfig, "vgg": VggConfig}


@dataclass(frozen=True)
class CmtMchhConfig(NetworkConfig):
    """Configuration of CMT-MCHH.

    Attributes:
        encoder: ``"lite"`` (EfficientNet-Lite0, five stages) or ``"vgg"``.
        vgg: stages of the VGG form.
        tasks: both, or one alone.
        semantic: the semantic hyper-features.
        objectness: the objectness hyper-features.
        shared: one hyper-feature network, the semantic one, serves both tasks.
        fusion: ``"scores"``: object classes gain the object score, the others the no-object score;
            ``"probabilities"``: the same with probabilities instead of scores; ``"none"``.
        fuse_in_training: True: the semantic loss sees the fused scores. False: each loss sees the scores of its own
            task, and they are fused in deployment only.
        labels_from: class labels are taken from the fused or the semantic scores.
        objectness_from: the objectness mask is taken from its own scores or from the fused ones.
    """

    encoder: str = "lite"
    vgg: VggConfig = field(default_factory=VggConfig)
    tasks: tuple[str, ...] = ("semantic", "objectness")
    semantic: HyperConfig = field(default_factory=lambda: HyperConfig((128, 64, 32)))
    objectness: HyperConfig = field(default_factory=lambda: HyperConfig((64, 32, 16)))
    shared: bool = False
    fusion: str = "scores"
    fuse_in_training: bool = True
    labels_from: str = "fused"
    objectness_from: str = "own"

    def __post_init__(self) -> None:
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(f"{key} is {getattr(self, key)!r}; allowed: {', '.join(map(repr, allowed))}")
        ids = range(self.num_classes)
        if not self.object_ids or not set(self.object_ids) < set(ids):
            raise ConfigError(f"object_ids is {self.object_ids}; it must name some, not all, of 0-{len(ids) - 1}")
        for key, part in PARTS.items():
            if not isinstance(getattr(self, key), part):
                raise ConfigError(f"{key} is {getattr(self, key)!r}; it must be a mapping")
        for task in ("semantic", "objectness"):
            hyper = getattr(self, task)
            for key in ("concatenated", "summing_steps", "resampled_to"):
                named = getattr(hyper, key)
                if max(named if isinstance(named, tuple) else (named,), default=1) > self.stages:
                    raise ConfigError(f"{task}: {key} is {named}; the encoder has stages 1-{self.stages}")
        if self.tasks == ("objectness",) and (self.labels_from, self.objectness_from) != ("fused", "own"):
            raise ConfigError("labels_from and objectness_from need the semantic task; leave them at their defaults")

    @property
    def stages(self) -> int:
        """Number of stages of the encoder."""
        return len(self.vgg.widths) if self.encoder == "vgg" else 5

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for YAML."""
        values = super().to_dict()
        if self.encoder != "vgg":
            del values["vgg"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CmtMchhConfig:
        """Build from plain values; see :meth:`NetworkConfig.from_dict`."""
        given = dict(values)
        for key, part in PARTS.items():
            if isinstance(given.get(key), Mapping):
                given[key] = from_plain(part, given[key])
        return from_plain(cls, given)
