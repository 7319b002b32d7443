"""Documents: YAML from outside, read within bounds: a small file can neither fill the memory nor end the process."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.text import shortened

MAX_BYTES = 1_000_000
"""Longest file that is read; a card with 255 classes and all their scores has a tenth of it."""
MAX_DEPTH = 24
"""Deepest nesting of lists and mappings."""
_MAX_INT, _LONGEST_NUMBER = 2**63, 40
_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is


class _Loader(_BASE):  # type: ignore[misc, valid-type]
    """Safe loader that refuses a key that is there twice, of which the last would silently win, and endless numbers."""

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        if len(node.value) > _LONGEST_NUMBER and not node.tag.endswith(":str"):  # 1:1:1:... takes minutes to add up
            raise ValueError(f"{shortened(node.value, _LONGEST_NUMBER)} is no number")
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            names = Counter(str(key.value) for key, _ in node.value)
            twice = next((name for name, count in names.items() if count > 1), "?")
            raise ValueError(f"key {shortened(twice)} is there twice")
        return mapping


def read_yaml(path: Path, max_bytes: int = MAX_BYTES) -> Any:
    """Read a YAML file: plain values, no references (``*name``), no key twice.

    Args:
        path: the file.
        max_bytes: a longer one is refused.

    Returns:
        None, bool, int of 64 bits, float, str, date, and lists and dicts of these.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ConfigError: it is not YAML in UTF-8, or beyond a bound; the message names file and reason.
    """
    if not path.is_file():  # a pipe by that name would be waited for
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    try:
        if len(data) > max_bytes:
            raise ValueError(f"it is longer than {max_bytes} bytes")
        text = data.decode("utf-8-sig")
        _check_events(text)
        value = yaml.load(text, _Loader)
        _check_value(value)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path} is not YAML: {error.problem or error.context}{line}") from error
    except UnicodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8: {error}") from error
    except Exception as error:  # a value under the wrong tag makes the library raise anything
        raise ConfigError(f"{path} cannot be read: {error or type(error).__name__}") from error
    return value


def _check_events(text: str) -> None:
    """Refuse what would grow or nest without end, before anything is built of it.

    Raises:
        ValueError: a reference, or nesting that is too deep.
    """
    depth = 0
    for event in yaml.parse(text, _BASE):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"*{event.anchor} refers to another place of the file; write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"lists and mappings are nested more than {MAX_DEPTH} deep")


def _check_value(value: Any) -> None:
    """Refuse whole numbers that no other program takes, and text that is none.

    Raises:
        ValueError: as said; UnicodeError: half of a pair of characters.
    """
    if isinstance(value, dict):
        for key, one in value.items():
            _check_value(key)
            _check_value(one)
    elif isinstance(value, list | tuple | set):
        for one in value:
            _check_value(one)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, int) and not -_MAX_INT <= value < _MAX_INT:
        raise ValueError("a whole number has more than 64 bits")
