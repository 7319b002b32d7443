"""SegmentationReport: /diagnostics of segmentation_node once a second, and its log lines about cameras and device."""

from __future__ import annotations

import time
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.ros.common import qos_check
from cmt_seg_ros.ros.common.cameras import CameraInput, image_issues
from cmt_seg_ros.ros.common.diagnostics import STALE_AFTER_S, Throttle, camera_status, diagnostic_array
from cmt_seg_ros.ros.common.faults import Faults
from cmt_seg_ros.ros.common.namesakes import NamesakeWatch
from cmt_seg_ros.ros.segmentation.mask_publishers import MaskPublishers
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.runtime.runner import Runner

PERIOD_S = 1.0
LONG_INFERENCE_S = 2.0


class SegmentationReport:
    """Reports the state of the cameras between :meth:`begin` and :meth:`end`.

    Args:
        node: owns the publisher and the timer.

    Attributes:
        faults: of the node.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node, self._throttle, self.faults = node, Throttle(), Faults(node)
        self._namesakes = NamesakeWatch(node)
        self._last_refusal: dict[str, tuple[int, str]] = {}  # by camera: results before it, and what it said
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Not the node's clock: simulated time may stand still.
        report = self.faults.guard("report", self.report)
        self._timer = node.create_timer(PERIOD_S, report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._pipeline: Pipeline | None = None

    def begin(
        self,
        pipeline: Pipeline,
        runner: Runner,
        cameras: Mapping[str, CameraInput],
        outputs: Mapping[str, MaskPublishers],
    ) -> None:
        """Start to report on these cameras and their result topics, by camera name."""
        self._pipeline, self._runner, self._cameras, self._outputs = pipeline, runner, cameras, outputs
        self._device, self._said = pipeline.engine.device, set[str]()
        for camera in cameras.values():
            # While the node was inactive it did not listen: no camera was silent.
            camera.is_silent, camera.statistics.last_received_s = False, time.monotonic()

    def end(self) -> None:
        """Stop reporting."""
        self._pipeline = None

    def report(self) -> None:
        """Publish the state of every camera; log what has changed."""
        if self._pipeline is None:
            return
        engine, config, now = self._pipeline.engine, self._pipeline.config, time.monotonic()
        extra = {
            "model": self._pipeline.package.name,
            "device": engine.device,
            "device_reason": engine.device_reason,
            "max_batch_size": str(config.max_batch_size),
            "num_requests": str(max(1, config.num_requests)),
            "faults": str(self.faults.count),
        }
        name, stamp = self._node.get_fully_qualified_name(), self._node.get_clock().now().to_msg()
        warnings = self._namesakes.warnings() + self.faults.news()
        statuses = [
            camera_status(
                name, camera, c.statistics, now, extra | self._more(camera), self._issues(c), warnings, self._why(c)
            )
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

    def refuse(self, camera: CameraInput, error: FrameError) -> None:
        """Count a frame that was refused, and say why: once in a while for each camera and reason."""
        camera.statistics.drop(error.reason)
        self._last_refusal[camera.settings.name] = camera.statistics.inferred, str(error)
        # After Ctrl-C nothing can be published any more; that is expected.
        if not self._node.context.ok() or not self._throttle.allows(camera.settings.name, error.reason):
            return
        sentence = f"camera {camera.label}: frame refused: {error}"
        if error.reason == "compiling":
            self._node.get_logger().info(sentence)
        else:  # a call of its own: rclpy allows one severity for each place that logs
            self._node.get_logger().error(sentence)

    def warn_late(self, camera: CameraInput, age_ms: float, limit_ms: float) -> None:
        """Say once in a while that a frame is older than allowed; ages in ms."""
        if self._throttle.allows(camera.settings.name, "too_old"):
            self._node.get_logger().warning(
                f"camera {camera.label}: a frame is {age_ms:.0f} ms old, max_age_ms allows {limit_ms:g}; is the "
                "machine overloaded, the camera's clock wrong, or (a bag) use_sim_time not set?"
            )

    def _more(self, camera: str) -> dict[str, str]:
        """Return numbers that only some models have."""
        objects = self._outputs[camera].objects
        return {"instances_without_number": str(objects.instances_without_number)} if objects.panoptic else {}

    def _why(self, camera: CameraInput) -> str:
        """Return why frames of a camera are not answered, should they not be."""
        assert self._pipeline is not None
        engine, running_s = self._pipeline.engine, self._runner.busy_s()
        reasons = []
        if compiling := engine.compiling():
            reasons.append(f"the network is being compiled for an input of {compiling}")
        if running_s > LONG_INFERENCE_S:
            reasons.append(f"{engine.device} has been busy with one inference for {running_s:.0f} s")
        inferred, refusal = self._last_refusal.get(camera.settings.name, (0, ""))
        if refusal and inferred == camera.statistics.inferred:
            reasons.append(f"the last refused: {refusal}")
        return "; ".join(reasons)

    def _issues(self, camera: CameraInput) -> list[str]:
        """Return a sentence for each publisher and subscriber that cannot be reached; log those that are new."""
        found = [] if camera.images is None else image_issues(self._node, camera.settings, camera.images)
        for publisher in self._outputs[camera.settings.name].image_publishers:
            found += qos_check.unreachable_subscribers(self._node, publisher)
        if gone := self._runner.gone:
            found.append(f"{gone} inference threads have ended; deactivate and activate the node, and report it")
        for sentence in found:
            if sentence not in self._said:
                self._said.add(sentence)
                self._node.get_logger().error(f"camera {camera.label}: {sentence}")
        return found

    def _watch(self, camera: CameraInput, now: float) -> None:
        """Log once when a camera falls silent; ``now``: monotonic seconds."""
        silent_s = now - camera.statistics.last_received_s
        if camera.is_silent or silent_s <= STALE_AFTER_S:
            return
        camera.is_silent = True
        log = self._node.get_logger()
        if camera.statistics.received:
            log.error(
                f"camera {camera.label}: no frame for {silent_s:.1f} s on {camera.settings.image_topic}; "
                "check the camera; the node goes on as soon as frames come"
            )
        elif camera.images is not None:
            topic = camera.images.topic_name
            count = self._node.count_publishers(topic)
            log.warning(f"camera {camera.label}: no frame yet on {topic}, which has {count} publishers")
