"""Terminal of the commands: progress bar, table of results, and options that several commands share."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from tqdm import tqdm

from cmt_seg_ros.cli.console import new_console
from cmt_seg_ros.config.fields import renames, renaming
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.scores.tables import result_rows
from cmt_seg_ros.labels import KNOWN_CLASSES, LabelSet, known_names, read_classes
from cmt_seg_ros.runtime.model_package import ModelPackage, available
from cmt_seg_ros.sources.masks import OBJECT
from cmt_seg_ros.text import printable


def frame_bar(total: int | None, what: str) -> Any:
    """Return a bar over frames, to be used in a ``with`` block."""
    # In a file or a CI log a line every few seconds is enough.
    period_s = 0.2 if sys.stderr.isatty() else 5.0
    return tqdm(total=total, unit="frame", desc=printable(what), dynamic_ncols=True, mininterval=period_s, miniters=1)


SHOWN = 10
BINARY, MASK_CLASSES = "binary", "--mask-classes"
DAMAGED = 3
"""Exit status of a command that did its work on part of the input; the rest was damaged or refused."""


def print_results(summary: Summary, report: Path) -> None:
    """Print the scores, the first problems with the input, and where the report is."""
    table = Table(title=f"{summary['clip']}: {summary['model']} on {summary['timing']['device'] or 'no device'}")
    for name, justify in (("quantity", "left"), ("value", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in result_rows(summary):
        table.add_row(row.name, row.value)
    console = new_console()
    console.print(table)
    problems = summary["problems"]
    count = sum(problems["counts"].values())
    print_problems(problems["lines"], count)
    if count > SHOWN:
        console.print("all problems are in the report")
    console.print(f"report: {printable(report)}", soft_wrap=True)


def print_problems(lines: Sequence[str], count: int) -> None:
    """Print the first problems with the input and, if there are more, how many there are."""
    console = new_console()
    for line in lines[:SHOWN]:
        console.print(f"problem: {printable(line)}", soft_wrap=True)
    if count > SHOWN:
        console.print(f"problems in all: {count}")


def with_settings(configs: Sequence[Any], settings: Sequence[str]) -> list[Any]:
    """Return the configurations with some values changed; an old name is taken, with a warning on stderr.

    Args:
        configs: configurations; each name belongs to the first that has it.
        settings: texts like "max_lost_s=2".

    Raises:
        ConfigError: a name that none has, or a value that is not allowed.
    """
    owners: dict[str, int] = {}
    for number, config in enumerate(configs):
        for field in dataclasses.fields(config):
            owners.setdefault(field.name, number)
    new_names = {old: new for config in configs for old, new in renames(type(config)).items()}
    values: list[dict[str, Any]] = [{} for _ in configs]
    for text in settings:
        name, _, value = (part.strip() for part in text.partition("="))
        if name in new_names:
            print(f"--set: {renaming(name, new_names[name])}", file=sys.stderr)
            name = new_names[name]
            if name in values[owners[name]]:
                raise ConfigError(f"--set {text!r}: {name} is set by both its names; give the new one only")
        if name not in owners:
            raise ConfigError(f"--set {text!r}: there is no parameter {name!r}; there are {', '.join(owners)}")
        kind = type(getattr(configs[owners[name]], name))
        try:
            values[owners[name]][name] = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            raise ConfigError(f"--set {text!r}: {name} is {value!r}; it must be of type {kind.__name__}") from None
    return [dataclasses.replace(config, **v) for config, v in zip(configs, values, strict=True)]


def class_list(name: str, option: str = "--legend") -> LabelSet | None:
    """Return the classes that an option means: those of a data set or of a model package; None for no name.

    Args:
        name: "binary", a known name, or a folder.
        option: that has it.

    Raises:
        ConfigError: neither a known name nor a folder with classes.yaml or model.yaml.
        DatasetError: classes.yaml is not a list of classes.
    """
    if not name:
        return None
    if name == BINARY and option == MASK_CLASSES:
        return OBJECT
    if (Path(name) / "classes.yaml").is_file() or (KNOWN_CLASSES / f"{name}.yaml").is_file():
        return read_classes(Path(name))
    if name in available() or (Path(name) / "model.yaml").is_file():
        return ModelPackage.load(name).labels
    known = ", ".join([*([BINARY] if option == MASK_CLASSES else []), *known_names(), *available()])
    raise ConfigError(
        f"{option} {name!r} is not known; give one of {known}, or a folder with model.yaml or classes.yaml"
    )
