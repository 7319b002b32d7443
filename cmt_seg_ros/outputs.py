"""OutputFolder: where a command writes its results; it replaces files that it wrote before, and no others.

What is written is listed, with size and time, in a hidden file of the folder. A file that is not in the list, or has
been changed since, is somebody else's: it stays, and the command ends before it begins.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.files import replace_with

LIST = ".cmt-seg-files"
"""File with a line of JSON for each file that was written: its name, size in bytes, time of its last change in ns."""

_SHOWN = 3
_SAME_TIME_NS = 2_000_000_000  # some file systems keep times to 2 s


class OutputFolder:
    """A folder that results are written to.

    Args:
        folder: made with the first file, if it is missing.
        option: that named it, for errors.

    Raises:
        ConfigError: it cannot be read; also of all methods.
    """

    def __init__(self, folder: Path, option: str = "--out") -> None:
        self.folder, self._option = folder, option
        with self._explained():
            self._ours = _read(folder / LIST)

    def make(self) -> None:
        """Make the folder, to find out before the work that it can be written.

        Raises:
            ConfigError: it cannot be made.
        """
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)

    def check(self, names: Iterable[str]) -> None:
        """Refuse to replace files that are not ours; to be called with all names before the work begins.

        Raises:
            ConfigError: there are some; names the first.
        """
        foreign = [name for name in names if not self._is_ours(name)]
        if foreign:
            more = f" and {len(foreign) - _SHOWN} others" if len(foreign) > _SHOWN else ""
            raise ConfigError(
                f"{self._option} {self.folder} has {', '.join(foreign[:_SHOWN])}{more}, which cmt-seg did not write or "
                "which changed since; nothing is replaced. Give another place, or move them away"
            )

    @contextmanager
    def replace(self, name: str) -> Iterator[Path]:
        """Write a file whole or not at all, as :func:`~cmt_seg_ros.files.replace_with` does, and list it.

        Raises:
            ConfigError: a file of this name is there that is not ours.
            OSError: it cannot be written.
        """
        self.check([name])
        self.make()
        with replace_with(self.folder / name) as fresh:
            yield fresh
            self._add(name, fresh)  # first: after a kill in between the old file is in the list, too

    def note(self, name: str) -> None:
        """List a file that was written."""
        with self._explained():
            self._add(name, self.folder / name)

    def _is_ours(self, name: str) -> bool:
        """Say whether a file may be written: there is none of this name, or we wrote the one that is there."""
        try:
            found = (self.folder / name).lstat()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise self._failed(error) from error
        return stat.S_ISREG(found.st_mode) and any(
            size == found.st_size and abs(time_ns - found.st_mtime_ns) <= _SAME_TIME_NS
            for size, time_ns in self._ours.get(name, ())
        )

    def _add(self, name: str, path: Path) -> None:
        found = path.stat()
        entry = (name, found.st_size, found.st_mtime_ns)
        self._ours.setdefault(name, set()).add(entry[1:])
        # No link is followed: the list must not be written into a file elsewhere.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(os.open(self.folder / LIST, flags, 0o666), "w", encoding="ascii") as file:
            file.write(json.dumps(entry) + "\n")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ConfigError:
        reason = error.strerror or error
        return ConfigError(f"{self._option} {self.folder} cannot be written: {reason}; give another place")


def _read(path: Path) -> dict[str, set[tuple[int, int]]]:
    """Read sizes and times by name; lines that are no entry, as of a run that was killed, are passed over."""
    entries: dict[str, set[tuple[int, int]]] = {}
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return entries
    for line in lines:
        try:
            name, size, time_ns = json.loads(line)
            entries.setdefault(str(name), set()).add((int(size), int(time_ns)))
        except (ValueError, TypeError):
            continue
    return entries
