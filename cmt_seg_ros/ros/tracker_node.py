"""tracker_node: semantic and objectness masks in, objects with stable ids out."""

from __future__ import annotations

import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from cmt_seg_ros.config import TrackerConfig
from cmt_seg_ros.errors import CmtSegError, ConfigError
from cmt_seg_ros.ros import parameters
from cmt_seg_ros.ros.autostart import AutostartNode
from cmt_seg_ros.ros.camera_input import declare_cameras, is_camera_parameter, load_cameras
from cmt_seg_ros.ros.camera_tracking import CameraTracking
from cmt_seg_ros.ros.diagnostics import camera_status, diagnostic_array
from cmt_seg_ros.ros.process import run
from cmt_seg_ros.ros.throttle import Throttle


class TrackerNode(AutostartNode):
    """Lifecycle node: one tracker a camera; works with masks of any publisher that uses the topic names."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("tracker_node", **kwargs)
        parameters.declare(self, TrackerConfig)
        self.declare_parameter("overlay_alpha", 0.35, ParameterDescriptor(dynamic_typing=True))
        declare_cameras(self)
        self._throttle = Throttle()
        self._cameras: dict[str, CameraTracking] = {}
        self._active = False
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._slow_timer = self.create_timer(1.0, self._report)
        self._fast_timer = self.create_timer(0.2, self._look_after_overlays)
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.autostart()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters; create the result topics."""
        return self.guarded(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the masks."""
        super().on_activate(state)
        for tracking in self._cameras.values():
            tracking.start()
        self._active = True
        self.get_logger().info(f"ready: tracking {len(self._cameras)} camera(s)")
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and forget all tracks."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give up the result topics."""
        for tracking in self._cameras.values():
            tracking.destroy()
        self._cameras.clear()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from any state."""
        self._stop()
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        config = parameters.load(self, TrackerConfig)
        alpha = _alpha(self.get_parameter("overlay_alpha").value)
        for camera in load_cameras(self):
            topic = camera.image_topic
            self._cameras[camera.name] = CameraTracking(self, camera.name, topic, config, alpha, self._on_error)

    def _stop(self) -> None:
        if self._active:
            for tracking in self._cameras.values():
                tracking.stop()
        self._active = False

    def _on_error(self, camera: str, error: CmtSegError) -> None:
        if self._throttle.allows(camera, getattr(error, "reason", type(error).__name__)):
            self.get_logger().error(f"camera {camera or '(only one)'}: masks refused: {error}")

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        for tracking in self._cameras.values():
            tracking.reset()
        response.success, response.message = True, f"tracks of {len(self._cameras)} camera(s) forgotten; ids go on"
        return response

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """All is read when the node configures: refuse changes while active, and wrong values at any time."""
        ours = {*TrackerConfig.__dataclass_fields__, "overlay_alpha"}
        try:
            if self._active:
                parameters.refuse([p.name for p in changes if p.name in ours or is_camera_parameter(p.name)])
            parameters.revise(TrackerConfig(), changes)
            for change in changes:
                if change.name == "overlay_alpha":
                    _alpha(change.value)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _look_after_overlays(self) -> None:
        if self._active:
            for tracking in self._cameras.values():
                tracking.look_after_overlay()

    def _report(self) -> None:
        if not self._active:
            return
        name, now = self.get_fully_qualified_name(), time.monotonic()
        statuses = [camera_status(name, c, t.statistics, now, t.counts()) for c, t in self._cameras.items()]
        self._diagnostics.publish(diagnostic_array(statuses, self.get_clock().now().to_msg()))


def _alpha(value: object) -> float:
    alpha = parameters.convert("overlay_alpha", value, float)
    if not isinstance(alpha, float) or not 0 <= alpha <= 1:
        raise ConfigError(f"overlay_alpha is {alpha}; it must be a number from 0 to 1")
    return alpha


def main() -> int:
    """Run the node."""
    return run(TrackerNode)


if __name__ == "__main__":
    sys.exit(main())
