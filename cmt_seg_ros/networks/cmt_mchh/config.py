"""Configuration of CMT-MCHH: every choice, enough to rebuild the network."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cmt_seg_ros.errors import ConfigError

CHOICES: dict[str, tuple[Any, ...]] = {
    "encoder": ("lite", "vgg"),
    "tasks": (("semantic", "objectness"), ("semantic",), ("objectness",)),
    "fusion": ("scores", "probabilities", "none"),
    "labels_from": ("fused", "semantic"),
    "objectness_from": ("own", "fused"),
}


@dataclass(frozen=True)
class HyperConfig:
    """Hyper-features of one task.

    Attributes:
        widths: channels at 1/8, 1/4 and 1/2 of the input.
        concatenated: which encoder stages (1-5) are concatenated at 1/8.
        summing_steps: 0, 1 or 2 up-sample-and-sum steps: output at 1/8, 1/4 or 1/2 of the input.
    """

    widths: tuple[int, ...]
    concatenated: tuple[int, ...] = (3, 4, 5)
    summing_steps: int = 2

    def __post_init__(self) -> None:
        if len(self.widths) != 3 or min(self.widths) < 1:
            raise ConfigError(f"widths is {self.widths}; it must be three channel counts: at 1/8, 1/4 and 1/2")
        if not self.concatenated or not set(self.concatenated) <= {1, 2, 3, 4, 5}:
            raise ConfigError(f"concatenated is {self.concatenated}; it must name stages out of 1-5")
        if self.summing_steps not in (0, 1, 2):
            raise ConfigError(f"summing_steps is {self.summing_steps}; allowed: 0, 1, 2")


@dataclass(frozen=True)
class CmtMchhConfig:
    """Configuration of CMT-MCHH: everything needed to rebuild the network.

    Attributes:
        num_classes: number of semantic classes.
        object_ids: which of them are objects (objectness = 1).
        encoder: ``"lite"`` (EfficientNet-Lite0) or ``"vgg"`` (VGG-16's thirteen convolutions).
        tasks: both, or one alone.
        semantic: the semantic hyper-features.
        objectness: the objectness hyper-features.
        shared: one hyper-feature network, the semantic one, serves both tasks.
        fusion: ``"scores"``: object classes gain the object score, the others the no-object score;
            ``"probabilities"``: the same with probabilities instead of scores; ``"none"``.
        labels_from: class labels are taken from the fused or the semantic scores.
        objectness_from: the objectness mask is taken from its own scores or from the fused ones.
    """

    num_classes: int
    object_ids: tuple[int, ...]
    encoder: str = "lite"
    tasks: tuple[str, ...] = ("semantic", "objectness")
    semantic: HyperConfig = field(default_factory=lambda: HyperConfig((128, 64, 32)))
    objectness: HyperConfig = field(default_factory=lambda: HyperConfig((64, 32, 16)))
    shared: bool = False
    fusion: str = "scores"
    labels_from: str = "fused"
    objectness_from: str = "own"

    def __post_init__(self) -> None:
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(f"{key} is {getattr(self, key)!r}; allowed: {', '.join(map(repr, allowed))}")
        ids = range(self.num_classes)
        if not self.object_ids or not set(self.object_ids) < set(ids):
            raise ConfigError(f"object_ids is {self.object_ids}; it must name some, not all, of 0-{len(ids) - 1}")
        if self.tasks == ("objectness",) and (self.labels_from, self.objectness_from) != ("fused", "own"):
            raise ConfigError("labels_from and objectness_from need the semantic task; leave them at their defaults")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for YAML."""
        return _plain(asdict(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CmtMchhConfig:
        """Build from plain values; the inverse of :meth:`to_dict`.

        Raises:
            ConfigError: a key that is not known or missing, or a value that is not allowed.
        """
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        for key in ("semantic", "objectness"):
            if isinstance(given.get(key), dict):
                given[key] = _checked(HyperConfig, {k: _tupled(v) for k, v in given[key].items()})
        return _checked(cls, given)


def _checked(cls: type, values: dict[str, Any]) -> Any:
    names = [f.name for f in fields(cls)]
    unknown = set(values) - set(names)
    if unknown:
        raise ConfigError(f"unknown network key {sorted(unknown)}; allowed: {names}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"network description is not complete: {error}") from error


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value
