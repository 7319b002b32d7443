"""One log line a kind of trouble, not one a frame."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """Says which of many equal messages to let through.

    Args:
        period_s: at most one message of a kind in this time, seconds.
        clock: monotonic seconds.
    """

    def __init__(self, period_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s, self._clock = period_s, clock
        self._last_s: dict[tuple[str, str], float] = {}

    def allows(self, camera: str, reason: str) -> bool:
        """True for the first message of a camera and reason in each period."""
        now, last = self._clock(), self._last_s.get((camera, reason))
        if last is not None and now - last < self._period_s:
            return False
        self._last_s[camera, reason] = now
        return True
