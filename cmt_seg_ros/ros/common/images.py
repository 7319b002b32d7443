"""Image messages of rclpy: to frames and masks, and from arrays without a copy."""

from __future__ import annotations

import array
import functools
import importlib
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cmt_seg_ros.encodings import ENCODINGS, RAW_ENCODINGS, Encoding, Pixels, view_pixels
from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images import messages
from cmt_seg_ros.images.messages import NS, stamp_ns
from cmt_seg_ros.stamps import UNSET, ReceiptStamps
from cmt_seg_ros.structures import U8, U16, Frame

__all__ = [
    "NS",
    "HeaderStamps",
    "attach",
    "frame_from_message",
    "image_from_array",
    "instances_from_image",
    "mask_from_image",
    "stamp_ns",
]


class HeaderStamps:
    """Gives the messages of one camera that have no stamp the node's time, and warns of the first of them.

    Args:
        node: its clock tells the time of receipt.
        what: a message of which camera, for the log.
    """

    def __init__(self, node: Node, what: str) -> None:
        self._node, self._what, self._stamps, self._said = node, what, ReceiptStamps(), False

    def fill(self, header: Header) -> int:
        """Set the stamp of a header that was just received, if it is not set; return it, ns.

        Raises:
            FrameError: the node has no time yet (reason ``no_time``).
        """
        own_ns, now_ns = stamp_ns(header), self._node.get_clock().now().nanoseconds
        if not own_ns and not now_ns:
            raise FrameError(
                "it has no stamp (header.stamp is 0), and the time of its receipt is not known either: use_sim_time is "
                "set, and /clock has told no time yet",
                "no_time",
            )
        filled_ns = self._stamps.stamp_ns(own_ns, now_ns)
        if filled_ns != own_ns:
            header.stamp.sec, header.stamp.nanosec = divmod(filled_ns, NS)
            if not self._said:
                self._node.get_logger().warning(f"{self._what} {UNSET} (said once)")
            self._said = True
        return filled_ns


def frame_from_message(message: Image | CompressedImage, camera: str) -> Frame:
    """View a message as a frame, see ``images.messages``; encodings that are not in ENCODINGS become bgr8 by cv_bridge.

    Raises:
        FrameError: as there; ``bad_encoding`` also where cv_bridge is not installed or cannot convert it.
    """
    return messages.frame_from_message(message, camera, _by_cv_bridge)


def mask_from_image(message: Image) -> U8:
    """View a mono8 or 8UC1 message as (H, W) uint8.

    Raises:
        FrameError: another encoding, or malformed.
    """
    if message.encoding not in ("mono8", "8UC1"):
        raise FrameError(f"mask has encoding {message.encoding!r}; masks are mono8 or 8UC1", "bad_encoding")
    return view_pixels(message)


def instances_from_image(message: Image) -> U16:
    """View a mono16 or 16UC1 message as (H, W) uint16, in this machine's byte order.

    Raises:
        FrameError: another encoding, or malformed.
    """
    if message.encoding not in ("mono16", "16UC1"):
        raise FrameError(f"instances have encoding {message.encoding!r}; they are mono16 or 16UC1", "bad_encoding")
    return view_pixels(message).astype(np.uint16, copy=False)


def image_from_array(pixels: Pixels, encoding: str, header: Header) -> Image:
    """Make a message of pixels, which must not change before it is published; see :func:`attach`.

    Args:
        pixels: as Frame.pixels; copied only where they are not contiguous or not little-endian.
        encoding: ROS name.
        header: becomes the message's own.
    """
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    rows, width = data.shape[:2]
    height = rows * 2 // 3 if ENCODINGS.get(encoding, Encoding()).planar else rows
    message = Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0)
    message.step = data.nbytes // rows
    attach(message, data)
    return message


def attach(message: Image | CompressedImage, pixels: Pixels) -> None:
    """Give a message its ``data`` without a copy, where ROS allows that.

    The message then refers to the array: it must not change until the message is published, which copies it.

    Args:
        message: gets the bytes, as a memoryview or an array.array.
        pixels: C-contiguous, of any shape.
    """
    data = pixels.reshape(-1).view(np.uint8).data
    if _takes_buffers():
        message._data = data
    else:
        # Of all that the setter takes only array.array is fast: lists and ndarrays go element by element.
        message.data = array.array("B", bytes(data))


@functools.cache
def _takes_buffers() -> bool:
    """Tell whether images can be published from a buffer in the private field behind ``data``: tried once.

    The setter of ``data`` copies whatever it is given; the generated code that serializes takes any buffer.
    """
    if "_data" not in Image.__slots__:
        return False
    expected, message = Image(height=1, width=5), Image(height=1, width=5)
    expected.data = array.array("B", range(5))
    message._data = np.arange(5, dtype=np.uint8).data
    try:
        # The serialized bytes are not compared: padding bytes are random.
        return bool(deserialize_message(serialize_message(message), Image) == expected)
    except Exception:  # whatever it is, copying still works
        return False


def _by_cv_bridge(message: Image) -> U8:
    convert, missing = _cv_bridge()
    if convert is None:
        raise FrameError(
            f"encoding is {message.encoding!r}; supported: {RAW_ENCODINGS}; "
            f"others need cv_bridge, which cannot be imported here ({missing})",
            "bad_encoding",
        )
    try:
        return convert(message, "bgr8")
    except Exception as error:  # not only CvBridgeError: it also raises what NumPy and OpenCV do
        raise FrameError(
            f"encoding is {message.encoding!r}, of which cv_bridge makes no bgr8 ({error}); supported: {RAW_ENCODINGS}",
            "bad_encoding",
        ) from error


@functools.cache
def _cv_bridge() -> tuple[Any, str]:
    """Return imgmsg_to_cv2 of a CvBridge, or None and why; imported at the first frame that needs it."""
    try:
        return importlib.import_module("cv_bridge").CvBridge().imgmsg_to_cv2, ""
    except Exception as error:  # one that was built for another NumPy fails in other ways than ImportError
        return None, str(error)
