"""Messages of several topics that carry the same stamp, put together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class StampPairing:
    """Collects one message of each topic for a stamp.

    Within a topic messages keep their order: what waits for longer than a stamp that completes, waits in vain.

    Args:
        topics: names of the topics.
        on_complete: called as ``on_complete(stamp_ns, {topic: message})``.
        on_lost: called as ``on_lost(topic)`` for each message that is given up.
        depth: stamps that may wait; beyond that the oldest is given up.

    Attributes:
        paired: number of stamps that were completed.
        unpaired: number of messages that were given up.
    """

    def __init__(
        self,
        topics: tuple[str, ...],
        on_complete: Callable[[int, dict[str, Any]], None],
        on_lost: Callable[[str], None] = lambda topic: None,
        depth: int = 10,
    ) -> None:
        self._topics, self._on_complete, self._on_lost, self._depth = topics, on_complete, on_lost, depth
        self._waiting: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self.paired = self.unpaired = 0

    def add(self, topic: str, stamp_ns: int, message: object) -> None:
        """Take a message; completes its stamp when it was the last one missing."""
        parts = self._waiting.setdefault(stamp_ns, {})
        if topic in parts:
            self._give_up({topic: message})  # the same stamp twice: an older message waits still
        parts[topic] = message
        if len(parts) == len(self._topics):
            while next(iter(self._waiting)) != stamp_ns:
                self._give_up(self._waiting.popitem(last=False)[1])
            del self._waiting[stamp_ns]
            self.paired += 1
            self._on_complete(stamp_ns, parts)
        elif len(self._waiting) > self._depth:
            self._give_up(self._waiting.popitem(last=False)[1])

    def clear(self) -> None:
        """Give up all that waits."""
        while self._waiting:
            self._give_up(self._waiting.popitem()[1])

    def _give_up(self, parts: dict[str, Any]) -> None:
        self.unpaired += len(parts)
        for topic in parts:
            self._on_lost(topic)
