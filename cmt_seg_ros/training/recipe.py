"""Recipe of a training run: its stages, and the settings that they share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.networks.config import plain
from cmt_seg_ros.networks.zoo import ZOO, merged
from cmt_seg_ros.training.augmentation import Augmentation
from cmt_seg_ros.training.checks import Allowed, check_numbers, is_number
from cmt_seg_ros.training.tasks import TASKS

DEFAULT_ROW = "cmt-mchh-lite"


NUMBERS: dict[str, Allowed] = {
    "image_scale": (float, 0.1, 4),
    "batch": (int, 1, 65536),
    "lr": (float, 0, 1e3),
    "encoder_lr": (float, 0, 1e3),
    "weight_decay": (float, 0, 1e3),
    "warmup": (int, 1, 10**9),
    "ema": (float, 0, 1),
    "boundary_weight": (float, 0, 1e6),
    "seed": (int, 0, 2**32 - 1),
    "scenes": (int, 1, 10**6),
}


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe. Its weights come from the stage before; those of the first from ImageNet (lite form).

    Attributes:
        name: number and name; also the name of the folder with its weights.
        iterations: number of batches.
        crop: (height, width) in pixels.
        tasks: CMT-MCHH: tasks that the network has in this stage; of other networks the default.
        hyper: CMT-MCHH: changes to the recipe's hyper-features, for both tasks.
        weights: weight of each task's loss, by name (TASKS), or (w1, w2) of Equation (1): of semantic and objectness;
            any values of 0 or more.
            A network without objectness scores of its own has semantic alone.
        partial: images of each batch that come from partially labelled data.
        synthetic: images of each batch that come from the synthetic street.
        frozen: prefixes of parameter names; these parameters and their BatchNorm statistics are not trained.
        network: changes to the recipe's network in this stage.
    """

    name: str
    iterations: int
    crop: tuple[int, int]
    tasks: tuple[str, ...] = ("semantic", "objectness")
    hyper: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float] | tuple[float, float] = (2 / 3, 1 / 3)
    partial: int = 0
    synthetic: int = 0
    frozen: tuple[str, ...] = ()
    network: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"stage: name is {self.name!r}; it must be a text")
        for key in ("tasks", "frozen"):
            value = getattr(self, key)
            if not isinstance(value, tuple) or not all(isinstance(part, str) for part in value):
                raise ConfigError(f"stage {self.name!r}: {key} is {value!r}; it must be a list of texts")
        for key in ("hyper", "network"):
            if not isinstance(getattr(self, key), Mapping):
                raise ConfigError(f"stage {self.name!r}: {key} is {getattr(self, key)!r}; it must be a mapping")
        named = self.weights if isinstance(self.weights, Mapping) else ()
        if not (set(named) <= set(TASKS) if named else isinstance(self.weights, tuple) and len(self.weights) == 2):
            raise ConfigError(
                f"stage {self.name!r}: weights are {self.weights}; they must name tasks ({', '.join(TASKS)}), or be "
                "two: of semantic and objectness"
            )
        weights = list(self.task_weights.values())
        if not all(isinstance(w, float | int) and 0 <= w < math.inf for w in weights) or not any(weights):
            raise ConfigError(f"stage {self.name!r}: weights are {self.weights}; they must be 0 or more, one above 0")
        check_numbers(f"stage {self.name!r}", self, dict.fromkeys(("partial", "synthetic"), (int, 0, 1024)))
        check_numbers(f"stage {self.name!r}", self, {"iterations": (int, 1, 10**9)})
        crop = self.crop
        if not isinstance(crop, tuple) or len(crop) != 2 or not all(is_number(v, int, 32, 8192) for v in crop):
            raise ConfigError(
                f"stage {self.name!r}: crop is {crop!r}; it must be height and width, whole numbers from 32 to 8192"
            )
        if not {task for task, weight in self.task_weights.items() if weight} <= set(self.tasks):
            raise ConfigError(f"stage {self.name!r}: weights are {self.weights} but tasks {self.tasks}")

    @property
    def task_weights(self) -> dict[str, float]:
        """Weight of each task's loss by its name."""
        if isinstance(self.weights, Mapping):
            return dict(self.weights)
        return dict(zip(("semantic", "objectness"), self.weights, strict=True))


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the weights, apart from the data.

    Attributes:
        stages: stages in the order in which they run.
        row: network of the zoo that is trained.
        network: changes to the choices of that row.
        augmentation: augmentation of every stage.
        image_scale: size at which the network sees images, in training as deployed; 1: that of the data set's images.
        batch: images per batch, summed over all processes.
        lr: learning rate of randomly initialised layers; falls to 0 over each stage (poly, power 0.9).
        encoder_lr: factor on lr for the encoder.
        weight_decay: of AdamW.
        warmup: iterations until the full learning rate of a stage.
        ema: decay of the moving average of the weights; the averaged weights are what is saved.
        boundary_weight: see LabelMeaning.
        class_weights: classes count by the inverse square root of their frequency in the semantic loss; False: all
            alike, as in Equation (1).
        seed: of all random numbers.
        scenes: number of synthetic images rendered.
    """

    stages: tuple[Stage, ...]
    row: str = DEFAULT_ROW
    network: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = field(default_factory=Augmentation)
    image_scale: float = 1.0
    batch: int = 8
    lr: float = 1.5e-3
    encoder_lr: float = 0.4
    weight_decay: float = 0.02
    warmup: int = 100
    ema: float = 0.998
    boundary_weight: float = 0.0
    class_weights: bool = True
    seed: int = 1
    scenes: int = 240

    def __post_init__(self) -> None:
        if self.row not in ZOO:
            raise ConfigError(f"row is {self.row!r}; the zoo has {', '.join(ZOO)}")
        if not isinstance(self.class_weights, bool):
            raise ConfigError(f"class_weights is {self.class_weights!r}; it must be true or false")
        if not self.stages:
            raise ConfigError("recipe: stages is empty; it needs one or more")
        check_numbers("recipe", self, NUMBERS)
        for before, after in pairwise(self.stages):
            if after.crop[0] < before.crop[0] or after.crop[1] < before.crop[1]:
                raise ConfigError(
                    f"stage {after.name!r} has crops of {list(after.crop)} px after {list(before.crop)} in the stage "
                    "before it; crops must not become smaller"
                )
        for stage in self.stages:
            if stage.partial + stage.synthetic >= self.batch:
                raise ConfigError(
                    f"stage {stage.name!r}: {stage.partial} partly labelled and {stage.synthetic} synthetic images "
                    f"leave no room for fully labelled ones in batches of {self.batch}"
                )

    @property
    def iterations(self) -> int:
        """Iterations of all stages."""
        return sum(stage.iterations for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for YAML, those of CMT-MCHH as 0.1 recorded them, so that its runs can be resumed."""
        values = plain(asdict(self))
        if ZOO[self.row].family == ZOO[DEFAULT_ROW].family:
            del values["row"]  # the changes say which form it is
            values["network"] = plain(merged(ZOO[self.row].choices, self.network))
        looks = values["augmentation"]
        for part, key, always in (
            (values, "class_weights", True),
            (values, "image_scale", 1.0),
            (looks, "recolour", 1.0),
            (looks, "defocus", 0.3),
        ):
            if part[key] == always:
                del part[key]  # 0.1 knew no other value
        for stage in values["stages"]:
            if not stage["network"]:
                del stage["network"]
        return dict(values)

    def changed(self, values: Mapping[str, Any]) -> Recipe:
        """Return this recipe with other values, as they stand in a YAML file.

        Args:
            values: keys of Recipe. ``network`` and ``augmentation`` change what they name, ``stages`` replaces all.

        Raises:
            ConfigError: a key that is not known, or a value that is not allowed.
        """
        new: dict[str, Any] = {}
        for key, value in values.items():
            kind: Any = {"stages": list, "network": Mapping, "augmentation": Mapping}.get(key)
            if kind is not None and not isinstance(value, kind):
                raise ConfigError(f"recipe: {key} is {value!r}; it must be a {'list' if kind is list else 'mapping'}")
            if key == "stages":
                new[key] = tuple(_checked(Stage, stage, f"stage {number}") for number, stage in enumerate(value, 1))
            elif key == "network":
                new[key] = merged(self.network, value)
            elif key == "augmentation":
                new[key] = _checked(Augmentation, {**asdict(self.augmentation), **value}, key)
            else:
                new[key] = value
        return _checked(Recipe, {**{f.name: getattr(self, f.name) for f in fields(self)}, **new}, "recipe")


def _checked(cls: type, values: Any, what: str) -> Any:
    names = [f.name for f in fields(cls)]
    if not isinstance(values, Mapping) or not set(values) <= set(names):
        unknown = sorted(set(values) - set(names)) if isinstance(values, Mapping) else values
        raise ConfigError(f"{what}: {unknown} is not known; allowed: {', '.join(names)}")
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what}: {error}") from error
