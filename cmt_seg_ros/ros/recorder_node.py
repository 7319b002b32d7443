"""recorder_node: records input and output of one camera's nodes into a bag, and the overlay as a video.

It writes to ``out``: ``bag/`` (rosbag2, MCAP), ``arrivals.csv`` (arrival time of each message, for latency),
``overlay.mp4`` and ``recording.json`` (messages received and lost, kept up to date while it records).
Messages are received serialized and written unchanged.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.task import Future
from sensor_msgs.msg import Image

from cmt_seg_ros.bags.writer import Arrival
from cmt_seg_ros.config import RecorderConfig
from cmt_seg_ros.ros.common import parameters
from cmt_seg_ros.ros.common.diagnostics import Throttle
from cmt_seg_ros.ros.common.namesakes import NamesakeWatch
from cmt_seg_ros.ros.common.process import logger_of, run
from cmt_seg_ros.ros.recorder.folder import RecordingFolder
from cmt_seg_ros.ros.recorder.thread import RecordingThread
from cmt_seg_ros.ros.recorder.topics import DEPTH, Topic, wanted

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

LOOK_S = 0.2
OVERLAYS = "tracking/overlay", "segmentation/overlay"


class RecorderNode(Node):
    """Recorder of the camera in whose namespace it runs; parameters: the fields of config.RecorderConfig.

    Where the disk is full it ends by itself: the bag keeps what is on disk, the rest is counted as failed.

    Attributes:
        finished: set to 1 when nothing more can be written.

    Raises:
        ConfigError: a parameter is not allowed.
        SourceError: the files cannot be created, or the folder already holds a recording.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("recorder_node", **kwargs)
        parameters.declare(self, RecorderConfig)
        config = parameters.load(self, RecorderConfig)
        self._topics = {self.resolve_topic_name(name): topic for name, topic in wanted(config).items()}
        self._throttle, self._early, self._filmed = Throttle(), deque[Arrival](), ""
        self._namesakes = NamesakeWatch(self)
        self._folder = RecordingFolder(Path(config.out), self._topics)
        self.finished: Future = Future()
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # not the node's clock: simulated time may stand still
        self.create_timer(LOOK_S, self._look_for_failure, clock=steady)
        self._thread = RecordingThread(self._write, self._folder.report, self._warn)
        for name, topic in self._topics.items():
            self._thread.count(name)
            self._subscribe(name, topic)
        if config.video:
            self._folder.open_video()
            self._overlay = self._film(OVERLAYS[0])
            self._check = self.create_timer(1.0, self._choose_overlay, clock=steady)
        self.get_logger().info(f"ready: recording {len(self._topics)} topics to {config.out}")

    def close(self) -> None:
        """Write what is queued and finish the files."""
        log = logger_of(self)
        self._release(0)
        thread = self._thread
        if not thread.close():
            log.error("not all messages could be written in time; the recording is incomplete")
            return
        self._folder.close(thread, log.error)
        log.info(f"recorded {thread.written} messages, lost {thread.lost}, failed {thread.failed}")

    def _look_for_failure(self) -> None:
        """End the recording when nothing more can be written."""
        if self._thread.failure and not self.finished.done():
            failed = self._thread.failed
            self.get_logger().error(f"the recording ends, {failed} messages are not in it: {self._thread.failure}")
            self.finished.set_result(1)

    def _subscribe(self, name: str, topic: Topic) -> Subscription:
        events = SubscriptionEventCallbacks(message_lost=partial(self._on_undelivered, name))
        receive = partial(self._on_message, name, topic.type_name)
        return self.create_subscription(topic.message, name, receive, topic.qos, event_callbacks=events, raw=True)

    def _film(self, name: str) -> Subscription | None:
        """Film this overlay; return None if it is recorded as well and arrives anyway."""
        self._filmed = self.resolve_topic_name(name)
        return None if self._filmed in self._topics else self._subscribe(self._filmed, Topic(Image))

    def _choose_overlay(self) -> None:
        """Film the segmentation's overlay if no tracker runs; decided once results arrive."""
        if not self._thread.written:
            return
        self.destroy_timer(self._check)
        if not self.count_publishers(self._filmed):
            if self._overlay is not None:
                self.destroy_subscription(self._overlay)
            self._overlay = self._film(OVERLAYS[1])

    def _on_message(self, topic: str, type_name: str, raw: bytes) -> None:
        now_ns = self.get_clock().now().nanoseconds
        arrival = Arrival(topic, type_name, now_ns, raw)
        if now_ns:
            self._release(now_ns)
            self._put(arrival)
        elif len(self._early) < DEPTH:
            # Simulated time has not begun. Latched messages may arrive this early; they are stamped once it has.
            self._early.append(arrival)
        else:
            self._thread.count(topic).overrun += 1

    def _release(self, now_ns: int) -> None:
        while self._early:
            self._put(replace(self._early.popleft(), received_ns=now_ns))

    def _put(self, arrival: Arrival) -> None:
        if not self._thread.put(arrival):
            why = "queue is full" if self._thread.alive else "the thread that writes has ended"
            self._warn(f"{arrival.topic}: {why}, {self._thread.lost} messages lost so far")

    def _on_undelivered(self, topic: str, event: Any) -> None:
        """Count the messages that ROS reports as sent to this subscription but not delivered."""
        self._thread.count(topic).undelivered = event.total_count
        self._warn(f"{topic}: {event.total_count} messages were sent but not delivered so far")

    def _write(self, arrival: Arrival) -> None:
        """Write one arrival to the files that need it; runs in the thread."""
        self._folder.write(arrival)
        if arrival.topic == self._filmed:
            self._folder.film(arrival)

    def _warn(self, text: str) -> None:
        """Log each kind of problem at intervals, not once per message."""
        if self._throttle.allows("recorder", text.split(":")[0]):
            logger_of(self).warning(text)


def main() -> int:
    """Run the node."""
    return run(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
