"""ROS parameters from the configuration classes: same names, same defaults, same checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from cmt_seg_ros.config.fields import ParameterSpec, parameters_of, read_when, renames, renaming
from cmt_seg_ros.errors import ConfigError

T = TypeVar("T")


def declare(node: Node, config: type, prefix: str = "", defaults: Mapping[str, object] | None = None) -> None:
    """Declare the parameters of a configuration class that the node does not have yet.

    A value under an old name is taken, and one of a parameter that no node has any more is not, with a warning.

    Args:
        node: gets the parameters.
        config: a class of cmt_seg_ros.config.
        prefix: stands before their names.
        defaults: instead of those of the class, by name.

    Raises:
        ConfigError: a value is given under its old and its new name.
    """
    specs, own = parameters_of(config), dict(defaults or {})
    for old, new in renames(config).items():
        if (value := _given(node, prefix + old)) is not None:
            if _given(node, prefix + new) is not None:
                raise ConfigError(f"{old} is the old name of {new}; give the new one only")
            node.get_logger().warning(renaming(old, new))
            own[new] = value
    for name, spec in specs.items():
        if spec.instead:
            if _given(node, prefix + name) is not None:
                node.get_logger().warning(f"parameter {name} is ignored: {spec.instead}")
        elif not node.has_parameter(prefix + name):
            default = own.get(name, spec.default)
            node.declare_parameter(prefix + name, default, descriptor(spec, read_when(config)))


def descriptor(spec: ParameterSpec, otherwise: str) -> ParameterDescriptor:
    """Return what ``ros2 param describe`` shows; ``otherwise``: when a value that is not live is read."""
    unit = f", {spec.unit}" if spec.unit else ""
    return ParameterDescriptor(
        description=f"{spec.description}{unit}; {'changes at once' if spec.live else otherwise}",
        # In words: rclpy checks ranges of its own before any callback and refuses with other words than the rest.
        additional_constraints=spec.allowed,
        # A launch argument "30" is an integer, and a float parameter must take it all the same.
        dynamic_typing=True,
    )


def load(node: Node, config: type[T], prefix: str = "", **others: object) -> T:
    """Read the parameters into a checked configuration.

    Args:
        node: has the parameters.
        config: its class.
        prefix: stands before their names.
        others: fields that are no parameters.

    Raises:
        ConfigError: a value has the wrong type or is not allowed.
    """
    names = _of_node(config)
    values = {n: convert(prefix + n, node.get_parameter(prefix + n).value, type(s.default)) for n, s in names.items()}
    return config(**values, **others)


def revise(config: T, changes: Sequence[Parameter]) -> T:
    """Return the configuration with those of the changes that are parameters of it.

    Raises:
        ConfigError: a value has the wrong type or is not allowed.
    """
    ours = {p.name: p.value for p in changes if p.name in _of_node(type(config))}
    values = {name: convert(name, value, type(getattr(config, name))) for name, value in ours.items()}
    return replace(config, **values)  # type: ignore[type-var]


def fixed(config: type) -> set[str]:
    """Return the names of the parameters that cannot change while the node runs."""
    return {name for name, spec in parameters_of(config).items() if not spec.live}


def refuse(fixed: Sequence[str]) -> None:
    """Refuse to change parameters while the node is active.

    Raises:
        ConfigError: there is any.
    """
    if fixed:
        raise ConfigError(
            f"{', '.join(fixed)}: read when the node configures; deactivate, clean up and configure to change it"
        )


def convert(name: str, value: object, wanted: type) -> object:
    """Check the type of one value; an integer is a float and a text, too, and a list of texts a tuple.

    Raises:
        ConfigError: another type.
    """
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is str and type(value) is int:  # mono16_range: 12
        return str(value)
    if wanted is tuple and (value is None or isinstance(value, (list, tuple))):  # None: an empty list has no type
        items = tuple(value or ())
        if all(isinstance(item, str) for item in items):
            return items
    expected = "a list of texts (STRING_ARRAY)" if wanted is tuple else wanted.__name__
    if type(value) is not wanted or wanted is tuple:
        raise ConfigError(f"parameter {name} is {value!r} ({type(value).__name__}); expected {expected}")
    return value


def _of_node(config: type) -> dict[str, ParameterSpec]:
    return {name: spec for name, spec in parameters_of(config).items() if not spec.instead}


def _given(node: Node, name: str) -> Any:
    """Return the value that the node was started with for a parameter that it does not have; None if there is none."""
    node.declare_parameter(name, None, ParameterDescriptor(dynamic_typing=True))
    value = node.get_parameter(name).value
    node.undeclare_parameter(name)
    return value
