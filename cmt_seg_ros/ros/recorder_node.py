"""recorder_node: masks, tracks and ground truth of one camera into a bag, and the overlay into a video.

What it writes below ``out``: ``bag/`` (rosbag2, MCAP), ``arrivals.csv`` (when each message came, for
latency) and ``overlay.mp4``. Messages are subscribed raw and written as they came.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from cmt_seg_ros.errors import ConfigError, FrameError, SourceError
from cmt_seg_ros.msg import ClassMap, TrackArray
from cmt_seg_ros.ros.images import frame_from_image
from cmt_seg_ros.ros.process import run
from cmt_seg_ros.ros.recording_files import Arrival, ArrivalTable, BagFile, stamp_ns
from cmt_seg_ros.ros.recording_thread import RecordingThread
from cmt_seg_ros.ros.throttle import Throttle

DEPTH = 50
OVERLAYS = "tracking/overlay", "segmentation/overlay"


@dataclass(frozen=True)
class Topic:
    """How a topic is recorded: message class, whether it is latched, whether its arrivals are listed."""

    message: type
    latched: bool = False
    timed: bool = False

    @property
    def type_name(self) -> str:
        """As in ``sensor_msgs/msg/Image``."""
        return f"{self.message.__module__.split('.')[0]}/msg/{self.message.__name__}"


TOPICS = {
    "segmentation/mask": Topic(Image, timed=True),
    "segmentation/objectness": Topic(Image),
    "segmentation/confidence": Topic(Image),
    "segmentation/label_info": Topic(ClassMap, latched=True),
    "tracking/tracks": Topic(TrackArray, timed=True),
    "tracking/instances": Topic(Image),
    "truth/class_ids": Topic(Image),
    "truth/instances": Topic(Image),
    "/diagnostics": Topic(DiagnosticArray),
}
"""What can be recorded; names are relative to the node's namespace."""
DEFAULT_TOPICS = [name for name in TOPICS if name != "segmentation/confidence"]


class RecorderNode(Node):
    """Records the results of the camera whose namespace it runs in.

    Parameters: ``out`` (folder; made if missing), ``topics`` (any of :data:`TOPICS`), ``video`` (whether
    to write overlay.mp4; the overlay is then computed for it).

    Raises:
        ConfigError: a topic that is not in :data:`TOPICS`.
        SourceError: the files cannot be made, or there is a recording already.
    """

    def __init__(self) -> None:
        super().__init__("recorder_node")
        out = Path(str(self.declare_parameter("out", "recording").value))
        names = [str(name) for name in self.declare_parameter("topics", DEFAULT_TOPICS).value]
        unknown = sorted(set(names) - set(TOPICS))
        if unknown:
            raise ConfigError(f"topics has {', '.join(unknown)}; allowed: {', '.join(TOPICS)}")
        self._throttle = Throttle()
        self._open(out, names)
        self._thread = RecordingThread(self._write, self._arrivals.flush, self._warn)
        self._topics = {self.resolve_topic_name(name): TOPICS[name] for name in names}
        for name, topic in self._topics.items():
            self._subscribe(name, topic.message, topic.latched)
        self._overlay: Any = None
        if self._video is not None:
            self._overlay = self._subscribe(OVERLAYS[0], Image)
            self._check = self.create_timer(1.0, self._choose_overlay)
        self.get_logger().info(f"ready: recording {len(self._topics)} topics to {out}")

    def close(self) -> None:
        """Write what is queued and finish the files."""
        log = get_logger("recorder_node")  # not the node's own: that one publishes, and ROS may be down by now
        if not self._thread.close():
            log.error("not all could be written in time; the recording is incomplete")
            return
        for name, file in (("bag", self._bag), ("arrivals.csv", self._arrivals), ("overlay.mp4", self._video)):
            try:
                if file is not None:
                    file.close()
            except Exception as error:  # the other files can still be saved
                log.error(f"{name} is incomplete: {error}")
        thread = self._thread
        log.info(f"recorded {thread.written} messages, lost {thread.lost}, failed {thread.failed}")

    def _open(self, out: Path, names: list[str]) -> None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._bag = BagFile(out / "bag")
            for name in names:
                topic = TOPICS[name]
                self._bag.add_topic(self.resolve_topic_name(name), topic.type_name, topic.latched)
            self._arrivals = ArrivalTable(out / "arrivals.csv")
        except OSError as error:
            raise SourceError(f"folder {out} cannot be written: {error}") from error
        wanted = self.declare_parameter("video", True).value
        self._video: Any = self._open_video(out / "overlay.mp4") if wanted else None

    def _open_video(self, path: Path) -> Any:
        try:
            from cmt_seg_ros.ros.recording_video import VideoFile
        except ImportError:
            self.get_logger().warning("no overlay.mp4: PyAV is missing; pip install 'cmt_seg_ros[demo]'")
            return None
        return VideoFile(path)

    def _subscribe(self, name: str, message: type, latched: bool = False) -> Any:
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        qos = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
        topic = self.resolve_topic_name(name)
        type_name = Topic(message).type_name
        return self.create_subscription(message, topic, self._receiver(topic, type_name), qos, raw=True)

    def _receiver(self, topic: str, type_name: str) -> Callable[[bytes], None]:
        def receive(raw: bytes) -> None:
            received_ns = self.get_clock().now().nanoseconds
            if not self._thread.put(Arrival(topic, type_name, received_ns, raw)):
                self._warn(f"{topic}: queue is full, {self._thread.lost} messages lost so far")

        return receive

    def _choose_overlay(self) -> None:
        """Without a tracker the segmentation's overlay is what there is to film; decided once results come."""
        if not self._thread.written:
            return
        self.destroy_timer(self._check)
        if not self.count_publishers(self._overlay.topic_name):
            self.destroy_subscription(self._overlay)
            self._overlay = self._subscribe(OVERLAYS[1], Image)

    def _write(self, arrival: Arrival) -> None:
        """Put one arrival where it belongs; runs in the thread."""
        topic = self._topics.get(arrival.topic)
        if topic is None:
            self._film(arrival)
            return
        if topic.timed:
            self._arrivals.write(arrival)
        self._bag.write(arrival)

    def _film(self, arrival: Arrival) -> None:
        frame = frame_from_image(deserialize_message(arrival.raw, Image), "overlay")
        stamp = stamp_ns(arrival.raw)
        if frame.encoding != "bgr8" or stamp is None:
            raise FrameError(f"overlay is {frame.encoding}; overlays are bgr8", "bad_encoding")
        self._video.write(np.ascontiguousarray(frame.pixels), stamp)

    def _warn(self, text: str) -> None:
        """Log a kind of trouble once in a while, not once a message."""
        if self._throttle.allows("recorder", text.split(":")[0]):
            self.get_logger().warning(text)


def main() -> int:
    """Entry point of the executable."""
    return run(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
