"""Cameras of a node: their parameters, and how to subscribe to their images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cmt_seg_ros.config import CameraList, CameraSettings
from cmt_seg_ros.config.fields import parameters_of
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.ros.common import parameters, qos, qos_check
from cmt_seg_ros.ros.common.images import HeaderStamps
from cmt_seg_ros.ros.common.statistics import CameraStatistics

COMPRESSED = "/compressed"  # what image_transport appends to the topic of the raw images


class CameraInput:
    """What a node receives from one camera while it runs.

    Args:
        node: owns the subscriptions.
        settings: parameters of the camera.

    Attributes:
        settings: as given.
        images: the subscription to its images; None while there is none.
        statistics: its counts.
        stamps: fills in the stamps of images that have none.
        info: the newest CameraInfo; None before the first.
        is_silent: whether it has been reported that no frames arrive.
    """

    def __init__(self, node: Node, settings: CameraSettings) -> None:
        self._node, self.settings = node, settings
        self.images: Subscription | None = None
        self._infos: Subscription | None = None
        self.statistics = CameraStatistics()
        self.stamps = HeaderStamps(node, f"camera {self.label}: an image")
        self.info: CameraInfo | None = None
        self.is_silent = False
        self._last_taken_ns: int | None = None

    @property
    def label(self) -> str:
        """Name for the log."""
        return self.settings.name or self.settings.image_topic

    def subscribe(
        self, on_image: Callable[[CameraInput, Image | CompressedImage], None], lossless: bool
    ) -> Subscription:
        """Subscribe to the images and the CameraInfo of the camera.

        Args:
            on_image: called as ``on_image(camera, message)``.
            lossless: receive every image, and not only the newest.
        """
        profile = qos.camera(self.settings.image_reliability, lossless)
        kind, topic = image_source(self.settings.image_topic, self.settings.transport)
        self.images = self._node.create_subscription(kind, topic, partial(on_image, self), profile)
        topic = camera_info_topic(self.settings.image_topic)
        self._infos = self._node.create_subscription(CameraInfo, topic, self._on_info, qos.CAMERA)
        return self.images

    def unsubscribe(self) -> None:
        """Destroy the subscriptions, if there are any."""
        for subscription in filter(None, (self.images, self._infos)):
            self._node.destroy_subscription(subscription)
        self.images = self._infos = None

    def take(self, stamp_ns: int, max_fps: float) -> bool:
        """Return whether a frame is taken, or is above a rate.

        Args:
            stamp_ns: of the frame, ns.
            max_fps: most frames per second; 0: no limit.
        """
        last_ns = self._last_taken_ns
        # A tenth of a period of slack, so that 30 Hz with jitter passes as 30 Hz.
        if max_fps > 0 and last_ns is not None and 0 < stamp_ns - last_ns < 0.9e9 / max_fps:
            return False
        self._last_taken_ns = stamp_ns
        return True

    def restart(self) -> None:
        """Forget stamps and ages: the clock was set."""
        self._last_taken_ns = None
        self.statistics.forget_ages()

    def _on_info(self, message: CameraInfo) -> None:
        self.info = message


def image_source(image_topic: str, transport: str) -> tuple[type, str]:
    """Return message class and name of the topic on which a camera's images arrive.

    Args:
        image_topic: topic of the raw images.
        transport: "raw" or "compressed".
    """
    return (Image, image_topic) if transport == "raw" else (CompressedImage, image_topic + COMPRESSED)


def image_issues(node: Node, settings: CameraSettings, images: Subscription) -> list[str]:
    """Return a sentence for each reason why images are not received, and the parameters that would mend it.

    Args:
        node: owns the subscription.
        settings: parameters of the camera.
        images: the subscription made of them.
    """
    found = qos_check.unreachable_publishers(node, images)
    if any("QoS" in sentence for sentence in found):
        asked = settings.image_reliability
        found.append(f"image_reliability is {asked}; with best_effort, and not lossless, all cameras are received")
    return found + _other_transport(node, settings)


def _other_transport(node: Node, settings: CameraSettings) -> list[str]:
    """Return what to set where images come by the other transport, or /compressed is part of ``image_topic``."""

    def publishes(kind: type, topic: str) -> bool:
        return qos_check.type_name(kind) in {end.topic_type for end in node.get_publishers_info_by_topic(topic)}

    kind, topic = image_source(settings.image_topic, settings.transport)
    if publishes(kind, topic):
        return []
    for name in (settings.image_topic, settings.image_topic.removesuffix(COMPRESSED)):
        for transport in ("compressed", "raw"):
            other, there = image_source(name, transport)
            if publishes(other, there):
                also = "" if name == settings.image_topic else f" and image_topic: {name}"
                what = f"nobody publishes {qos_check.type_name(kind)} on {topic}, but {there} has "
                return [f"{what}{qos_check.type_name(other)}: set transport: {transport}{also}"]
    if publishes(CompressedImage, settings.image_topic):
        remap = f"{settings.image_topic}{COMPRESSED}:={settings.image_topic}"
        return [f"{settings.image_topic} has compressed images: set transport: compressed and remap {remap}"]
    return []


def camera_info_topic(image_topic: str) -> str:
    """Return the topic of a camera's CameraInfo: beside its images, where camera drivers publish it."""
    folder, slash, _ = image_topic.rpartition("/")
    return f"{folder}{slash}camera_info"


def declare_cameras(node: Node) -> None:
    """Declare ``cameras`` and the block of each camera (without a list: of the one camera).

    Raises:
        ConfigError: see :func:`camera_names`.
    """
    parameters.declare(node, CameraList)
    for name in camera_names(node):
        topic = {"image_topic": f"{name}/image_raw"} if name else {}
        parameters.declare(node, CameraSettings, _prefix(name), topic)


def is_camera_parameter(name: str) -> bool:
    """Return True for ``cameras`` and what :func:`declare_cameras` declares for a camera."""
    return name == "cameras" or name.rpartition(".")[2] in parameters_of(CameraSettings)


def camera_names(node: Node) -> list[str]:
    """Return the names listed; ``[""]`` stands for one camera in the node's own namespace.

    Raises:
        ConfigError: it is no list of names, or a name occurs twice or is not a valid topic part.
    """
    names = [name for name in parameters.load(node, CameraList).cameras if name]
    wrong = [n for n in names if not n.replace("_", "a").isalnum() or n[0].isdigit()]
    if wrong or len(set(names)) != len(names):
        raise ConfigError(f"cameras is {names}; each name must be of letters, digits and _ and occur once")
    return names or [""]


def load_cameras(node: Node) -> list[CameraSettings]:
    """Read the blocks, also of cameras that were added to the list after the node began.

    Raises:
        ConfigError: a value has the wrong type or is not allowed.
    """
    declare_cameras(node)
    return [parameters.load(node, CameraSettings, _prefix(name), name=name) for name in camera_names(node)]


def _prefix(camera: str) -> str:
    return f"{camera}." if camera else ""
