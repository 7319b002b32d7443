"""segmentation_node: camera images in, semantic and objectness masks out.

The node only translates: messages to frames, masks to messages. The steps in between are in runtime/pipeline.py, which
bag replay and the command line use as well.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.errors import ConfigError, FrameError
from cmt_seg_ros.ros.common import parameters
from cmt_seg_ros.ros.common.cameras import CameraInput, declare_cameras, is_camera_parameter, load_cameras
from cmt_seg_ros.ros.common.images import frame_from_message
from cmt_seg_ros.ros.common.lifecycle import AutostartNode
from cmt_seg_ros.ros.common.process import run
from cmt_seg_ros.ros.segmentation.mask_publishers import MaskPublishers
from cmt_seg_ros.ros.segmentation.report import SegmentationReport
from cmt_seg_ros.runtime.batching import Batcher
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.runtime.runner import Runner
from cmt_seg_ros.structures import Frame, Segmentation


class SegmentationNode(AutostartNode):
    """Lifecycle node: configuring loads the model, activating subscribes to the cameras."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("segmentation_node", **kwargs)
        parameters.declare(self, SegmentationConfig)
        declare_cameras(self)
        self.config = SegmentationConfig()
        self._outputs: dict[str, MaskPublishers] = {}
        self._cameras: dict[str, CameraInput] = {}
        self._pipeline: Pipeline | None = None
        self._batcher: Batcher | None = None
        self._runner: Runner | None = None
        self._report = SegmentationReport(self)
        set_back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        follow = self._report.faults.guard("clock", self._on_clock_set)
        self._jumps = self.get_clock().create_jump_callback(set_back, post_callback=follow)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.autostart()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and compile the model; create the result topics."""
        result = self.guarded(self._configure)
        if result != TransitionCallbackReturn.SUCCESS:
            self._release()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras and start inferring."""
        result = self.guarded(self._activate)
        if result != TransitionCallbackReturn.SUCCESS:
            self._stop()
            return result
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; waiting frames are counted as dropped."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model and the result topics."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from any state."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop the threads before the node is destroyed."""
        self._stop()
        if self._pipeline is not None:
            self._pipeline.engine.close()

    def _release(self) -> None:
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
        # Lossless results are the same in every run only if the device does not change.
        pipeline = self._pipeline = Pipeline(self.config, not self._lossless, self.get_logger().warning)
        if pipeline.tuning:
            self.get_logger().info(pipeline.tuning)
        self._cameras = {settings.name: CameraInput(self, settings) for settings in cameras}
        for name, camera in self._cameras.items():
            topic = camera.settings.topic
            self._outputs[name] = MaskPublishers(self, topic, pipeline.package, self.config.score_threshold)
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
            is_ready=pipeline.engine.ready,
        )
        self._runner = Runner(pipeline, self._batcher, self._publish, self._refuse, on_fault=self._report.faults.note)
        receive = self._report.faults.guard("image", self._on_image)
        topics = [camera.subscribe(receive, self._lossless).topic_name for camera in self._cameras.values()]
        self._report.begin(pipeline, self._runner, self._cameras, self._outputs)
        self.get_logger().info(f"ready: listening to {', '.join(topics)}")

    def _stop(self) -> None:
        self._report.end()
        for camera in self._cameras.values():
            camera.unsubscribe()
        if self._runner is not None:
            self._runner.stop()
        self._runner = self._batcher = None

    # Frames

    @property
    def _lossless(self) -> bool:
        return self.config.drop_policy == "none"

    def _on_image(self, camera: CameraInput, message: Image | CompressedImage) -> None:
        camera.statistics.receive(time.monotonic())
        if camera.is_silent:
            camera.is_silent = False
            self.get_logger().info(f"camera {camera.label} sends again")
        try:
            frame = frame_from_message(message, camera.settings.name)
            if self._pipeline is None or self._batcher is None:
                raise FrameError("the node was deactivated meanwhile", "shutdown")
            frame = self._pipeline.check(frame)
            # After the checks: the stamp of an image that is none says nothing about the camera's clock.
            frame = replace(frame, stamp_ns=camera.stamps.fill(message.header))
            if masks := self._accept(camera, frame):
                self._batcher.put(frame, masks)
        except FrameError as error:
            self._report.refuse(camera, error)
        except Exception as error:  # of any kind: it must be counted
            self._report.refuse(camera, FrameError(f"{type(error).__name__}: {error}", "fault"))

    def _accept(self, camera: CameraInput, frame: Frame) -> tuple[str, ...]:
        """Return the masks that subscribers request now; none if the frame is dropped, which is counted."""
        masks = self._outputs[frame.camera].requested_masks()
        if not self.config.enable:
            camera.statistics.drop("disabled")
        elif not self._lossless and not masks:
            camera.statistics.drop("nobody_subscribes")
        elif not camera.take(frame.stamp_ns, self.config.max_fps):
            camera.statistics.drop("max_fps")
        else:
            return masks or ("class_ids",)
        return ()

    def _age_ms(self, frame: Frame) -> float:
        return (self.get_clock().now().nanoseconds - frame.stamp_ns) / 1e6

    def _is_late(self, frame: Frame) -> bool:
        limit_ms = self.config.max_age_ms
        if not limit_ms or (age_ms := self._age_ms(frame)) <= limit_ms:
            return False
        self._report.warn_late(self._cameras[frame.camera], age_ms, limit_ms)
        return True

    def _refuse(self, frame: Frame, error: FrameError) -> None:
        self._report.refuse(self._cameras[frame.camera], error)

    def _on_drop(self, frame: Frame, reason: str) -> None:
        self._cameras[frame.camera].statistics.drop(reason)

    def _publish(self, frame: Frame, result: Segmentation) -> None:
        camera = self._cameras[frame.camera]
        self._outputs[frame.camera].publish(frame, result, self.config.overlay_alpha, camera.info)
        camera.statistics.publish(self._age_ms(frame))

    # Clock and parameters

    def _on_clock_set(self, jump: TimeJump) -> None:
        """Accept stamps that go back: the clock did, as simulated time does when a bag starts again."""
        if self._batcher is not None:
            self._batcher.restart()
        for camera in self._cameras.values():
            camera.restart()
        self.get_logger().info(f"clock set by {jump.delta.nanoseconds / 1e9:.3f} s: stamps may begin again")

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Check and apply parameters that may change while running; refuse those read only when configuring."""
        fixed = parameters.fixed(SegmentationConfig)
        try:
            if self._pipeline is not None:
                parameters.refuse([p.name for p in changes if p.name in fixed or is_camera_parameter(p.name)])
            self.config = parameters.revise(self.config, changes)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def main() -> int:
    """Run the node."""
    return run(SegmentationNode)


if __name__ == "__main__":
    sys.exit(main())
