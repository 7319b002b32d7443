"""Images from one process to another, as a camera sends them: how many arrive, how fast, by shared memory or not.

``python -m cmt_seg_ros.ros.doctor.loop_back`` receives, starts the sender by itself, and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.ros.common.images import image_from_array, stamp_ns
from cmt_seg_ros.ros.common.process import run

WIDTH, HEIGHT, RATE_HZ, COUNT = 1280, 720, 30.0, 10
FIRST_S, REST_S = 6.0, 3.0
# As deep as there are images: what does not arrive was lost on the way and not replaced by a newer one.
PROFILE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=COUNT, reliability=ReliabilityPolicy.BEST_EFFORT)


class Sender(Node):
    """Sends images while somebody listens, until its standard input is closed; the image's number is its frame_id."""

    def __init__(self, topic: str) -> None:
        super().__init__("cmt_seg_doctor_sender", start_parameter_services=False)
        self.finished: Future = Future()
        self._publisher = self.create_publisher(Image, topic, PROFILE)
        self._pixels, self._sent = np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0
        self.create_timer(1.0 / RATE_HZ, self._step)

    def _step(self) -> None:
        if select.select([sys.stdin], [], [], 0)[0]:  # the receiver has seen enough, or is dead
            self.finished.set_result(0)
        elif self._publisher.get_subscription_count():
            header = Header(frame_id=str(self._sent), stamp=self.get_clock().now().to_msg())
            self._publisher.publish(image_from_array(self._pixels, "bgr8", header))
            self._sent += 1


class Receiver(Node):
    """Counts the COUNT images that follow the first one it gets: before, the two have not found each other."""

    def __init__(self) -> None:
        super().__init__("cmt_seg_doctor_receiver", start_parameter_services=False)
        self.finished: Future = Future()
        self._ages_ms: dict[int, float] = {}
        topic = f"/cmt_seg_doctor_{os.getpid()}/image"
        self.create_subscription(Image, topic, self._on_image, PROFILE)
        self.create_timer(0.05, self._look)
        self._deadline_s = time.monotonic() + FIRST_S
        self._own_segments = mapped_segments()
        command = [sys.executable, "-m", "cmt_seg_ros.ros.doctor.loop_back", "--send", topic]
        self._sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        """End the sender: it ends when its input does."""
        assert self._sender.stdin is not None
        self._sender.stdin.close()
        try:
            self._sender.wait(5.0)
        except subprocess.TimeoutExpired:
            self._sender.kill()
            self._sender.wait()

    def _on_image(self, message: Image) -> None:
        if not self._ages_ms:
            self._deadline_s = time.monotonic() + REST_S
        age_ns = self.get_clock().now().nanoseconds - stamp_ns(message.header)
        self._ages_ms[int(message.header.frame_id)] = age_ns / 1e6
        self._look()

    def _look(self) -> None:
        complete = self._ages_ms and max(self._ages_ms) >= min(self._ages_ms) + COUNT
        if not self.finished.done() and (complete or time.monotonic() > self._deadline_s):
            first = min(self._ages_ms, default=0)
            ages = [age for number, age in self._ages_ms.items() if first < number <= first + COUNT]
            result = {
                "sent": COUNT,
                "received": len(ages),
                "median_ms": median(ages) if ages else None,
                "shared_memory": mapped_segments() > self._own_segments,
            }
            print(json.dumps(result), flush=True)
            self.finished.set_result(0)


def mapped_segments() -> set[str]:
    """Names of the Fast DDS segments that this process has mapped: to read what another sends, it maps the other's."""
    return set(re.findall(r"/(fast(?:dds|rtps)_[0-9a-f]{16})\b", Path("/proc/self/maps").read_text(encoding="utf-8")))


def main() -> int:
    """Run the receiver, or with ``--send TOPIC`` the sender."""
    return run(partial(Sender, sys.argv[2]) if sys.argv[1:2] == ["--send"] else Receiver)


if __name__ == "__main__":
    sys.exit(main())
