"""Listener process of `cmt-seg top`: prints each /diagnostics message as one line of JSON.

It ends when its standard input is closed, that is, with the process that started it: ``python -m cmt_seg_ros.ros.top``.
"""

from __future__ import annotations

import json
import select
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.task import Future

from cmt_seg_ros.ros.common.process import run

DEPTH = 10  # the same as its publishers
LOOK_S = 0.2


class TopNode(Node):
    """Node that subscribes to /diagnostics and prints it."""

    def __init__(self) -> None:
        super().__init__("cmt_seg_top", start_parameter_services=False)
        self.finished: Future = Future()
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, DEPTH)
        self.create_timer(LOOK_S, self._look)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        statuses = [as_dict(status) for status in message.status]
        print(json.dumps({"heard_s": time.monotonic(), "statuses": statuses}), flush=True)

    def _look(self) -> None:
        if select.select([sys.stdin], [], [], 0)[0] and not self.finished.done():
            self.finished.set_result(0)


def as_dict(status: DiagnosticStatus) -> dict[str, object]:
    """Convert a status to plain types; level: 0 OK, 1 WARN, 2 ERROR, 3 STALE."""
    return {
        "name": status.name,
        "level": int.from_bytes(status.level, "little"),
        "message": status.message,
        "hardware_id": status.hardware_id,
        "values": {value.key: value.value for value in status.values},
    }


def main() -> int:
    """Run the listener."""
    return run(TopNode)


if __name__ == "__main__":
    sys.exit(main())
