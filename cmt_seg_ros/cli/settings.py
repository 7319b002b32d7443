"""Options like --set NAME=VALUE for parameters of config.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from cmt_seg_ros.errors import ConfigError


def with_settings(configs: Sequence[Any], settings: Sequence[str]) -> list[Any]:
    """The configs with some values changed.

    Args:
        configs: dataclasses of config.py; each name belongs to the first that has it.
        settings: texts like "max_lost_s=2".

    Raises:
        ConfigError: a name that none has, or a value that is not allowed.
    """
    owners: dict[str, int] = {}
    for number, config in enumerate(configs):
        for field in dataclasses.fields(config):
            owners.setdefault(field.name, number)
    values: list[dict[str, Any]] = [{} for _ in configs]
    for text in settings:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in owners:
            raise ConfigError(f"--set {text!r}: there is no parameter {name!r}; there are {', '.join(owners)}")
        kind = type(getattr(configs[owners[name]], name))
        try:
            values[owners[name]][name] = {"true": True, "false": False}[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError):
            raise ConfigError(f"--set {text!r}: {name} is {value!r}; it must be of type {kind.__name__}") from None
    return [dataclasses.replace(config, **v) for config, v in zip(configs, values, strict=True)]
