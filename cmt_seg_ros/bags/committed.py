"""CommittedFile: a file that ends where the last commit did, whatever happens; on a full disk, too."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class CommittedFile:
    """Binary file that is written in pieces which are on disk whole or not at all.

    Args:
        path: the file; made if missing, else written from its end.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._size, self._pending = os.fstat(self._file).st_size, bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add to what the next commit writes; return the number of bytes."""
        self._pending += data
        return len(data)

    def tell(self) -> int:
        """Return the size that the file will have, bytes."""
        return self._size + len(self._pending)

    def commit(self) -> None:
        """Write what is pending; where that fails it stays pending.

        Raises:
            OSError: it cannot be written; the file is as it was.
        """
        data, done = memoryview(bytes(self._pending)), 0
        try:
            while done < len(data):
                done += os.pwrite(self._file, data[done:], self._size + done)
        except OSError:
            self.cut(self._size)
            raise
        self._size += len(data)
        self._pending.clear()

    def drop(self) -> None:
        """Forget what is pending."""
        self._pending.clear()

    def cut(self, size: int) -> None:
        """Cut the file after this many bytes."""
        with suppress(OSError):
            os.ftruncate(self._file, size)
        self._size = size

    def close(self) -> None:
        """Commit and close; where that fails it stays open.

        Raises:
            OSError: it cannot be written.
        """
        self.commit()
        os.close(self._file)
