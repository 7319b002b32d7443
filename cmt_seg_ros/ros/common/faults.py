"""Faults: errors that nobody thought of; each costs what it happened to, never the node, and is counted and logged."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from cmt_seg_ros.ros.common.diagnostics import Throttle


class Faults:
    """Counter of the faults of a node; any thread may use it.

    Args:
        node: logs them, each kind once in a while.

    Attributes:
        count: how many there were.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._throttle, self._reported = node, Throttle(), 0
        self.count, self._last = 0, ""

    def note(self, sentence: str) -> None:
        """Count a fault and log it; never raises."""
        self.count += 1
        self._last = sentence
        with contextlib.suppress(Exception):  # a log that fails must not end the thread that has been saved
            # After Ctrl-C nothing can be published any more; that is expected.
            if self._node.context.ok() and self._throttle.allows("", sentence[:80]):
                self._node.get_logger().error(f"{sentence}; the node goes on, please report it")

    def guard(self, what: str, callback: Callable[..., Any]) -> Callable[..., None]:
        """Return a callback of rclpy that never raises: rclpy would end the process.

        Args:
            what: name of what the callback does, for the log.
            callback: of any arguments; what it returns is ignored.
        """

        @functools.wraps(callback)
        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:  # of any kind
                self.note(f"{what}: {type(error).__name__}: {error}")

        return guarded

    def news(self) -> list[str]:
        """Return a sentence about the faults since the previous call; none if there were none."""
        new, self._reported = self.count - self._reported, self.count
        return [f"{new} unforeseen errors, the last: {self._last}"] if new else []
