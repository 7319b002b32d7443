"""Check of labels before training: shares of the classes, values that are no class, and what is likely wrong."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmt_seg_ros.errors import ConfigError, DatasetError
from cmt_seg_ros.labels import IGNORE_ID

MOST_FOREIGN = 0.2
"""Largest share of pixels whose id may be no class."""

ABSENT, FOREIGN = "absent-class", "foreign-ids"
ALLOW = (ABSENT, FOREIGN)
"""What can be allowed: a class without a pixel, and more than :data:`MOST_FOREIGN` of ids that are no class."""

_CITYSCAPES = 33  # the last of its own ids; those to train on are 0 to 18
_SHOWN = 6


def allowed(text: str) -> frozenset[str]:
    """Read a list such as ``absent-class,foreign-ids``.

    Raises:
        ConfigError: a word that is not among :data:`ALLOW`.
    """
    words = frozenset(word.strip() for word in text.split(",") if word.strip())
    unknown = sorted(words - set(ALLOW))
    if unknown:
        raise ConfigError(f"--allow {', '.join(unknown)} is not known; allowed: {', '.join(ALLOW)}")
    return words


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """Pixels of each value in the label files of a folder.

    Attributes:
        name: of the folder, in words.
        classes: names of what the ids 0, 1, ... stand for.
        pixels: (256,) int64, by the value as it is stored.
    """

    name: str
    classes: Sequence[str]
    pixels: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, name: str, classes: Sequence[str]) -> LabelCounts:
        """Begin to count."""
        return cls(name, classes, np.zeros(256, np.int64))

    def add(self, labels: npt.NDArray[Any]) -> None:
        """Count the pixels of (H, W) uint8 labels as they are stored."""
        self.pixels[:] += np.bincount(labels.ravel(), minlength=256)

    @property
    def absent(self) -> list[str]:
        """Names of the classes without a pixel."""
        return [name for name, count in zip(self.classes, self.pixels, strict=False) if not count]

    @property
    def foreign(self) -> list[int]:
        """Values that are no class and not 255; the number after the last class, unlabelled in some sets, is one."""
        return [int(v) for v in np.flatnonzero(self.pixels) if len(self.classes) <= v != IGNORE_ID]

    def share(self, values: Sequence[int]) -> float:
        """Return the share of all pixels that have one of these values, 0-1."""
        return float(self.pixels[list(values)].sum() / max(self.pixels.sum(), 1))

    def described(self) -> str:
        """Say in a line which share each class has, and what is ignored."""
        shares = [f"{name} {100 * self.share([i]):.2f} %" for i, name in enumerate(self.classes)]
        foreign = [f"{value} ({100 * self.share([value]):.2f} %)" for value in self.foreign[:_SHOWN]]
        more = ", ..." if len(self.foreign) > _SHOWN else ""
        no_class = f", of these values that are no class: {', '.join(foreign)}{more}" if foreign else ""
        ignored = 100 * self.share([*self.foreign, IGNORE_ID])
        cause = f". {self.cause()}" if set(self.foreign) - {len(self.classes)} else ""
        return f"labels of {self.name}: {', '.join(shares)}; ignored {ignored:.2f} %{no_class}{cause}"

    def cause(self) -> str:
        """Say in a sentence what is likely wrong where classes are absent or values are no class."""
        count, used = len(self.classes), np.flatnonzero(self.pixels).tolist()
        known = [value for value in used if value != IGNORE_ID]
        step = int(np.gcd.reduce(used)) if used else 0
        if used == [0, IGNORE_ID]:
            return "The values are 0 and 255, as drawing programs save masks, and 255 is ignored: save 1 instead of 255"
        if step > 1 and len(used) > 2 and used[-1] // step < count:
            return f"All values are multiples of {step}, as if ids were stretched to be seen: divide them by {step}"
        if known and known[-1] == count and (known[0] > 0 or self.share([count]) > MOST_FOREIGN):
            return f"The values go up to {count}, as if ids counted from 1: subtract 1, and save 255 for unlabelled"
        if known and count < known[-1] <= _CITYSCAPES:
            return (
                f"The values go up to {known[-1]}. Of Cityscapes that is *_labelIds.png: take *_labelTrainIds.png; of "
                f"others: see whether classes.yaml, with ids 0 to {count - 1}, is the list of these labels"
            )
        return f"See whether classes.yaml, with ids 0 to {count - 1}, is the list of these labels"


def check_foreign(counts: LabelCounts, allow: Collection[str]) -> None:
    """Refuse labels of which much is no class.

    Raises:
        DatasetError: more than :data:`MOST_FOREIGN` of their pixels, and ``foreign-ids`` is not allowed.
    """
    share = counts.share(counts.foreign)
    if share > MOST_FOREIGN and FOREIGN not in allow:
        values = ", ".join(map(str, counts.foreign[:_SHOWN]))
        raise DatasetError(
            f"{100 * share:.0f} % of the pixels of {counts.name} have ids that are no class ({values}) and would be "
            f"ignored; {100 * MOST_FOREIGN:.0f} % are allowed. {counts.cause()}. Or go on: --allow {FOREIGN}"
        )


def check_absent(counts: LabelCounts, elsewhere: Collection[str], allow: Collection[str], cause: str) -> None:
    """Refuse training labels that lack a class.

    Args:
        counts: of the training labels.
        elsewhere: names of the classes that partly labelled images show.
        allow: what is allowed.
        cause: what is likely wrong, as the labels are stored.

    Raises:
        DatasetError: a class has no pixel, and ``absent-class`` is not allowed.
    """
    absent = [name for name in counts.absent if name not in elsewhere]
    if absent and ABSENT not in allow:
        raise DatasetError(
            f"no pixel of {counts.name} is {', '.join(absent)}: the network cannot learn it. {cause}. Or go on: "
            f"--allow {ABSENT}"
        )
