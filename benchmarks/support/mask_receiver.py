"""Mask receiver: receives the masks of several cameras and the diagnostics of the node that makes them.

Request: {} -> {"masks": [["front", arrival_ns, stamp_ns], ..], "status": {"front": {"received": "901", ..}, ..},
                "statuses": 17}: the masks since the last request, and the newest and the number of diagnostics.
"""

from __future__ import annotations

import argparse
import threading
import time
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image

from cmt_seg_ros.ros.common.images import stamp_ns
from support.child import serve, spinning

DEPTH = 100


class Masks(Node):
    """One subscription a camera.

    Args:
        names: of the cameras; their masks are on <name>/segmentation/mask.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__("masks")
        self._names, self._lock = names, threading.Lock()
        self._masks: list[tuple[str, int, int]] = []
        self._status: dict[str, dict[str, str]] = {}
        self._statuses = 0
        for name in names:
            self.create_subscription(Image, f"{name}/segmentation/mask", partial(self._on_mask, name), DEPTH)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, DEPTH)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Hand over what has come."""
        with self._lock:
            masks, self._masks = self._masks, []
            return {"masks": masks, "status": self._status, "statuses": self._statuses}

    def _on_mask(self, name: str, message: Image) -> None:
        # Stamps are the time of sending, by the same clock of this machine.
        arrival_ns = time.time_ns()
        with self._lock:
            self._masks.append((name, arrival_ns, stamp_ns(message.header)))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        found = {status.name.rpartition(": ")[2]: status for status in message.status}
        with self._lock:
            self._statuses += 1
            for name in self._names:
                if name in found:
                    self._status[name] = {value.key: value.value for value in found[name].values}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="of the cameras")
    args = parser.parse_args()
    with spinning(lambda: Masks(args.names)) as masks:
        serve(masks.answer)


if __name__ == "__main__":
    main()
