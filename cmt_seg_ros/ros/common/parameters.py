"""ROS parameters from the dataclasses of config.py: same names, same defaults, same checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from cmt_seg_ros.errors import ConfigError

T = TypeVar("T")


def declare(node: Node, config: type[T], changeable: tuple[str, ...] = ()) -> None:
    """Declare every field of a config class with its default.

    Args:
        node: gets the parameters.
        config: a dataclass of config.py.
        changeable: fields that take effect while running; the others are read when the node configures.
    """
    for field in fields(config):  # type: ignore[arg-type]
        when = "changes at once" if field.name in changeable else "read when the node configures"
        # A launch argument "30" is an integer, and a float parameter must take it all the same.
        descriptor = ParameterDescriptor(description=f"see config.{config.__name__}; {when}", dynamic_typing=True)
        node.declare_parameter(field.name, field.default, descriptor)


def load(node: Node, config: type[T]) -> T:
    """Read the parameters into a checked config object.

    Raises:
        ConfigError: a value has the wrong type or is not allowed.
    """
    values = {}
    for field in fields(config):  # type: ignore[arg-type]
        values[field.name] = convert(field.name, node.get_parameter(field.name).value, type(field.default))
    return config(**values)


def revise(config: T, changes: Sequence[Parameter]) -> T:
    """The config with those of the changes that are fields of it.

    Raises:
        ConfigError: a value has the wrong type or is not allowed.
    """
    names = {field.name for field in fields(config)}  # type: ignore[arg-type]
    ours = {p.name: p.value for p in changes if p.name in names}
    values = {name: convert(name, value, type(getattr(config, name))) for name, value in ours.items()}
    return replace(config, **values)  # type: ignore[type-var]


def refuse(fixed: Sequence[str]) -> None:
    """Say that parameters cannot change while the node is active.

    Raises:
        ConfigError: there is any.
    """
    if fixed:
        raise ConfigError(
            f"{', '.join(fixed)}: read when the node configures; deactivate, clean up and configure to change it"
        )


def convert(name: str, value: object, wanted: type) -> object:
    """Check the type of one value; an integer is a float, too.

    Raises:
        ConfigError: another type.
    """
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ConfigError(f"parameter {name} is {value!r} ({type(value).__name__}); expected {wanted.__name__}")
    return value
