"""Image sender: publishes images, filled into messages in one of several ways, and measures what that costs.

Request: {"frames": 60, "fps": 30} -> {"sent": 60, "cpu_ms": CPU milliseconds a message, of the whole process}
Sends them once somebody subscribes to /image.
"""

from __future__ import annotations

import argparse
import array
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.structures import U8
from support.child import serve, spinning

DISCOVERY_S, WARM, IMAGES = 20.0, 5, 4
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def typed(pixels: U8) -> Image:
    """A message that has all but its data."""
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding="bgr8", step=pixels.strides[0])
    message.header.frame_id = "camera"
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
    return message


def from_bytes(pixels: U8) -> Image:
    """As most nodes do; rclpy makes an array.array of the bytes: two copies."""
    message = typed(pixels)
    message.data = pixels.tobytes()
    return message


def from_array(pixels: U8) -> Image:
    """One copy of ours, and one of rclpy's, by memcpy."""
    data = array.array("B")
    data.frombytes(pixels.data.cast("B"))
    message = typed(pixels)
    message.data = data
    return message


def from_ndarray(pixels: U8) -> Image:
    """No copy: past the setter of the field, into its private attribute, which takes any buffer."""
    message = typed(pixels)
    message._data = pixels.reshape(-1)
    return message


def serialized(pixels: U8) -> bytes:
    """The message as it travels (little-endian CDR), made by hand: one copy."""
    height, width, channels = pixels.shape
    frame_id, encoding = b"camera\0", b"bgr8\0"
    text = b"\x00\x01\x00\x00" + struct.pack("<iII", *divmod(time.time_ns(), 10**9), len(frame_id)) + frame_id
    text += _padding(text) + struct.pack("<III", height, width, len(encoding)) + encoding + b"\0"
    text += _padding(text) + struct.pack("<II", width * channels, pixels.nbytes)
    return b"".join((text, pixels.data.cast("B")))


def _padding(text: bytes) -> bytes:
    """Up to the next multiple of four bytes, counted after the four that tell the encapsulation."""
    return bytes(-len(text) % 4)


WAYS: dict[str, Callable[[U8], Any]] = {
    "bytes": from_bytes,
    "array": from_array,
    "ndarray": from_ndarray,
    "serialized": serialized,
}


class Sender(Node):
    """One publisher.

    Args:
        size: (width, height) of the images, pixels.
        way: of WAYS.
    """

    def __init__(self, size: tuple[int, int], way: str) -> None:
        super().__init__("sender", start_parameter_services=False)
        noise = np.random.default_rng(0).integers(0, 256, (IMAGES, size[1], size[0], 3), np.uint8)
        self._pictures, self._fill = list(noise), WAYS[way]
        self._publisher = self.create_publisher(Image, "/image", BEST_EFFORT)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send some to warm up, then those that count; all at the rate asked for."""
        deadline = time.monotonic() + DISCOVERY_S
        while not self._publisher.get_subscription_count():
            if time.monotonic() > deadline:
                raise CmtSegError(f"nobody has subscribed to /image within {DISCOVERY_S:g} s")
            time.sleep(0.01)
        frames, fps = int(request["frames"]), float(request["fps"])
        began, cpu_ns = time.monotonic(), 0
        for k in range(WARM + frames):
            time.sleep(max(0.0, began + k / fps - time.monotonic()))
            if k == WARM:
                cpu_ns = time.process_time_ns()
            self._publisher.publish(self._fill(self._pictures[k % len(self._pictures)]))
        return {"sent": WARM + frames, "cpu_ms": (time.process_time_ns() - cpu_ns) / frames / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("width", type=int, help="of the images, pixels")
    parser.add_argument("height", type=int, help="of the images, pixels")
    parser.add_argument("way", choices=WAYS, help="how messages are filled")
    parser.add_argument("--no-profile", action="store_true", help="Fast DDS as it is, without config/fastdds.xml")
    args = parser.parse_args()
    size = args.width, args.height
    with spinning(lambda: Sender(size, args.way), shipped_profile=not args.no_profile) as sender:
        serve(sender.answer)


if __name__ == "__main__":
    main()
