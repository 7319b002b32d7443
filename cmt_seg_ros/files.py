"""Files: their order, which are input, replaced whole or not at all, and where those shipped with the package lie."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "cmt_seg_ros"
_CHECKOUT = Path(__file__).parents[1]


_POINTER = b"version https://git-lfs.github.com/spec/v1"
_LARGEST_POINTER = 1024  # bytes, as the specification of Git LFS says

ESCAPED = "backslashreplace"
"""How streams and files write what they cannot encode, as file names that are not UTF-8: b"\\xff" as ``\\udcff``."""


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a key that sorts names as people count: ``2.png`` before ``10.png``."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def is_hidden(name: str) -> bool:
    """Say whether a file or folder is no input: its name begins with a dot, as of those that macOS leaves behind."""
    return name.startswith(".")


def refuse_lfs_pointer(path: Path, error: type[Exception]) -> None:
    """Refuse a pointer of Git LFS: a small text that stands for a file which was not downloaded.

    Args:
        path: of any file, which may be missing.
        error: what is raised.

    Raises:
        Exception: of the given type: it is one.
    """
    try:
        if path.stat().st_size > _LARGEST_POINTER:
            return
        with path.open("rb") as file:
            begin = file.read(len(_POINTER))
    except OSError:
        return  # whoever opens it says what is wrong
    if begin == _POINTER:
        raise error(
            f"{path} is a Git LFS pointer, a text that stands for the file itself; fetch the file: git lfs pull"
        )


@contextmanager
def openable(path: Path) -> Iterator[Path]:
    """Yield a path for libraries that take names in UTF-8 only: the path or, if it is of another kind, a link to it.

    Args:
        path: of a file or folder.

    Raises:
        OSError: the link cannot be made.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        with TemporaryDirectory() as folder:
            suffix = path.suffix.encode("ascii", "replace").decode("ascii")
            link = Path(folder) / f"link{suffix}"
            link.symlink_to(path.absolute())
            yield link
    else:
        yield path


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
    """Write a text file (UTF-8) whole or not at all; parts of file names that are not UTF-8 are escaped.

    Raises:
        OSError: it cannot be written.
    """
    with replace_with(path) as fresh:
        fresh.write_text(text, encoding="utf-8", errors=ESCAPED)


def share_folders() -> list[Path]:
    """List the folders that may hold what is shipped: a source checkout, each sourced ROS prefix, this environment."""
    checkout = [_CHECKOUT] if (_CHECKOUT / "package.xml").is_file() else []  # else it is site-packages
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return [*checkout, *(prefix / "share" / PACKAGE for prefix in (*prefixes, Path(sys.prefix)))]


def shared(name: str) -> list[Path]:
    """List every place of a shipped file or folder, such as ``config/fastdds.xml``; the first one counts."""
    return [folder / name for folder in share_folders() if (folder / name).exists()]
