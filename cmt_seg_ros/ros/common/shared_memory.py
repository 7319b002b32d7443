"""Shared memory of Fast DDS that dead ROS processes left behind: find and remove it.

Fast DDS gives every process a segment in /dev/shm (32 MB with config/fastdds.xml) and holds a lock on a
file beside it for as long as the process lives. A killed process leaves the segment there until the
next boot, but the kernel drops its lock: a lock that can be taken proves that no process uses the segment.

``python -m cmt_seg_ros.ros.common.shared_memory`` removes those; `cmt-seg doctor` does, too.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
_NAME = re.compile(r"fast(?:dds|rtps)_(?:[0-9a-f]{16}|port\d+)")  # fastrtps_: until Jazzy
# _el: exclusive lock of the owner; _sl: lock shared by the listeners of one port.
_LOCK = re.compile(rf"(?P<what>{_NAME.pattern})_(?:el|sl)")
_YOUNG_S = 1.0


@dataclass(frozen=True)
class Segments:
    """Segments and ports of Fast DDS, by whether a living process uses them.

    Attributes:
        used: name and bytes taken of those in use, or so new that they may soon be.
        stale: name and bytes taken of those that no living process uses.
        unproven: the same of those without a lock file: whether they are used is unknown, so they stay.
    """

    used: dict[str, int]
    stale: dict[str, int]
    unproven: dict[str, int]


def find_segments(folder: Path = SHARED_MEMORY, min_age_s: float = _YOUNG_S) -> Segments:
    """Find the segments and ports, and change nothing.

    Args:
        folder: where the segments lie.
        min_age_s: younger ones count as used: their process may be about to lock them.
    """
    used: dict[str, int] = {}
    stale: dict[str, int] = {}
    locks = _locks(folder)
    for name, paths in sorted(locks.items()):
        try:
            with _unused(paths, min_age_s) as unused:
                (stale if unused else used)[name] = _bytes(folder / name)
        except FileNotFoundError:
            continue  # its process has just ended
        except PermissionError:
            used[name] = _bytes(folder / name)  # another user's, who alone can tell
    unlocked = (path for path in sorted(folder.glob("fast*")) if _NAME.fullmatch(path.name) and path.name not in locks)
    return Segments(used, stale, {path.name: _bytes(path) for path in unlocked})


def clean_stale(folder: Path = SHARED_MEMORY, min_age_s: float = _YOUNG_S) -> list[str]:
    """Remove the segments and ports that no living process uses.

    Args:
        folder: where the segments lie.
        min_age_s: younger ones stay: their process may be about to lock them.

    Returns:
        Names of the segments and ports removed, sorted. What belongs to another user stays and is not named.
    """
    return sorted(name for name, paths in _locks(folder).items() if _remove(folder / name, paths, min_age_s))


def _locks(folder: Path) -> dict[str, list[Path]]:
    """Return the lock files by the name of their segment or port."""
    locks: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("fast*_*l")):
        if match := _LOCK.fullmatch(path.name):
            locks.setdefault(match["what"], []).append(path)
    return locks


def _remove(segment: Path, locks: list[Path], min_age_s: float) -> bool:
    """Remove one segment and its files while holding its locks; return False if it is in use."""
    try:
        with _unused(locks, min_age_s) as unused:
            if unused:
                segment.unlink(missing_ok=True)
                segment.with_name(f"sem.{segment.name}_mutex").unlink(missing_ok=True)
                for path in locks:
                    path.unlink(missing_ok=True)
            return unused
    except (FileNotFoundError, PermissionError):
        return False  # another process was faster, or it belongs to another user


@contextmanager
def _unused(locks: list[Path], min_age_s: float) -> Iterator[bool]:
    """Yield True, holding all locks, if they are old enough and no process holds any; do not wait."""
    if time.time() - max(path.stat().st_mtime for path in locks) < min_age_s:
        yield False
        return
    descriptors = []
    try:
        for path in locks:
            descriptors.append(os.open(path, os.O_RDONLY))
            fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _bytes(path: Path) -> int:
    """Return the memory that a file really takes, bytes; 0 if it is gone."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def main() -> int:
    """Remove stale segments and print their names."""
    removed = clean_stale()
    print(f"removed {len(removed)} segments and ports of dead processes" + "".join(f"\n  {name}" for name in removed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
