"""Checkpoint: how far an evaluation has come, so that one that was killed goes on where it was.

Records are appended to frames.jsonl; a checkpoint says how much of that file, and how many parts of the annotated bag,
it knows of, and keeps the tracker and the last mask. What was written after it is cut off and made again, with the
same result.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from cmt_seg_ros import __version__
from cmt_seg_ros.errors import SourceError
from cmt_seg_ros.evaluation.folder import PARTS, RECORDS, STATE, SUMMARY, remove
from cmt_seg_ros.evaluation.scores.frame_records import Record
from cmt_seg_ros.evaluation.scores.summary import SCHEMA_VERSION, Summary
from cmt_seg_ros.evaluation.state_file import read_state, write_state
from cmt_seg_ros.problems import Problems


@dataclass
class RunState:
    """What a run needs to know to go on.

    Attributes:
        fingerprint: of the job.
        frames: how many are done.
        parts: of the annotated bag, complete ones.
        record_bytes: length of frames.jsonl with these frames.
        problems: what was wrong with the input so far.
        memory: objects whose state goes on from frame to frame, such as the tracker; see :mod:`.state_file`.
        wall_s, cpu_s: time spent, seconds.
    """

    fingerprint: str
    frames: int = 0
    parts: int = 0
    record_bytes: int = 0
    problems: Problems | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    cpu_s: float = 0.0


def finished(folder: Path, fingerprint: str) -> Summary | None:
    """Return the summary of an earlier run of a job in a claimed folder that came to its end; None if there is none."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        if (summary["schema_version"], summary["fingerprint"]) != (SCHEMA_VERSION, fingerprint):
            return None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    for name in (STATE, PARTS):  # of one that was killed at the very end
        remove(folder, name)
    return cast(Summary, summary)


def save(folder: Path, state: RunState) -> None:
    """Write the state, whole or not at all."""
    write_state(folder / STATE, {"version": __version__, **vars(state)})


def resume(folder: Path, fingerprint: str) -> RunState:
    """Return the state of an earlier run of the same job, with its files cut to it; if there is none, a new one.

    Args:
        folder: claimed, see :func:`~cmt_seg_ros.evaluation.folder.claimed`.
        fingerprint: of the job.
    """
    state = _read(folder / STATE, fingerprint) or RunState(fingerprint)
    with (folder / RECORDS).open("ab") as records:
        if records.tell() < state.record_bytes:  # somebody has changed the file
            state = RunState(fingerprint)
        records.truncate(state.record_bytes)
    for part in sorted((folder / PARTS).glob("*"))[state.parts :]:
        remove(folder, f"{PARTS}/{part.name}")
    return state


def _read(path: Path, fingerprint: str) -> RunState | None:
    """Return the state in a file; None if there is none of this job and version that can be used."""
    with suppress(Exception):  # whatever a damaged or forged file makes numpy and json raise
        found = read_state(path)
        if found.pop("version") == __version__ and found["fingerprint"] == fingerprint:
            state = RunState(**found)
            counts = state.frames, state.parts, state.record_bytes
            if all(type(count) is int and count >= 0 for count in counts) and isinstance(state.memory, dict):
                return state
    return None


def read_records(folder: Path, rows: Collection[int] | None = None) -> Iterator[Record]:
    """Yield the records of a folder, one at a time.

    Args:
        folder: of a sequence, or of several.
        rows: which ones, by their places in the file, 0 and up; None: all.

    Raises:
        SourceError: there are none, or one is damaged.
    """
    path, number = folder / RECORDS, 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if rows is None or number in rows:
                    yield json.loads(line)
                number += 1
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}; give a folder that cmt-seg evaluate wrote") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}, line {number + 1}: {error}; evaluate again with --fresh") from error
