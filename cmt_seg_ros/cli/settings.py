"""Options like --set NAME=VALUE for parameters of cmt_seg_ros.config."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from cmt_seg_ros.config.fields import renames, renaming
from cmt_seg_ros.errors import ConfigError


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
        if name not in owners:
            raise ConfigError(f"--set {text!r}: there is no parameter {name!r}; there are {', '.join(owners)}")
        kind = type(getattr(configs[owners[name]], name))
        try:
            values[owners[name]][name] = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            raise ConfigError(f"--set {text!r}: {name} is {value!r}; it must be of type {kind.__name__}") from None
    return [dataclasses.replace(config, **v) for config, v in zip(configs, values, strict=True)]
