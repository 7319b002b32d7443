"""segmentation_node: camera images in, semantic and objectness masks out.

The node only translates: messages to frames, masks to messages. What happens in between is
runtime/pipeline.py, which bag replay and the command line use as well.
"""

from __future__ import annotations

import sys
import threading
import time
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, FrameError
from cmt_seg_ros.ros import parameters, qos
from cmt_seg_ros.ros.autostart import AutostartNode
from cmt_seg_ros.ros.camera_input import CameraInput, declare_cameras, is_camera_parameter, load_cameras
from cmt_seg_ros.ros.diagnostics import STALE_AFTER_S, camera_status, diagnostic_array
from cmt_seg_ros.ros.images import frame_from_compressed, frame_from_image
from cmt_seg_ros.ros.mask_publishers import MaskPublishers
from cmt_seg_ros.ros.process import run
from cmt_seg_ros.ros.throttle import Throttle
from cmt_seg_ros.runtime.batching import Batcher
from cmt_seg_ros.runtime.pipeline import Pipeline, check_frame
from cmt_seg_ros.structures import Frame, Segmentation

CHANGEABLE = ("enable", "overlay_alpha", "max_fps")


class SegmentationNode(AutostartNode):
    """Lifecycle node: configure loads the model, activate subscribes to the cameras."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("segmentation_node", **kwargs)
        parameters.declare(self, SegmentationConfig, CHANGEABLE)
        declare_cameras(self)
        self.config = SegmentationConfig()
        self._throttle = Throttle()
        self._outputs: dict[str, MaskPublishers] = {}
        self._cameras: dict[str, CameraInput] = {}
        self._inputs: list[Subscription] = []
        self._worker: threading.Thread | None = None
        self._batcher: Batcher | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = self.create_timer(1.0, self._report)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.autostart()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and compile the model; create the result topics."""
        return self.guarded(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras and start inferring."""
        result = self.guarded(self._activate)
        if result != TransitionCallbackReturn.SUCCESS:
            self._stop()
            return result
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; frames that wait are counted as dropped."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give up the model and the result topics."""
        for publishers in self._outputs.values():
            publishers.destroy()
        self._outputs.clear()
        self._cameras.clear()
        del self._pipeline
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from any state."""
        self._stop()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop the worker before the node is destroyed."""
        self._stop()

    def _configure(self) -> None:
        self.config = parameters.load(self, SegmentationConfig)
        cameras = load_cameras(self)
        self._pipeline = Pipeline(self.config)
        self._cameras = {settings.name: CameraInput(settings) for settings in cameras}
        for name, camera in self._cameras.items():
            topic = camera.settings.topic
            self._outputs[name] = MaskPublishers(
                self, topic, self._pipeline.labels, self._pipeline.package.name, self.config.score_threshold
            )
        engine = self._pipeline.engine
        self.get_logger().info(
            f"model {self._pipeline.package.name} with {len(self._pipeline.labels)} classes on {engine.device} "
            f"({engine.device_reason})"
        )

    def _activate(self) -> None:
        lossless = self.config.drop_policy == "none"
        wait_s = self.config.max_wait_ms / 1e3
        self._batcher = Batcher(self.config.max_batch_size, wait_s, lossless, self._on_drop)
        self._worker = threading.Thread(target=self._work, args=(self._batcher,), name="inference", daemon=True)
        self._worker.start()
        for camera in self._cameras.values():
            # While the node was inactive it did not listen: no camera was silent.
            camera.silent, camera.statistics.last_received_s = False, time.monotonic()
            self._subscribe(camera, lossless)
        topics = ", ".join(s.topic_name for s in self._inputs[::2])
        self.get_logger().info(f"ready: listening to {topics}")

    def _subscribe(self, camera: CameraInput, lossless: bool) -> None:
        settings = camera.settings
        compressed = settings.transport == "compressed"
        kind = CompressedImage if compressed else Image
        topic = f"{settings.image_topic}/compressed" if compressed else settings.image_topic
        profile = qos.camera(settings.image_reliability, lossless)
        folder, slash, _ = settings.image_topic.rpartition("/")
        info_topic = f"{folder}{slash}camera_info"  # beside the images, as camera drivers have it
        self._inputs += [
            self.create_subscription(kind, topic, partial(self._on_image, camera), profile),
            self.create_subscription(CameraInfo, info_topic, partial(self._on_camera_info, camera), qos.CAMERA),
        ]

    def _stop(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs.clear()
        batcher, worker = self._batcher, self._worker
        self._batcher = self._worker = None  # what the worker looks at
        if batcher is not None:
            batcher.close()
        if worker is not None:
            worker.join(timeout=10.0)

    # Frames

    def _on_camera_info(self, camera: CameraInput, message: CameraInfo) -> None:
        camera.info = message

    def _on_image(self, camera: CameraInput, message: Image | CompressedImage) -> None:
        camera.statistics.receive(time.monotonic())
        if camera.silent:
            camera.silent = False
            self.get_logger().info(f"camera {self._label(camera)} sends again")
        try:
            compressed = isinstance(message, CompressedImage)
            frame = (frame_from_compressed if compressed else frame_from_image)(message, camera.settings.name)
            check_frame(frame, self.config.max_image_px)
            if self._wanted(camera, frame) and self._batcher is not None:
                self._batcher.put(frame)
        except FrameError as error:
            self._refuse(camera, error)

    def _wanted(self, camera: CameraInput, frame: Frame) -> bool:
        """False while disabled and for frames above max_fps; counted either way."""
        if not self.config.enable:
            camera.statistics.drop("disabled")
            return False
        last, max_fps = camera.last_taken_ns, self.config.max_fps
        # A tenth of a period of slack, so that 30 Hz with jitter passes as 30 Hz.
        if max_fps > 0 and last is not None and 0 < frame.stamp_ns - last < 0.9e9 / max_fps:
            camera.statistics.drop("max_fps")
            return False
        camera.last_taken_ns = frame.stamp_ns
        return True

    def _refuse(self, camera: CameraInput, error: FrameError) -> None:
        camera.statistics.drop(error.reason)
        if self._throttle.allows(camera.settings.name, error.reason):
            self.get_logger().error(f"camera {self._label(camera)}: frame refused: {error}")

    def _on_drop(self, frame: Frame, reason: str) -> None:
        self._cameras[frame.camera].statistics.drop(reason)

    def _work(self, batcher: Batcher) -> None:
        """Infer batch after batch, in a thread of its own, so that receiving never waits for it."""
        while self._batcher is batcher:
            frames = batcher.get(timeout_s=0.1)
            try:
                results = self._pipeline.process(frames) if frames else []
            except Exception as error:  # a thread that dies silently would leave the node deaf
                for frame in frames:
                    self._refuse(self._cameras[frame.camera], FrameError(f"inference failed: {error}", "inference"))
                continue
            for frame, result in zip(frames, results, strict=True):
                self._publish(frame, result)

    def _publish(self, frame: Frame, result: Segmentation) -> None:
        camera = self._cameras[frame.camera]
        try:
            self._outputs[frame.camera].publish(frame, result, self.config.overlay_alpha, camera.info)
        except Exception as error:  # the middleware refuses now and then when flooded
            self._refuse(camera, FrameError(f"masks could not be published: {error}", "publish"))
            return
        camera.statistics.publish((self.get_clock().now().nanoseconds - frame.stamp_ns) / 1e6)

    # Diagnostics and parameters

    def _report(self) -> None:
        if self._worker is None:
            return
        engine, now = self._pipeline.engine, time.monotonic()
        extra = {
            "model": self._pipeline.package.name,
            "device": engine.device,
            "device_reason": engine.device_reason,
        }
        statuses = [
            camera_status(self.get_fully_qualified_name(), name, camera.statistics, now, extra)
            for name, camera in self._cameras.items()
        ]
        self._diagnostics.publish(diagnostic_array(statuses, self.get_clock().now().to_msg()))
        for camera in self._cameras.values():
            self._watch(camera, now)

    def _watch(self, camera: CameraInput, now: float) -> None:
        """Say once when a camera falls silent."""
        silent_s = now - camera.statistics.last_received_s
        if camera.statistics.received and not camera.silent and silent_s > STALE_AFTER_S:
            camera.silent = True
            self.get_logger().error(
                f"camera {self._label(camera)}: no frame for {silent_s:.1f} s on {camera.settings.image_topic}; "
                "check the camera; the node goes on as soon as frames come"
            )

    def _label(self, camera: CameraInput) -> str:
        return camera.settings.name or camera.settings.image_topic

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Take what may change while running, checked; refuse what is read only when configuring."""
        ours = {*SegmentationConfig.__dataclass_fields__} - {*CHANGEABLE}
        try:
            if self._worker is not None:
                parameters.refuse([p.name for p in changes if p.name in ours or is_camera_parameter(p.name)])
            self.config = parameters.revise(self.config, changes)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def main() -> int:
    """Run the node."""
    return run(SegmentationNode)


if __name__ == "__main__":
    sys.exit(main())
