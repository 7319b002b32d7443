"""A disk that is full: files of this process, or of another one, may not grow beyond a size (RLIMIT_FSIZE)."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def file_limit(size: int, pid: int = 0) -> Iterator[None]:
    """Let no file of a process grow beyond this many bytes: it gets EFBIG, as Python ignores SIGXFSZ."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        yield
    finally:
        if not pid:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
