"""Feeder: sends images to nodes and counts the masks that come back.

Requests: {"node": "/ours", "warm": true}               frames now and then until both masks come
          {"node": "/ours", "frames": 40, "fps": 6}     frames when they are due
          {"node": "/ours", "seconds": 10, "window": 3} the next frame as soon as fewer than that many are
                                                        without a mask: as fast as the node takes them
Answers:  {"sent": .., "mask": .., "objectness": .., "masks_per_s": ..}
"""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.ros.common import qos
from cmt_seg_ros.ros.common.images import image_from_array
from support.child import pictures, serve, spinning

RESULTS = ("mask", "objectness")
DEPTH = 50
DEADLINE_S, WARM_S, LAST_MASK_S = 60.0, 0.5, 3.0


class Feeder(Node):
    """One camera for each of several nodes, used in turn.

    Args:
        size: (width, height) of the images, pixels.
        nodes: namespaces of the nodes.
    """

    def __init__(self, size: tuple[int, int], nodes: list[str]) -> None:
        super().__init__("feeder")
        messages = [image_from_array(p, "bgr8", Header(frame_id="camera")) for p in pictures(*size)]
        self._messages: Iterator[Image] = itertools.cycle(messages)
        self._changed = threading.Condition()
        self._arrivals: dict[tuple[str, str], list[float]] = {(n, r): [] for n in nodes for r in RESULTS}
        self._cameras = {n: self.create_publisher(Image, f"{n}/image_raw", qos.RESULT) for n in nodes}
        for node, result in self._arrivals:
            # Serialized: what the subscriber does with the masks is not what is measured.
            receive = partial(self._on_result, (node, result))
            self.create_subscription(Image, f"{node}/segmentation/{result}", receive, DEPTH, raw=True)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request."""
        node = request["node"]
        for result in RESULTS:
            self._arrivals[node, result].clear()
        if "warm" in request:
            sent = self._send_until_heard(node)
        elif "fps" in request:
            sent = self._send_at_rate(node, int(request["frames"]), float(request["fps"]))
        else:
            sent = self._send_as_taken(node, float(request["seconds"]), int(request["window"]))
        self._wait(lambda: self._back(node) >= sent, LAST_MASK_S)
        masks = self._arrivals[node, "mask"]
        seconds = masks[-1] - masks[0] if len(masks) > 1 else 0.0
        return {
            "sent": sent,
            **{result: len(self._arrivals[node, result]) for result in RESULTS},
            "masks_per_s": (len(masks) - 1) / seconds if seconds else 0.0,
        }

    def _send_until_heard(self, node: str) -> int:
        """The node may have to compile its model, and discover that somebody wants its results."""
        deadline = time.monotonic() + DEADLINE_S
        for sent in itertools.count(1):
            self._send(node)
            if self._wait(lambda: self._back(node) > 0, WARM_S):
                return sent
            if time.monotonic() > deadline:
                raise CmtSegError(f"no masks from {node} within {DEADLINE_S:g} s")
        raise AssertionError

    def _send_at_rate(self, node: str, frames: int, fps: float) -> int:
        began = time.monotonic()
        for k in range(frames):
            time.sleep(max(0.0, began + k / fps - time.monotonic()))
            self._send(node)
        return frames

    def _send_as_taken(self, node: str, seconds: float, window: int) -> int:
        sent, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            self._send(node)
            sent += 1
            if not self._wait(partial(self._has_room, node, sent, window), DEADLINE_S):
                raise CmtSegError(f"{node} has not sent the masks of {window} frames within {DEADLINE_S:g} s")
        return sent

    def _send(self, node: str) -> None:
        message = next(self._messages)
        message.header.stamp = self.get_clock().now().to_msg()
        self._cameras[node].publish(message)

    def _has_room(self, node: str, sent: int, window: int) -> bool:
        return sent - self._back(node) < window

    def _back(self, node: str) -> int:
        """How many frames have both their masks."""
        return min(len(self._arrivals[node, result]) for result in RESULTS)

    def _on_result(self, topic: tuple[str, str], message: bytes) -> None:
        with self._changed:
            self._arrivals[topic].append(time.monotonic())
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("width", type=int, help="of the images, pixels")
    parser.add_argument("height", type=int, help="of the images, pixels")
    parser.add_argument("nodes", nargs="+", help="namespaces of the nodes to feed")
    args = parser.parse_args()
    with spinning(lambda: Feeder((args.width, args.height), args.nodes)) as feeder:
        serve(feeder.answer)


if __name__ == "__main__":
    main()
