"""Files: replaced whole or not at all, and where those that are shipped with the package lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "cmt_seg_ros"
_CHECKOUT = Path(__file__).parents[1]


@contextmanager
def replace_with(path: Path) -> Iterator[Path]:
    """Replace a file whole or not at all: readers see the old one or the new one, also after a kill.

    Args:
        path: the file, which need not exist.

    Yields:
        A path beside it, to be written in the ``with`` block. If the block fails, what was there stays, and what was
        written is deleted.

    Raises:
        OSError: the file cannot be replaced.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a killed process, or a link: what is written would go to its target
    try:
        yield fresh
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with replace_with(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def share_folders() -> list[Path]:
    """List the folders that may hold what is shipped: a source checkout, each sourced ROS prefix, this environment."""
    checkout = [_CHECKOUT] if (_CHECKOUT / "package.xml").is_file() else []  # else it is site-packages
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return [*checkout, *(prefix / "share" / PACKAGE for prefix in (*prefixes, Path(sys.prefix)))]


def shared(name: str) -> list[Path]:
    """List every place of a shipped file or folder, such as ``config/fastdds.xml``; the first one counts."""
    return [folder / name for folder in share_folders() if (folder / name).exists()]
