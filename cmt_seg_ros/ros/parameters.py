"""ROS parameters from the dataclasses of config.py: same names, same defaults, same checks."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

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
