"""Classes of a foreign network: of a file, or names alone that get colours and the usual objects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cmt_seg_ros.documents import read_yaml
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.labels import LabelClass, LabelSet, known_names, read_classes
from cmt_seg_ros.text import printable


def read_class_file(path: Path) -> LabelSet:
    """Read classes from a file: a list as in classes.yaml (ending in .yaml), or one name a line.

    Raises:
        ConfigError: it cannot be read, or is no class list.
    """
    try:
        if path.suffix in (".yaml", ".yml"):
            found = read_yaml(path)
            return LabelSet.from_list(found.get("classes", ()) if isinstance(found, dict) else found)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return named([printable(line.strip()) for line in lines if line.strip()])


def named(names: Sequence[str]) -> LabelSet:
    """Give names colours, and say which of them are objects.

    Names that are those of a known data set are its classes. Of others, those are objects that are in some data set.
    """
    folded = [name.casefold() for name in names]
    for labels in _known():
        if folded == [name.casefold() for name in labels.names]:
            return labels
    return LabelSet(
        tuple(LabelClass(k, name, _color(k, name), name.casefold() in _usual_objects()) for k, name in enumerate(names))
    )


@cache
def _known() -> tuple[LabelSet, ...]:
    return tuple(read_classes(Path(name)) for name in known_names())


@cache
def _usual_objects() -> frozenset[str]:
    return frozenset(c.name.casefold() for labels in _known() for c in labels.classes if c.is_object)


def _color(number: int, name: str) -> tuple[int, int, int]:
    """Return the colour of a class by the rule of PASCAL VOC: its bits, spread over red, green and blue."""
    number = 0 if name.casefold() == "background" else number + 1  # 0 is black
    red, green, blue = (
        sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)
    )
    return red, green, blue
