"""What segmentation_node says of itself once a second: /diagnostics, and the log when something changes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription

from cmt_seg_ros.ros.common import qos_check
from cmt_seg_ros.ros.common.cameras import CameraInput
from cmt_seg_ros.ros.common.diagnostics import STALE_AFTER_S, camera_status, diagnostic_array
from cmt_seg_ros.ros.segmentation.mask_publishers import MaskPublishers
from cmt_seg_ros.runtime.pipeline import Pipeline

PERIOD_S = 1.0


class SegmentationReport:
    """Reports between :meth:`begin` and :meth:`end`.

    Args:
        node: owns the publisher and the timer.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Not the node's clock: simulated time may stand still.
        self._timer = node.create_timer(PERIOD_S, self.report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._pipeline: Pipeline | None = None

    def begin(
        self,
        pipeline: Pipeline,
        cameras: Mapping[str, CameraInput],
        inputs: Mapping[str, Subscription],
        outputs: Mapping[str, MaskPublishers],
    ) -> None:
        """Report on these cameras, their image subscriptions and their result topics, all by camera name."""
        self._pipeline, self._cameras, self._inputs, self._outputs = pipeline, cameras, inputs, outputs
        self._device, self._said = pipeline.engine.device, set[str]()
        for camera in cameras.values():
            # While the node was inactive it did not listen: no camera was silent.
            camera.silent, camera.statistics.last_received_s = False, time.monotonic()

    def end(self) -> None:
        """Report no more."""
        self._pipeline = None

    def report(self) -> None:
        """Publish the state of every camera; log what is new."""
        if self._pipeline is None:
            return
        engine, config, now = self._pipeline.engine, self._pipeline.config, time.monotonic()
        extra = {
            "model": self._pipeline.package.name,
            "device": engine.device,
            "device_reason": engine.device_reason,
            "max_batch_size": str(config.max_batch_size),
            "num_requests": str(max(1, config.num_requests)),
        }
        name, stamp = self._node.get_fully_qualified_name(), self._node.get_clock().now().to_msg()
        statuses = [
            camera_status(name, camera, c.statistics, now, extra, self._issues(camera))
            for camera, c in self._cameras.items()
        ]
        self._publisher.publish(diagnostic_array(statuses, stamp))
        for camera in self._cameras.values():
            self._watch(camera, now)
        if engine.device != self._device:
            self._node.get_logger().warning(
                f"device is now {engine.device}, before {self._device} ({engine.device_reason})"
            )
            self._device = engine.device

    def _issues(self, camera: str) -> list[str]:
        """Who cannot be heard and who cannot hear; logged the first time."""
        found = qos_check.unreachable_publishers(self._node, self._inputs[camera])
        if any("QoS" in sentence for sentence in found):
            asked = self._cameras[camera].settings.image_reliability
            found.append(f"image_reliability is {asked}; with best_effort, and not lossless, all cameras are received")
        for publisher in self._outputs[camera].image_publishers:
            found += qos_check.unreachable_subscribers(self._node, publisher)
        for sentence in found:
            if sentence not in self._said:
                self._said.add(sentence)
                self._node.get_logger().error(f"camera {self._cameras[camera].label}: {sentence}")
        return found

    def _watch(self, camera: CameraInput, now: float) -> None:
        """Say once when a camera falls silent."""
        silent_s = now - camera.statistics.last_received_s
        if camera.silent or silent_s <= STALE_AFTER_S:
            return
        camera.silent = True
        log = self._node.get_logger()
        if camera.statistics.received:
            log.error(
                f"camera {camera.label}: no frame for {silent_s:.1f} s on {camera.settings.image_topic}; "
                "check the camera; the node goes on as soon as frames come"
            )
        else:
            topic = self._inputs[camera.settings.name].topic_name
            count = self._node.count_publishers(topic)
            log.warning(f"camera {camera.label}: no frame yet on {topic}, which has {count} publishers")
