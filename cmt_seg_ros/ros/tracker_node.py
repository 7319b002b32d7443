"""tracker_node: tracks the objects in semantic and objectness masks and publishes them with stable ids."""

from __future__ import annotations

import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from cmt_seg_ros.config import TrackerConfig, TrackingSettings
from cmt_seg_ros.errors import CmtSegError, ConfigError
from cmt_seg_ros.ros.common import parameters
from cmt_seg_ros.ros.common.cameras import declare_cameras, is_camera_parameter, load_cameras
from cmt_seg_ros.ros.common.diagnostics import Throttle, camera_status, diagnostic_array
from cmt_seg_ros.ros.common.faults import Faults
from cmt_seg_ros.ros.common.lifecycle import AutostartNode
from cmt_seg_ros.ros.common.namesakes import NamesakeWatch
from cmt_seg_ros.ros.common.process import run
from cmt_seg_ros.ros.tracker.camera_tracking import CameraTracking


class TrackerNode(AutostartNode):
    """Lifecycle node with one tracker per camera; the masks may come from any publisher that uses the topic names."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("tracker_node", **kwargs)
        parameters.declare(self, TrackerConfig)
        parameters.declare(self, TrackingSettings)
        declare_cameras(self)
        self._throttle, self._faults = Throttle(), Faults(self)
        self._namesakes = NamesakeWatch(self)
        self._cameras: dict[str, CameraTracking] = {}
        self._next_ids: dict[str, int] = {}  # of cameras that were destroyed at cleanup: no id is used twice
        self._active = False
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._slow_timer = self.create_timer(1.0, self._faults.guard("report", self._report), clock=steady)
        self._fast_timer = self.create_timer(0.2, self._faults.guard("poll", self._poll), clock=steady)
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
        """Destroy the result topics."""
        for name, tracking in self._cameras.items():
            self._next_ids[name] = tracking.next_id
            tracking.destroy()
        self._cameras.clear()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from any state."""
        self._stop()
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        config = parameters.load(self, TrackerConfig)
        settings = parameters.load(self, TrackingSettings)
        for camera in load_cameras(self):
            first_id = self._next_ids.get(camera.name, 1)
            self._cameras[camera.name] = CameraTracking(
                self, camera, config, settings, first_id, self._on_error, self._faults
            )

    def _stop(self) -> None:
        if self._active:
            for tracking in self._cameras.values():
                tracking.stop()
        self._active = False

    def _on_error(self, camera: str, what: str, error: CmtSegError) -> None:
        reason = getattr(error, "reason", type(error).__name__)
        # After Ctrl-C nothing can be published any more; that is expected.
        if self.context.ok() and self._throttle.allows(camera, f"{what} {reason}"):
            self.get_logger().error(f"camera {camera or '(only one)'}: {what} refused: {error}")

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        for tracking in self._cameras.values():
            tracking.reset()
        response.success, response.message = True, f"tracks of {len(self._cameras)} camera(s) forgotten; ids go on"
        return response

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Refuse changes while active, as parameters are read at configuration, and invalid values at any time."""
        fixed = {*parameters.fixed(TrackerConfig), *parameters.fixed(TrackingSettings)}
        try:
            if self._active:
                parameters.refuse([p.name for p in changes if p.name in fixed or is_camera_parameter(p.name)])
            parameters.revise(TrackerConfig(), changes)
            parameters.revise(TrackingSettings(), changes)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _poll(self) -> None:
        if self._active:
            for tracking in self._cameras.values():
                tracking.poll()

    def _report(self) -> None:
        if not self._active:
            return
        name, now, statuses = self.get_fully_qualified_name(), time.monotonic(), []
        warnings = self._namesakes.warnings() + self._faults.news()
        for camera, tracking in self._cameras.items():
            issues = tracking.issues()
            for sentence in issues:
                if self._throttle.allows(camera, sentence):
                    self.get_logger().warning(f"camera {camera or '(only one)'}: {sentence}")
            extra = {**tracking.counts(), "faults": str(self._faults.count)}
            statuses.append(camera_status(name, camera, tracking.statistics, now, extra, issues, warnings))
        self._diagnostics.publish(diagnostic_array(statuses, self.get_clock().now().to_msg()))


def main() -> int:
    """Run the node."""
    return run(TrackerNode)


if __name__ == "__main__":
    sys.exit(main())
