"""Camera publishers: several cameras that publish images at their rate until told to stop.

Each runs freely, a part of a period after the one before it. Request: {} -> {"sent": {"front": 900, ..}, "hz": 29.9},
after which nothing more is sent; "hz" is the rate of each camera that was kept.
"""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.ros.common.images import image_from_array
from support.child import pictures, serve, spinning

# As camera drivers send: nobody waits for a slow listener.
SENSOR = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


class Cameras(Node):
    """One publisher a camera, all fed by one thread with images made before.

    Args:
        size: (width, height) of the images, pixels.
        fps: of each camera.
        names: of the cameras; they send on <name>/image_raw.
    """

    def __init__(self, size: tuple[int, int], fps: float, names: list[str]) -> None:
        super().__init__("cameras")
        self._messages = [image_from_array(p, "bgr8", Header(frame_id="camera")) for p in pictures(*size)]
        self._cameras = {name: self.create_publisher(Image, f"{name}/image_raw", SENSOR) for name in names}
        self._fps, self._sent, self._stop = fps, dict.fromkeys(names, 0), threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="cameras")
        self._thread.start()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Stop, and tell how many images each camera has sent."""
        self.stop()
        seconds = time.monotonic() - self._began
        return {"sent": self._sent, "hz": sum(self._sent.values()) / len(self._sent) / seconds}

    def stop(self) -> None:
        """Send nothing more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        period_s = 1 / self._fps / len(self._cameras)
        due = time.monotonic()
        for message, name in zip(itertools.cycle(self._messages), itertools.cycle(self._cameras), strict=False):
            # Who is late does not catch up: a camera does not send two images at once.
            due = max(due + period_s, time.monotonic())
            if self._stop.wait(due - time.monotonic()):
                return
            message.header.stamp = self.get_clock().now().to_msg()
            self._cameras[name].publish(message)
            self._sent[name] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("width", type=int, help="of the images, pixels")
    parser.add_argument("height", type=int, help="of the images, pixels")
    parser.add_argument("fps", type=float, help="of each camera")
    parser.add_argument("names", nargs="+", help="of the cameras")
    args = parser.parse_args()
    with spinning(lambda: Cameras((args.width, args.height), args.fps, args.names)) as cameras:
        try:
            serve(cameras.answer)
        finally:
            cameras.stop()


if __name__ == "__main__":
    main()
