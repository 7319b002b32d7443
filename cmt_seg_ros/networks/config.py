"""NetworkConfig: what every network's configuration has, and how it is written to YAML and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from cmt_seg_ros.errors import ConfigError

T = TypeVar("T")
Config = TypeVar("Config", bound="NetworkConfig")


@dataclass(frozen=True)
class NetworkConfig:
    """Configuration of a network: everything needed to rebuild it. Lists of YAML are tuples here.

    Attributes:
        num_classes: number of semantic classes.
        object_ids: which of them are objects (objectness = 1).
    """

    num_classes: int
    object_ids: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for YAML."""
        return dict(plain(asdict(self)))

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
        """Build from plain values; the inverse of :meth:`to_dict`.

        Raises:
            ConfigError: a key that is not known or missing, or a value that is not allowed.
        """
        return from_plain(cls, values)


def from_plain(cls: type[T], values: Mapping[str, Any]) -> T:
    """Make a dataclass of plain values, whose lists become tuples.

    Raises:
        ConfigError: a key that is not known or missing, or a value that is not allowed.
    """
    names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    unknown = set(values) - set(names)
    if unknown:
        raise ConfigError(f"unknown network key {sorted(unknown)}; allowed: {names}")
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except TypeError as error:
        raise ConfigError(f"the network's description does not fit: {error}") from error


def plain(value: Any) -> Any:
    """Return a value as YAML writes it: tuples as lists, at any depth."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
