"""Image receiver: receives images in one of several ways and measures what that costs.

Request: {"sent": 65} -> {"received": 65, "cpu_ms": CPU milliseconds a message, of the whole process}, once that many
have come, or none for a second. The node has as many entities as the package's nodes, as executors look at each.
"""

from __future__ import annotations

import argparse
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from cmt_seg_ros.structures import U8
from support.child import serve, spinning
from support.image_sender import BEST_EFFORT, WARM

ENTITIES = 25  # of segmentation_node with one camera: services, subscriptions, timers
PATIENCE_S = 1.0


def from_typed(message: Image) -> U8:
    """View the pixels of a message."""
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def from_serialized(message: bytes) -> U8:
    """View the pixels of a message as it travels (little-endian CDR)."""
    (length,) = struct.unpack_from("<I", message, 12)  # of frame_id, after encapsulation and stamp
    at = _aligned(16 + length)
    height, width, length = struct.unpack_from("<III", message, at)
    at = _aligned(at + 12 + length + 1)  # encoding, is_bigendian
    step, size = struct.unpack_from("<II", message, at)
    return np.frombuffer(message, np.uint8, size, at + 8).reshape(height, width, step // width)


def _aligned(position: int) -> int:
    return position + -position % 4


def make_executor(name: str) -> Executor:
    """One of those that the benchmark compares."""
    if name == "events":
        from rclpy.experimental import EventsExecutor

        return EventsExecutor()
    # Two threads: on the one core that it has here, it would otherwise be a single-threaded one.
    return MultiThreadedExecutor(2) if name == "multi" else SingleThreadedExecutor()


class Receiver(LifecycleNode):
    """One subscription that counts, and entities that do nothing.

    Args:
        raw: whether to subscribe to the serialized message.
    """

    def __init__(self, raw: bool) -> None:
        super().__init__("receiver")
        self._view: Callable[[Any], U8] = from_serialized if raw else from_typed
        self._changed = threading.Condition()
        self._received, self._first_ns, self._last_ns, self._last_s = 0, 0, 0, 0.0
        self.create_subscription(Image, "/image", self._on_image, BEST_EFFORT, raw=raw)
        self.create_timer(1.0, lambda: None)  # as for diagnostics
        idle = 0
        while len([*self.services, *self.subscriptions, *self.timers]) < ENTITIES:
            self.create_service(Trigger, f"~/idle_{idle}", lambda _, response: response)
            idle += 1

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Wait until all have come, or no more do."""
        with self._changed:
            self._last_s = time.monotonic()
            while self._received < request["sent"] and time.monotonic() < self._last_s + PATIENCE_S:
                self._changed.wait(0.1)
        measured = self._received - WARM
        cpu_ms = (self._last_ns - self._first_ns) / measured / 1e6 if measured > 0 else float("nan")
        return {"received": self._received, "cpu_ms": cpu_ms}

    def _on_image(self, message: Any) -> None:
        pixels = self._view(message)
        assert pixels.shape[2] == 3
        with self._changed:
            self._received += 1
            self._last_ns, self._last_s = time.process_time_ns(), time.monotonic()
            if self._received == WARM:
                self._first_ns = self._last_ns
            self._changed.notify_all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executor", choices=("single", "events", "multi"), help="which spins the node")
    parser.add_argument("--raw", action="store_true", help="subscribe to the serialized message")
    parser.add_argument("--no-profile", action="store_true", help="Fast DDS as it is, without config/fastdds.xml")
    args = parser.parse_args()
    with spinning(lambda: Receiver(args.raw), lambda: make_executor(args.executor), not args.no_profile) as receiver:
        serve(receiver.answer)


if __name__ == "__main__":
    main()
