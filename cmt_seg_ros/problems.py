"""Problems: what was wrong with the input, line by line."""

from __future__ import annotations

import logging

from cmt_seg_ros.text import printable

log = logging.getLogger(__name__)

MAX_LINES = 1000
"""Lines that are kept; what comes after them is only counted."""

_LOGGED = 20  # of a kind: a bag with a thousand damaged images must not bury the rest of the log


class Problems:
    """What was wrong; the same text counts once, as sources are iterated more than once.

    Attributes:
        lines: the first :data:`MAX_LINES` texts in the order they were found.
        counts: how many were found, by kind.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: dict[str, int] = {}
        self._seen: set[str] = set()

    def add(self, kind: str, text: str) -> None:
        """Note a problem, and log it if it is among the first of its kind.

        Args:
            kind: short key, such as ``damaged_bag``.
            text: what is wrong with what, in one line; control characters in names are shown as people write them.
        """
        text = printable(text)
        if text in self._seen:
            return
        self._seen.add(text)
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        if len(self.lines) < MAX_LINES:
            self.lines.append(text)
        if count <= _LOGGED:
            log.warning("%s", text)
        if count == _LOGGED + 1:
            log.warning("more problems of kind %s are not logged, but counted", kind)

    def note(self, text: str) -> None:
        """Log once what is left out because it is none of ours; it is no problem, and counts as none."""
        if text not in self._seen:
            self._seen.add(text)
            log.warning("%s", text)
