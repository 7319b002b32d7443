"""Waiting for what other threads and processes do. The deadline only bounds a hang: no test may come near it."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_S = 240.0
"""Far above what anything takes, also while other programs keep all processors busy; below pytest's own timeout."""


def until(condition: Callable[[], object], what: str = "", poll_s: float = 0.01) -> None:
    """Wait until a condition holds; fail when the deadline passes."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:g} s in vain: {what or condition}"
        time.sleep(poll_s)
