"""Checks of the numbers in recipes, which people write by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cmt_seg_ros.errors import ConfigError

Allowed = tuple[type[int] | type[float], float, float]
"""Whole numbers or any, the least, the greatest."""


def is_number(value: Any, kind: type[int] | type[float], low: float, high: float) -> bool:
    """Tell whether a value is a number of a kind (int: whole) and in a range; true and texts are none."""
    whole = type(value) is int
    return (whole or (kind is float and type(value) is float)) and low <= value <= high


def check_numbers(what: str, values: object, allowed: Mapping[str, Allowed]) -> None:
    """Refuse attributes that are no such numbers.

    Raises:
        ConfigError: says which value of what, and what is allowed.
    """
    for key, (kind, low, high) in allowed.items():
        value = getattr(values, key)
        if not is_number(value, kind, low, high):
            numbers = "whole number" if kind is int else "number"
            most = "" if math.isinf(high) else f" to {high:g}"
            hint = "; write 0.001 for 1e-3, which YAML takes for a text" if isinstance(value, str) else ""
            raise ConfigError(f"{what}: {key} is {value!r}; it must be a {numbers} from {low:g}{most}{hint}")
