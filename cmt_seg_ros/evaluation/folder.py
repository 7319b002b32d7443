"""Results folder: what lies in it, and who may write to it; nothing is deleted that somebody else has put there.

A folder may come from a stranger: no link in it is followed, what its mark says is checked, and only files are deleted
that an evaluation writes, by their names.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from cmt_seg_ros.errors import ConfigError

RECORDS, STATE, PARTS, SUMMARY = "frames.jsonl", "state.npz", "parts", "summary.json"
ANNOTATED, EXAMPLES, TABLE, TRACKS, REPORT = "annotated", "examples", "frames.csv", "tracks.txt", "report.html"
LIVE = "live"
PICKLE = "state.pickle"
"""State of a run that was interrupted under version 0.1; never read, a pickle can run any code."""
RESULTS_MARK = ".cmt-seg-results"
"""File in every folder that an evaluation wrote: the bags in it are results, no input."""
RESULTS = (RECORDS, STATE, PICKLE, PARTS, SUMMARY, ANNOTATED, EXAMPLES, TABLE, TRACKS, REPORT, LIVE)
"""What lies in the folder of a sequence, at its end or while it runs."""
SEVERAL = "several sequences"
"""What the folder of several sequences is marked with, instead of a fingerprint."""

_CLEARED = "cleared"  # instead of a fingerprint, after --fresh
_FORMAT = "cmt_seg_ros results, format 2"  # first line of a mark; in version 0.1 a mark was the fingerprint alone
_MARK_OF_0_1 = re.compile(rf"[0-9a-f]{{16}}|{SEVERAL}")
_OURS = re.compile(
    r"|".join(
        (
            r"(frames\.jsonl|state\.npz|state\.pickle|summary\.json|frames\.csv|tracks\.txt|report\.html)",
            r"\.[\w.]+\.new",  # of a run that was killed
            r"examples(/(best|median|worst|frame \d+)(-truth|-difference)?\.jpg)?",
            r"parts|(annotated|parts/\d{6}|live/bag)(/(metadata\.yaml|\w+\.mcap))?",
            r"live(/\.?(arrivals\.csv|sent\.csv|recording\.json|overlay\.mp4)(\.new|\.part)?)?",
            r"live/logs(/ros)?(/[\w.-]+\.log)?",
        )
    )
)
"""Paths below a results folder that are results."""


@contextmanager
def claimed(folder: Path, fingerprint: str) -> Iterator[None]:
    """Make a folder ours while results are written to it, and mark it as ours for good.

    Args:
        folder: new, empty, or one that has the mark of an earlier run of the same job.
        fingerprint: of the job.

    Raises:
        ConfigError: it has other files, links, or results of another job or of an interrupted run of version 0.1,
            another run is writing to it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder) as (mark, before):
            if before not in ("", _CLEARED, fingerprint):
                raise ConfigError(
                    f"{folder} has results of other input or settings; give another folder, or --fresh to replace them"
                )
            if (folder / PICKLE).exists():
                raise ConfigError(
                    f"{folder} has a run that was interrupted under version 0.1; its state is a pickle, which is not "
                    "read any more. Begin anew with --fresh, or give another folder"
                )
            _write_mark(mark, fingerprint)
            yield
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror or error}; give another folder") from error


def clear(*folders: Path, claimed: bool = False) -> None:
    """Delete the results in folders that have our mark; the mark stays, and so do other files beside the results.

    All folders are looked at before anything is deleted.

    Args:
        folders: may be missing.
        claimed: this process has claimed them.

    Raises:
        ConfigError: among the results is a file that is none, or a link; another run is writing to a folder; or it
            cannot be cleared.
    """
    marked = [folder for folder in folders if os.path.lexists(folder / RESULTS_MARK)]
    with ExitStack() as stack:
        try:
            marks = [] if claimed else [stack.enter_context(_locked(folder))[0] for folder in marked]
            found = [list(_results(folder)) for folder in marked]
            for paths in found:
                _delete(paths)
            for mark in marks:
                _write_mark(mark, _CLEARED)
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be cleared: {error.strerror}; give another folder") from error


def remove(folder: Path, name: str) -> None:
    """Delete a results file or folder, such as ``parts/000001``, of a claimed folder; it may be missing.

    Raises:
        ConfigError: in it is a file that is no result, or a link.
        OSError: it cannot be deleted.
    """
    _delete(list(_results(folder, name)))


@contextmanager
def _locked(folder: Path) -> Iterator[tuple[TextIO, str]]:
    """Yield the mark of a folder, open and locked, and what is in it: a fingerprint, or "" in a new folder.

    Raises:
        ConfigError: another run has locked it, it is no mark, or the folder has links or other files.
    """
    path = folder / RESULTS_MARK
    _refuse_links(folder)
    others = [one.name for one in folder.iterdir() if not one.name.startswith(".")]
    if others and not path.exists():
        raise ConfigError(f"{folder} has files that are no results; give another folder")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with open(handle, "r+", encoding="utf-8", errors="replace") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another evaluation is writing to {folder}; wait for it, or end it") from None
        first, _, rest = mark.read(1000).strip().partition("\n")
        if first == _FORMAT or _MARK_OF_0_1.fullmatch(first):
            yield mark, rest.strip() or first
        elif first or others:  # a run that is killed at its very start leaves an empty one, and nothing else
            raise ConfigError(f"{path} is no mark that an evaluation wrote; give another folder")
        else:
            yield mark, ""


def _write_mark(mark: TextIO, fingerprint: str) -> None:
    """Write what a folder holds; first over the old text, so that a kill never leaves an empty mark."""
    mark.seek(0)
    mark.write(f"{_FORMAT}\n{fingerprint}\n")
    mark.flush()
    mark.truncate()


def _refuse_links(folder: Path) -> None:
    """Refuse a folder in which a link stands where an evaluation writes: it would write somewhere else.

    Raises:
        ConfigError: there is a link, or what is neither a file nor a folder.
    """
    for name in (RESULTS_MARK, *RESULTS):
        for path in _below(folder / name):
            _kind(path)


def _results(folder: Path, name: str = "") -> Iterator[Path]:
    """Yield the results in a folder, files before the folder they lie in.

    Args:
        folder: of the results.
        name: only this one, and what is below it; empty: all.

    Raises:
        ConfigError: in one of its folders is something that is no result, or a link.
    """
    killed = [path.name for path in folder.glob(".*.new")]
    for top in (name,) if name else (*RESULTS, *killed):
        for path in _below(folder / top):
            kind = _kind(path)
            if not _OURS.fullmatch(path.relative_to(folder).as_posix()):
                what = "folder" if kind == stat.S_IFDIR else "file"
                raise ConfigError(f"{path} is a {what} that no evaluation wrote; move it away, or give another folder")
            yield path


def _below(path: Path) -> Iterator[Path]:
    """Yield all that is in a folder, without following links, and then itself; nothing if it does not exist."""
    if path.is_dir() and not path.is_symlink():
        for one in sorted(path.iterdir()):
            yield from _below(one)
    if os.path.lexists(path):
        yield path


def _kind(path: Path) -> int:
    """Return whether it is a file or a folder, as of ``stat.S_IFMT``.

    Raises:
        ConfigError: it is a link, or neither.
    """
    kind = stat.S_IFMT(path.lstat().st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        what = "a link" if kind == stat.S_IFLNK else "no file"
        raise ConfigError(f"{path} is {what}; results are written to files only. Remove it, or give another folder")
    return kind


def _delete(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
