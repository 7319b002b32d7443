"""source_node: plays a clip or the synthetic street as a camera."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.bags.run_tables import Sent, SentTable
from cmt_seg_ros.config import LARGEST_IMAGE_PX, PlaybackSettings, SourceConfig
from cmt_seg_ros.errors import CmtSegError, FrameError
from cmt_seg_ros.ros.common import parameters, qos
from cmt_seg_ros.ros.common.images import NS, image_from_array, stamp_ns
from cmt_seg_ros.ros.common.namesakes import NamesakeWatch
from cmt_seg_ros.ros.common.process import logger_of, run
from cmt_seg_ros.ros.source.clip_clock import ClipClock
from cmt_seg_ros.ros.source.clip_frames import ClipFrame, clip_frames
from cmt_seg_ros.sources import open_source
from cmt_seg_ros.stamps import StampOrder

IN_FLIGHT = 2  # lossless: frames sent whose masks have not come back
MASK_TIMEOUT_S = 30.0
DELIVERY_TIMEOUT_S = 5.0
LISTENER_TIMEOUT_S = 30.0
SETTLE_S = 1.0


class SourceNode(Node):
    """Camera that publishes ``image_raw`` at the rate of the clip and, where known, its ground truth.

    Stamps are the time of sending (live) or, with ``keep_stamps`` or ``clock``, those of the clip. The process ends
    with the clip, unless it loops.

    Attributes:
        finished: set to 0 at the end of the clip, to 1 when it cannot be played.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("source_node", **kwargs)
        parameters.declare(self, SourceConfig)
        parameters.declare(self, PlaybackSettings)
        self.finished: Future = Future()
        self._config = parameters.load(self, SourceConfig)
        self._playback = parameters.load(self, PlaybackSettings)
        self._source = open_source(self._config, max_image_px=LARGEST_IMAGE_PX)
        self._lossless = self._config.drop_policy == "none"
        self._keep_stamps = self._config.clock or self._playback.keep_stamps
        self._clip_clock: ClipClock | None = None
        self._sent = SentTable(Path(self._config.sent_file)) if self._config.sent_file else None
        self._image = self.create_publisher(Image, "image_raw", qos.RESULT)
        self._truth = self.create_publisher(Image, "truth/class_ids", qos.RESULT)
        self._instances = self.create_publisher(Image, "truth/instances", qos.RESULT)
        self._changed = threading.Condition()
        self._in_flight: list[int] = []  # stamps; those of a clip may repeat
        # The rule of segmentation_node: it refuses frames that are out of order, so no mask of them is due.
        self._order = StampOrder()
        self._closed = False
        if self._lossless:
            self._masks = self.create_subscription(Image, "segmentation/mask", self._on_mask, qos.LOSSLESS)
        rate = f"{self._source.fps:g} frames/s"
        self.get_logger().info(f"ready: {len(self._source)} frames of {self._source.name} at {rate}")
        self._namesakes = NamesakeWatch(self)
        self._player = threading.Thread(target=self._play, name="player", daemon=True)
        self._player.start()

    def close(self) -> None:
        """Stop playing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._player.join(timeout=5.0)
        if self._clip_clock is not None:
            self._clip_clock.close()
        if self._sent is not None:
            self._sent.close()

    def _play(self) -> None:
        status = 1
        try:
            frames = clip_frames(self._source, self._config.loop)
            first = next(frames, None)
            if first is not None and self._config.clock:  # it stands until the first frame is sent
                self._clip_clock = ClipClock(self, self._config.rate, first.frame.stamp_ns)
            if self._playback.wait_for_listener:
                self._wait_for_listener()
            sent = 0 if first is None else self._send_all(first, frames)
            self._wait_for_masks(0)
            if not self._closed:  # else the subscribers may be ending, too, and never answer
                self._image.wait_for_all_acked(Duration(seconds=DELIVERY_TIMEOUT_S))
            if self._clip_clock is not None:  # other nodes still need this time for the last frames
                self._wait_until(lambda: False, SETTLE_S)
            logger_of(self).info(f"finished: {sent} frames sent")
            status = 0
        except CmtSegError as error:
            logger_of(self).fatal(str(error))
        except Exception as error:  # a thread that dies silently would leave the process waiting
            if self.context.ok():
                self.get_logger().fatal(f"playing stopped: {error!r}")
        finally:
            self.finished.set_result(status)

    def _send_all(self, first: ClipFrame, rest: Iterator[ClipFrame]) -> int:
        """Send every frame when it is due (lossless: when there is room); return how many."""
        # The time starts when the first frame has been read, so that no frame is late.
        sent, due = 0, time.monotonic()
        for item in chain([first], rest):
            if self._lossless:
                self._run_clock(item.step_ns)  # and no further: this frame has not been sent yet
                self._wait_for_masks(IN_FLIGHT - 1)
            else:
                self._run_clock(None)
                due += item.step_ns / NS / self._config.rate
                self._wait_until(lambda: False, due - time.monotonic())
            if self._closed:
                break
            self._report_jump(item)
            self._send(item)
            sent += 1
        self._run_clock(None)  # the last results are still being computed
        return sent

    def _run_clock(self, step_ns: int | None) -> None:
        if self._clip_clock is not None:
            self._clip_clock.run_on(step_ns)

    def _report_jump(self, item: ClipFrame) -> None:
        if item.jump_ns is not None:
            what = f"the stamp of frame {item.index} is {item.jump_ns / NS:.3f} s after that of the frame before"
            counts = f"such a step counts as {item.step_ns / NS:.3f} s"
            self.get_logger().warning(f"{what}; {counts} (said once)", once=True)

    def _send(self, item: ClipFrame) -> None:
        frame = item.frame
        if self._clip_clock is not None:
            self._clip_clock.reach(frame.stamp_ns)
        now = self.get_clock().now().nanoseconds
        stamp = frame.stamp_ns if self._keep_stamps else now
        header = Header(frame_id=frame.frame_id or "camera_optical_frame")
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, NS)
        with self._changed:
            if self._lossless and self._is_in_order(stamp):
                self._in_flight.append(stamp)
        if self._sent is not None:
            self._sent.add(Sent(item.index, item.clip_stamp_ns, stamp, now))
        # Image last: a subscriber that waits for it has the ground truth already.
        if frame.truth is not None and frame.truth.class_ids is not None:
            self._truth.publish(image_from_array(frame.truth.class_ids, "mono8", header))
        if frame.truth is not None and frame.truth.instance_ids is not None:
            self._instances.publish(image_from_array(frame.truth.instance_ids, "mono16", header))
        self._image.publish(image_from_array(frame.pixels, frame.encoding, header))

    def _is_in_order(self, stamp: int) -> bool:
        """Record the stamp of a frame, ns; return False if segmentation_node refuses it."""
        try:
            self._order.accept(stamp)
        except FrameError:
            return False
        return True

    def _on_mask(self, message: Image) -> None:
        with self._changed:
            if (stamp := stamp_ns(message.header)) in self._in_flight:
                self._in_flight.remove(stamp)
            self._changed.notify_all()

    def _wait_for_masks(self, missing: int) -> None:
        """Wait, if lossless, until the masks of all but ``missing`` frames have arrived."""
        came = self._wait_until(lambda: len(self._in_flight) <= missing, MASK_TIMEOUT_S)
        if not came and not self._closed:
            waited = f"no mask came back for {len(self._in_flight)} frames within {MASK_TIMEOUT_S:g} s"
            raise CmtSegError(f"{waited}; is segmentation_node running, with drop_policy none, in this namespace?")

    def _wait_for_listener(self) -> None:
        """Wait for a subscriber: discovery takes a moment, and the first frames would be lost."""
        if not self._wait_until(self._has_listener, LISTENER_TIMEOUT_S) and not self._closed:
            self.get_logger().warning(f"nobody subscribed to image_raw within {LISTENER_TIMEOUT_S:g} s; playing anyway")
        # Other subscribers, such as a recorder of the ground truth, are discovered in the next moment.
        self._wait_until(lambda: False, SETTLE_S)

    def _has_listener(self) -> bool:
        """Return True once the images have a subscriber and, if lossless, the masks a publisher."""
        masks = self.count_publishers(self._masks.topic_name) if self._lossless else 1
        return self._image.get_subscription_count() > 0 and masks > 0

    def _wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Return True once the condition holds, False after the timeout or when closed; check it every 20 ms."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._closed:
                if condition():
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.02))
        return False


def main() -> int:
    """Run the node."""
    return run(SourceNode)


if __name__ == "__main__":
    sys.exit(main())
