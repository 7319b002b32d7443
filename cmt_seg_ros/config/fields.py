"""Fields of configuration classes: default, range or choices, unit and description of a parameter, declared once.

A configuration class is a frozen dataclass whose fields are made by :func:`number`, :func:`choice`, :func:`text`,
:func:`flag` and :func:`names`, and whose ``__post_init__`` calls :func:`check`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from cmt_seg_ros.errors import ConfigError

T = TypeVar("T")

ROS_TYPES = {bool: "bool", int: "integer", float: "double", str: "string", tuple: "string array"}


@dataclass(frozen=True)
class ParameterSpec:
    """Declaration of one parameter.

    Attributes:
        default: its value unless set; its type is that of the parameter.
        description: one line without a full stop at its end.
        unit: e.g. "ms"; empty: none.
        low: smallest value; None: no number.
        high: largest value.
        choices: allowed texts (of a list: of each of its items); empty: any.
        if_empty: what to do where the text is empty; empty: an empty text is allowed.
        live: it takes effect at once; otherwise when the class is read, see :func:`read_when`.
        group: heading of this field and of those that follow, up to the next one with a heading.
        instead: set where no node has the parameter, only the library: what to use instead.
    """

    default: Any
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    if_empty: str = ""
    live: bool = False
    group: str = ""
    instead: str = ""

    @property
    def type_name(self) -> str:
        """Type as ROS names it."""
        return ROS_TYPES[type(self.default)]

    @property
    def allowed(self) -> str:
        """Allowed values in words; empty: any."""
        if self.low is not None:
            return f"{self.low:.10g} to {self.high:.10g}"
        return ", ".join(self.choices) or ("not empty" if self.if_empty else "")

    def check(self, name: str, value: Any) -> None:
        """Check a value of the right type; ``name`` is for the error.

        Raises:
            ConfigError: it is not allowed.
        """
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:  # nan is outside
            raise ConfigError(f"{name} is {value}; it must be a number from {self.allowed}")
        if self.if_empty and not value.strip():
            raise ConfigError(f"{name} is empty; {self.if_empty}")
        if self.choices and isinstance(value, tuple):
            if unknown := sorted({*value} - {*self.choices, ""}):
                raise ConfigError(f"{name} has {', '.join(unknown)}; allowed: {', '.join(self.choices)}")
        elif self.choices and value not in self.choices:
            raise ConfigError(f"{name} is {value!r}; allowed: {', '.join(map(repr, self.choices))}")


def number(default: float, low: float, high: float, description: str, **more: Any) -> Any:
    """Declare a number in [low, high]: an integer if its default is one; ``more``: see ParameterSpec."""
    return _declared(ParameterSpec(default, description, low=low, high=high, **more))


def choice(default: str, choices: tuple[str, ...], description: str, **more: Any) -> Any:
    """Declare a text that is one of the choices."""
    return _declared(ParameterSpec(default, description, choices=choices, **more))


def text(default: str, description: str, **more: Any) -> Any:
    """Declare a text."""
    return _declared(ParameterSpec(default, description, **more))


def flag(default: bool, description: str, **more: Any) -> Any:
    """Declare true or false."""
    return _declared(ParameterSpec(default, description, **more))


def names(default: tuple[str, ...], description: str, **more: Any) -> Any:
    """Declare a list of texts, each of them one of ``choices`` if there are any."""
    return _declared(ParameterSpec(default, description, **more))


def mono16_range() -> Any:
    """Declare the parameter of the nodes that read images: which bits of mono16, rgb16 and bgr16 images are used."""
    return choice(
        "16",
        ("auto", *map(str, range(8, 17))),
        "bits that the values of mono16, rgb16, bgr16 and 16-bit png images use: with 12 the value 4095 is white; "
        "auto: as many as the camera's images have needed so far",
    )


def _declared(spec: ParameterSpec) -> Any:
    return field(default=spec.default, metadata={"spec": spec})


def parameters_of(config: type) -> dict[str, ParameterSpec]:
    """Return the parameters that a configuration class declares, by name."""
    return {f.name: f.metadata["spec"] for f in fields(config) if "spec" in f.metadata}


def read_when(config: type) -> str:
    """Return when values that are not live are read: the class's ``READ_WHEN``, by default as it is configured."""
    return str(getattr(config, "READ_WHEN", "read when the node configures"))


def check(block: str, config: Any) -> None:
    """Check every value of a configuration; ``block`` stands before their names in errors.

    Raises:
        ConfigError: a value is not allowed.
    """
    for name, spec in parameters_of(type(config)).items():
        spec.check(f"{block}.{name}" if block else name, getattr(config, name))


def changed(config: Any) -> dict[str, Any]:
    """Return the values of a configuration that differ from the defaults."""
    return {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}


def renamed(**new_names: str) -> Callable[[type[T]], type[T]]:
    """Let a configuration class take old names of its fields, as well, with a warning.

    Args:
        new_names: the new name of each old one: ``@renamed(old="new")`` above ``@dataclass``.
    """

    def decorate(config: type[T]) -> type[T]:
        init = config.__init__

        @functools.wraps(init)
        def accept(self: T, *args: Any, **values: Any) -> None:
            for old in values.keys() & new_names:
                if new_names[old] in values:
                    raise ConfigError(f"{old} is the old name of {new_names[old]}; give the new one only")
                warnings.warn(renaming(old, new_names[old]), FutureWarning, stacklevel=2)
                values[new_names[old]] = values.pop(old)
            init(self, *args, **values)  # type: ignore[misc]

        config.__init__ = accept  # type: ignore[method-assign, assignment]
        config.RENAMED = new_names  # type: ignore[attr-defined]
        return config

    return decorate


def renames(config: type) -> dict[str, str]:
    """Return the new name of each old name that a configuration class takes."""
    return dict(getattr(config, "RENAMED", {}))


def renaming(old: str, new: str) -> str:
    """Return the sentence that tells of a new name."""
    return f"parameter {old} is called {new} since version 0.2; the old name will be removed"
