"""Results folder: what lies in it, and who may write to it; nothing is deleted that somebody else has put there."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmt_seg_ros.errors import ConfigError

RECORDS, STATE, PARTS, SUMMARY = "frames.jsonl", "state.pickle", "parts", "summary.json"
ANNOTATED, EXAMPLES, TABLE, TRACKS, REPORT = "annotated", "examples", "frames.csv", "tracks.txt", "report.html"
LIVE = "live"
RESULTS_MARK = ".cmt-seg-results"
"""File in every folder that an evaluation wrote: the bags in it are results, no input."""
RESULTS = (RECORDS, STATE, PARTS, SUMMARY, ANNOTATED, EXAMPLES, TABLE, TRACKS, REPORT, LIVE)
"""What lies in the folder of a sequence, at its end or while it runs."""
SEVERAL = "several sequences"
"""What the folder of several sequences is marked with, instead of a fingerprint."""


@contextmanager
def claimed(folder: Path, fingerprint: str) -> Iterator[None]:
    """Make a folder ours while results are written to it, and mark it as ours for good.

    Args:
        folder: new, empty, or one that has the mark of an earlier run of the same job.
        fingerprint: of the job.

    Raises:
        ConfigError: it has other files or results of another job, another run is writing to it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / RESULTS_MARK
        if not mark.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ConfigError(f"{folder} has files that are no results; give another folder")
        with mark.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"another evaluation is writing to {folder}; wait for it, or end it") from None
            file.seek(0)
            before = file.read().strip()
            if before not in ("", fingerprint):
                raise ConfigError(
                    f"{folder} has results of other input or settings; give another folder, or --fresh to replace them"
                )
            file.truncate(0)
            file.write(fingerprint)
            file.flush()
            yield
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror or error}; give another folder") from error


def clear(folder: Path, claimed: bool = False) -> None:
    """Delete the results in a folder that has our mark; other files stay.

    Args:
        folder: may be missing.
        claimed: keep the mark: this process has claimed the folder.

    Raises:
        ConfigError: they cannot be deleted.
    """
    if not (folder / RESULTS_MARK).is_file():
        return
    try:
        for name in RESULTS if claimed else (*RESULTS, RESULTS_MARK):
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be cleared: {error.strerror}; give another folder") from error
