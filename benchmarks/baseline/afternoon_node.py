"""The node that a competent user writes in an afternoon, to compare segmentation_node with.

Images in on image_raw, segmentation/mask and segmentation/objectness out at the image's size, as
segmentation_node has them. It follows the tutorials of ROS 2 and OpenVINO, and nothing in it is slow on purpose:
every step is one call of numpy, OpenCV or OpenVINO, and of ways that are equally obvious it takes the quicker.
The network is that of segmentation_node. Parameters: ``model`` (its .xml), ``upsample``: "probabilities" (enlarged
before the best class is chosen, as segmentation_node does) or "classes" (a shortcut: small masks, pixels repeated).

    python benchmarks/baseline/afternoon_node.py --ros-args -p model:=models/cmt-mchh-lite-camvid/model.xml
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image

WIDTH, HEIGHT = 480, 360  # what the network was trained on
MEAN, SCALE = 127.0, 128.0


class AfternoonNode(Node):
    """Image in, two masks out, all in the callback."""

    def __init__(self) -> None:
        super().__init__("afternoon_node")
        model = self.declare_parameter("model", "model.xml").value
        self.upsample = self.declare_parameter("upsample", "probabilities").value
        # As in OpenVINO's first tutorial; its defaults on a CPU: one stream, for latency, at the CPU's own precision.
        self.network = ov.Core().compile_model(model, "CPU")
        # Depth 10, as in ROS's first tutorial: reliable, keep last 10.
        self.mask = self.create_publisher(Image, "segmentation/mask", 10)
        self.objectness = self.create_publisher(Image, "segmentation/objectness", 10)
        self.create_subscription(Image, "image_raw", self.on_image, 10)
        self.get_logger().info("ready: listening to image_raw")

    def on_image(self, message: Image) -> None:
        """From message to messages."""
        # A view, as cv_bridge does it too.
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        # OpenCV resizes bytes much faster than floats, so first resize, then convert.
        small = cv2.cvtColor(cv2.resize(image, (WIDTH, HEIGHT)), cv2.COLOR_BGR2RGB)
        pixels = (small.astype(np.float32) - MEAN) / SCALE
        result = self.network(pixels.transpose(2, 0, 1)[np.newaxis])
        classes = self.class_ids(result["probabilities"][0], (message.width, message.height))
        objects = self.objects(result["object_probability"][0, 0], (message.width, message.height))
        self.objectness.publish(self.to_message(objects, message))
        self.mask.publish(self.to_message(classes, message))

    def class_ids(self, probabilities: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Most probable class of each pixel of the image, from (classes, HEIGHT, WIDTH)."""
        if self.upsample == "classes":
            small = probabilities.argmax(axis=0).astype(np.uint8)
            return cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
        # Classes last, as OpenCV has channels: a third quicker than class by class, and as short.
        large = cv2.resize(np.ascontiguousarray(probabilities.transpose(1, 2, 0)), size)
        return large.argmax(axis=2).astype(np.uint8)

    def objects(self, probability: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """255 where an object is, from (HEIGHT, WIDTH)."""
        if self.upsample == "classes":
            small = (probability > 0.5).astype(np.uint8) * 255
            return cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
        return (cv2.resize(probability, size) > 0.5).astype(np.uint8) * 255

    def to_message(self, mask: npt.NDArray[np.uint8], image: Image) -> Image:
        """A mono8 message under the image's header."""
        message = Image(header=image.header, height=mask.shape[0], width=mask.shape[1], encoding="mono8")
        message.step = mask.shape[1]
        message.data = mask.tobytes()
        return message


def main() -> None:
    rclpy.init()
    node = AfternoonNode()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
