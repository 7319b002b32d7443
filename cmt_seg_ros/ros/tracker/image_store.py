"""ImageStore: the newest images of one camera, kept until the masks made from them arrive."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.depth import Mono16Range
from cmt_seg_ros.images.pixels import decoded, to_bgr
from cmt_seg_ros.ros.common.cameras import CameraSettings, image_issues, image_source
from cmt_seg_ros.ros.common.faults import Faults
from cmt_seg_ros.ros.common.images import frame_from_message
from cmt_seg_ros.structures import U8, Frame

IMAGES_KEPT = 16
BYTES_KEPT = 256 << 20
# More than one: the image of the next masks must not be replaced while a frame is tracked.
IMAGES_QUEUED = 4


class ImageStore:
    """Receives images while they are used; those that are not taken are dropped when newer ones come.

    Args:
        node: owns the subscription.
        camera: topic, transport and reliability.
        mono16_range: see TrackingSettings.
        on_image: called with the stamp, ns, of each image that was received.
        on_error: called for each image that cannot be used or has no stamp, with the reason.
        faults: of the node.
    """

    def __init__(
        self,
        node: Node,
        camera: CameraSettings,
        mono16_range: str,
        on_image: Callable[[int], None],
        on_error: Callable[[FrameError], None],
        faults: Faults,
    ) -> None:
        self._node, self._camera, self._on_image, self._on_error = node, camera, on_image, on_error
        self._range = Mono16Range(mono16_range, node.get_logger().warning)
        self._faults = faults
        self._subscription: Subscription | None = None
        self._frames: dict[int, Frame] = {}

    def follow(self, wanted: bool) -> None:
        """Receive images, or stop receiving them."""
        if wanted and self._subscription is None:
            self._subscription = self._subscribe()
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._frames.clear()

    def take(self, stamp_ns: int) -> U8 | None:
        """Return the image of a frame; drop it and all older ones.

        Args:
            stamp_ns: of the frame, ns.

        Returns:
            (H, W, 3) uint8 blue-green-red, rows may be padded; None if it was not received or cannot be decoded.
        """
        frame = self._frames.get(stamp_ns)
        self._frames = {stamp: kept for stamp, kept in self._frames.items() if stamp > stamp_ns}
        try:
            return None if frame is None else to_bgr(self._range.of(decoded(frame)))
        except FrameError as error:
            self._on_error(error)
            return None

    def issues(self) -> list[str]:
        """Return a sentence for each thing that keeps images from being received, while they are used."""
        return [] if self._subscription is None else image_issues(self._node, self._camera, self._subscription)

    def _subscribe(self) -> Subscription:
        kind, topic = image_source(self._camera.image_topic, self._camera.transport)
        reliable = self._camera.image_reliability == "reliable"
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=IMAGES_QUEUED,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        return self._node.create_subscription(kind, topic, self._faults.guard("image", self._receive), profile)

    def _receive(self, message: Image | CompressedImage) -> None:
        try:
            frame = frame_from_message(message, self._camera.name)
            if not frame.stamp_ns:
                # Its mask has the time at which segmentation_node received the image. Nobody knows that here.
                raise FrameError(
                    "it has no stamp (header.stamp is 0), so its masks cannot be found: they are tracked without "
                    "images and not drawn; set the stamp in the camera's driver",
                    "no_stamp",
                )
        except FrameError as error:
            self._on_error(error)
            return
        self._frames.pop(frame.stamp_ns, None)  # to the end
        self._frames[frame.stamp_ns] = frame
        while len(self._frames) > IMAGES_KEPT or self._too_many_bytes():
            del self._frames[next(iter(self._frames))]
        self._on_image(frame.stamp_ns)

    def _too_many_bytes(self) -> bool:
        return len(self._frames) > 1 and sum(frame.pixels.nbytes for frame in self._frames.values()) > BYTES_KEPT
