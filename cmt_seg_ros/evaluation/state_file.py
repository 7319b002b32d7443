"""State file: objects whose state goes on from frame to frame, such as the tracker, as JSON and arrays in a .npz file.

It is no pickle: reading one that somebody else wrote runs no code, and makes objects of the classes listed here only.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.evaluation.scores.frame_records import RecordBuilder
from cmt_seg_ros.files import replace_with
from cmt_seg_ros.labels import LabelClass, LabelSet
from cmt_seg_ros.metrics.temporal import TemporalConsistency
from cmt_seg_ros.problems import Problems
from cmt_seg_ros.stamps import StampOrder
from cmt_seg_ros.structures import Segment
from cmt_seg_ros.tracking.camera_motion import FlowEstimator
from cmt_seg_ros.tracking.kalman import MotionState
from cmt_seg_ros.tracking.live_track import LiveTrack
from cmt_seg_ros.tracking.session import TrackingSession
from cmt_seg_ros.tracking.tracker import Tracker

CLASSES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(FlowEstimator, LabelClass, LabelSet, LiveTrack, MotionState, Problems, RecordBuilder, Segment, StampOrder),
        *(TemporalConsistency, Tracker, TrackerConfig, TrackingSession),
    )
}
"""What a state may hold beside plain values; an object is what its attributes are."""

_COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {"list": list, "tuple": tuple, "set": set}
_MAPPINGS: dict[str, Callable[[Iterable[Any]], Any]] = {"dict": dict, "Counter": lambda pairs: Counter(dict(pairs))}
_TREE = "tree"  # name of the JSON in the file; the arrays are 0, 1, 2, ...


def write_state(path: Path, value: Any) -> None:
    """Write a value, whole or not at all.

    Args:
        path: of the file.
        value: None, bool, int, float, str, numpy arrays and numbers, objects of :data:`CLASSES`, and lists, tuples,
            sets, dicts and counters of these.

    Raises:
        OSError: it cannot be written.
        TypeError: there is something else in it.
    """
    arrays: list[Any] = []
    tree = json.dumps(_to_tree(value, arrays))
    members = {_TREE: np.frombuffer(tree.encode(), np.uint8), **{str(k): one for k, one in enumerate(arrays)}}
    with replace_with(path) as fresh, fresh.open("xb") as file:
        np.savez(file, **members)


def read_state(path: Path) -> Any:
    """Read what :func:`write_state` wrote.

    Raises:
        OSError: there is no such file.
        Exception: it is damaged, forged or of another version, whatever that makes numpy or json raise.
    """
    with np.load(path, allow_pickle=False) as file:
        if sum(member.file_size for member in file.zip.infolist()) > path.stat().st_size:
            raise ValueError("it is compressed, which this program does not do: it would grow when it is read")
        arrays = [file[str(number)] for number in range(len(file.files) - 1)]
        return _from_tree(json.loads(file[_TREE].tobytes()), arrays)


def _to_tree(value: Any, arrays: list[Any]) -> Any:
    """Return a value as JSON has it: all but single values as a list that begins with the name of its kind."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if (kind is np.ndarray or isinstance(value, np.generic)) and not value.dtype.hasobject:
        arrays.append(value)
        return ["array" if kind is np.ndarray else "number", len(arrays) - 1]
    if kind.__name__ in _COLLECTIONS:
        return [kind.__name__, *(_to_tree(one, arrays) for one in value)]
    if kind.__name__ in _MAPPINGS:
        return [kind.__name__, *([_to_tree(key, arrays), _to_tree(one, arrays)] for key, one in value.items())]
    if CLASSES.get(kind.__name__) is not kind:
        raise TypeError(f"{kind.__qualname__} is not among the classes that a state may hold: see CLASSES")
    return [kind.__name__, *([name, _to_tree(one, arrays)] for name, one in _attributes(value).items())]


def _attributes(value: Any) -> dict[str, Any]:
    """Return what an object is made of; of a dataclass its fields, without what it has computed of them."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return vars(value)


def _from_tree(tree: Any, arrays: list[Any]) -> Any:
    """Return the value of a tree of :func:`_to_tree`."""
    if not isinstance(tree, list):
        return tree
    kind, *parts = tree
    if kind == "array":
        return arrays[parts[0]]
    if kind == "number":
        return arrays[parts[0]][()]
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind]([_from_tree(part, arrays) for part in parts])
    pairs = {_from_tree(key, arrays): _from_tree(part, arrays) for key, part in parts}
    if kind in _MAPPINGS:
        return _MAPPINGS[kind](pairs.items())
    made: Any = object.__new__(CLASSES[kind])
    if dataclasses.is_dataclass(made) and pairs.keys() != {field.name for field in dataclasses.fields(made)}:
        raise ValueError(f"{kind} has other attributes in this version")
    vars(made).update(pairs)
    return made
