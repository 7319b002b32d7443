"""StampPairing: messages of several topics that carry the same stamp, put together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class StampPairing:
    """Collects one message of each topic for a stamp.

    Messages of a topic arrive in order: when a stamp completes, older incomplete stamps are dropped.

    Args:
        topics: names of the topics.
        on_complete: called as ``on_complete(stamp_ns, {topic: message})``.
        on_lost: called as ``on_lost(topic)`` for each message that is dropped.
        depth: most incomplete stamps; beyond that the oldest is dropped.

    Attributes:
        paired: number of stamps that were completed.
        unpaired: number of messages that were dropped.
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
        """Add a message; calls ``on_complete`` if it was the last one missing of its stamp."""
        parts = self._waiting.setdefault(stamp_ns, {})
        if topic in parts:
            self._drop({topic: message})  # the same stamp twice: an older message waits still
        parts[topic] = message
        if len(parts) == len(self._topics):
            while next(iter(self._waiting)) != stamp_ns:
                self._drop(self._waiting.popitem(last=False)[1])
            del self._waiting[stamp_ns]
            self.paired += 1
            self._on_complete(stamp_ns, parts)
        elif len(self._waiting) > self._depth:
            self._drop(self._waiting.popitem(last=False)[1])

    def clear(self) -> None:
        """Drop all messages that wait."""
        while self._waiting:
            self._drop(self._waiting.popitem()[1])

    def _drop(self, parts: dict[str, Any]) -> None:
        self.unpaired += len(parts)
        for topic in parts:
            self._on_lost(topic)
