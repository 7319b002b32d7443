"""Shared memory that dead ROS processes left behind.

Fast DDS gives every process a segment in /dev/shm (32 MB with config/fastdds.xml) and holds a lock on a
file beside it for as long as the process lives. A killed process leaves the segment there until the
next boot, but the kernel drops its lock: a lock that can be taken proves that nobody uses the segment.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
# _el: exclusive lock of the owner; _sl: lock shared by the listeners of one port. fastrtps_: until Jazzy.
_LOCK = re.compile(r"(?P<what>fast(?:dds|rtps)_(?:[0-9a-f]{16}|port\d+))_(?:el|sl)")
_YOUNG_S = 1.0


def clean_stale(folder: Path = SHARED_MEMORY, min_age_s: float = _YOUNG_S) -> list[str]:
    """Remove what no living process uses.

    Args:
        folder: where the segments lie.
        min_age_s: younger ones stay: their process may be about to lock them.

    Returns:
        Names of the segments and ports removed, sorted. What belongs to another user stays and is not named.
    """
    locks: dict[str, list[Path]] = {}
    for path in folder.glob("fast*_*l"):
        if match := _LOCK.fullmatch(path.name):
            locks.setdefault(match["what"], []).append(path)
    return sorted(name for name, paths in locks.items() if _remove(folder / name, sorted(paths), min_age_s))


def _remove(segment: Path, locks: list[Path], min_age_s: float) -> bool:
    """Remove one segment and what belongs to it while holding its locks; False if it is in use."""
    try:
        if time.time() - max(path.stat().st_mtime for path in locks) < min_age_s:
            return False
        with _all_locked(locks) as taken:
            if taken:
                segment.unlink(missing_ok=True)
                segment.with_name(f"sem.{segment.name}_mutex").unlink(missing_ok=True)
                for path in locks:
                    path.unlink(missing_ok=True)
            return taken
    except (FileNotFoundError, PermissionError):
        return False  # somebody else was faster, or it is another user's


@contextmanager
def _all_locked(paths: list[Path]) -> Iterator[bool]:
    """Hold the locks of all files, without waiting; yields False if any of them is held elsewhere."""
    descriptors = []
    try:
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY))
            fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
