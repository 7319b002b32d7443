"""segmentation_node: camera images in, semantic and objectness masks out.

The node only translates: messages to frames, masks to messages. What happens in between is
runtime/pipeline.py, which bag replay and the command line use as well.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, FrameError
from cmt_seg_ros.ros.common import parameters, qos
from cmt_seg_ros.ros.common.cameras import CameraInput, declare_cameras, is_camera_parameter, load_cameras
from cmt_seg_ros.ros.common.images import frame_from_message
from cmt_seg_ros.ros.common.lifecycle import AutostartNode
from cmt_seg_ros.ros.common.process import run
from cmt_seg_ros.ros.common.throttle import Throttle
from cmt_seg_ros.ros.segmentation.mask_publishers import MaskPublishers
from cmt_seg_ros.ros.segmentation.report import SegmentationReport
from cmt_seg_ros.runtime.batching import Batcher
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.runtime.runner import Runner
from cmt_seg_ros.structures import Frame, Segmentation

CHANGEABLE = ("enable", "overlay_alpha", "max_fps", "max_age_ms")


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
        self._inputs: dict[str, Subscription] = {}
        self._infos: list[Subscription] = []
        self._pipeline: Pipeline | None = None
        self._batcher: Batcher | None = None
        self._runner: Runner | None = None
        self._report = SegmentationReport(self)
        set_back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self._jumps = self.get_clock().create_jump_callback(set_back, post_callback=self._on_clock_set)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.autostart()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and compile the model; create the result topics."""
        result = self.guarded(self._configure)
        if result != TransitionCallbackReturn.SUCCESS:
            self._give_up()
        return result

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
        self._give_up()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from any state."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop what runs in threads before the node is destroyed."""
        self._stop()
        if self._pipeline is not None:
            self._pipeline.engine.close()

    def _give_up(self) -> None:
        for publishers in self._outputs.values():
            publishers.destroy()
        self._outputs.clear()
        self._cameras.clear()
        if self._pipeline is not None:
            self._pipeline.engine.close()
        self._pipeline = None

    def _configure(self) -> None:
        self.config = parameters.load(self, SegmentationConfig)
        cameras = load_cameras(self)
        if self.config.autotune:
            self.get_logger().info("autotune: measuring, unless it was measured before")
        # Lossless results are the same in every run only on a device that is not changed under way.
        pipeline = self._pipeline = Pipeline(self.config, live=not self._lossless)
        if pipeline.tuning:
            self.get_logger().info(pipeline.tuning)
        self._cameras = {settings.name: CameraInput(settings) for settings in cameras}
        for name, camera in self._cameras.items():
            topic, model = camera.settings.topic, pipeline.package.name
            self._outputs[name] = MaskPublishers(self, topic, pipeline.labels, model, self.config.score_threshold)
        engine = pipeline.engine
        if not engine.cached:
            self.get_logger().warning("cache_dir cannot be written: every start compiles the network anew")
        self.get_logger().info(
            f"model {pipeline.package.name} with {len(pipeline.labels)} classes on {engine.device} "
            f"({engine.device_reason})"
        )

    def _activate(self) -> None:
        assert self._pipeline is not None  # a lifecycle node is configured first
        pipeline, config = self._pipeline, self._pipeline.config
        self._batcher = Batcher(
            config.max_batch_size,
            config.max_wait_ms / 1e3,
            self._lossless,
            self._on_drop,
            is_late=self._is_late,
            is_ready=lambda frame: self._lossless or pipeline.ready(frame, self._wanted(frame.camera)),
        )
        self._runner = Runner(pipeline, self._batcher, self._publish, self._refuse, self._wanted)
        for camera in self._cameras.values():
            self._subscribe(camera)
        self._report.begin(pipeline, self._cameras, self._inputs, self._outputs)
        topics = ", ".join(s.topic_name for s in self._inputs.values())
        self.get_logger().info(f"ready: listening to {topics}")

    def _subscribe(self, camera: CameraInput) -> None:
        settings = camera.settings
        compressed = settings.transport == "compressed"
        kind = CompressedImage if compressed else Image
        topic = f"{settings.image_topic}/compressed" if compressed else settings.image_topic
        profile = qos.camera(settings.image_reliability, self._lossless)
        folder, slash, _ = settings.image_topic.rpartition("/")
        info_topic = f"{folder}{slash}camera_info"  # beside the images, as camera drivers have it
        self._inputs[settings.name] = self.create_subscription(kind, topic, partial(self._on_image, camera), profile)
        on_info = partial(self._on_camera_info, camera)
        self._infos.append(self.create_subscription(CameraInfo, info_topic, on_info, qos.CAMERA))

    def _stop(self) -> None:
        self._report.end()
        for subscription in (*self._inputs.values(), *self._infos):
            self.destroy_subscription(subscription)
        self._inputs.clear()
        self._infos.clear()
        if self._runner is not None:
            self._runner.stop()
        self._runner = self._batcher = None

    # Frames

    @property
    def _lossless(self) -> bool:
        return self.config.drop_policy == "none"

    def _on_camera_info(self, camera: CameraInput, message: CameraInfo) -> None:
        camera.info = message

    def _on_image(self, camera: CameraInput, message: Image | CompressedImage) -> None:
        camera.statistics.receive(time.monotonic())
        if camera.silent:
            camera.silent = False
            self.get_logger().info(f"camera {camera.label} sends again")
        try:
            frame = frame_from_message(message, camera.settings.name)
            if self._pipeline is None or self._batcher is None:
                raise FrameError("the node was deactivated meanwhile", "shutdown")
            self._pipeline.check(frame)
            if self._taken(camera, frame):
                self._batcher.put(frame)
        except FrameError as error:
            self._refuse_of(camera, error)

    def _taken(self, camera: CameraInput, frame: Frame) -> bool:
        """False while disabled, while nobody subscribes, and for frames above max_fps; counted either way."""
        if not self.config.enable:
            camera.statistics.drop("disabled")
            return False
        camera.wanted = self._outputs[frame.camera].wanted()
        if not self._lossless and not camera.wanted:
            camera.statistics.drop("nobody_subscribes")
            return False
        last, max_fps = camera.last_taken_ns, self.config.max_fps
        # A tenth of a period of slack, so that 30 Hz with jitter passes as 30 Hz.
        if max_fps > 0 and last is not None and 0 < frame.stamp_ns - last < 0.9e9 / max_fps:
            camera.statistics.drop("max_fps")
            return False
        camera.last_taken_ns = frame.stamp_ns
        return True

    def _wanted(self, camera: str) -> tuple[str, ...]:
        """What to compute for a frame that is inferred, as of when it was received."""
        return self._cameras[camera].wanted or ("class_ids",)

    def _age_ms(self, frame: Frame) -> float:
        return (self.get_clock().now().nanoseconds - frame.stamp_ns) / 1e6

    def _is_late(self, frame: Frame) -> bool:
        limit_ms = self.config.max_age_ms
        if not limit_ms or (age_ms := self._age_ms(frame)) <= limit_ms:
            return False
        if self._throttle.allows(frame.camera, "too_old"):
            self.get_logger().warning(
                f"camera {self._cameras[frame.camera].label}: a frame is {age_ms:.0f} ms old, max_age_ms allows "
                f"{limit_ms:g}; is the machine overloaded, the camera's clock wrong, or (a bag) use_sim_time not set?"
            )
        return True

    def _refuse(self, frame: Frame, error: FrameError) -> None:
        self._refuse_of(self._cameras[frame.camera], error)

    def _refuse_of(self, camera: CameraInput, error: FrameError) -> None:
        camera.statistics.drop(error.reason)
        # After Ctrl-C nothing can be published any more; that is no news.
        if self.context.ok() and self._throttle.allows(camera.settings.name, error.reason):
            log = self.get_logger()
            say = log.info if error.reason == "compiling" else log.error
            say(f"camera {camera.label}: frame refused: {error}")

    def _on_drop(self, frame: Frame, reason: str) -> None:
        self._cameras[frame.camera].statistics.drop(reason)

    def _publish(self, frame: Frame, result: Segmentation) -> None:
        camera = self._cameras[frame.camera]
        self._outputs[frame.camera].publish(frame, result, self.config.overlay_alpha, camera.info)
        camera.statistics.publish(self._age_ms(frame))

    # Clock and parameters

    def _on_clock_set(self, jump: TimeJump) -> None:
        """The clock went back, as simulated time does when a bag begins again: so may the stamps."""
        if self._batcher is not None:
            self._batcher.restart()
        for camera in self._cameras.values():
            camera.last_taken_ns = None
            camera.statistics.forget_ages()
        self.get_logger().info(f"clock set by {jump.delta.nanoseconds / 1e9:.3f} s: stamps may begin again")

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Take what may change while running, checked; refuse what is read only when configuring."""
        ours = {*SegmentationConfig.__dataclass_fields__} - {*CHANGEABLE}
        try:
            if self._pipeline is not None:
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
