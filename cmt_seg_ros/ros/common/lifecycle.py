"""AutostartNode: lifecycle node that configures and activates itself unless ``autostart:=false``."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.task import Future

from cmt_seg_ros.config import LifecycleSettings
from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.ros.common import parameters


class AutostartNode(LifecycleNode):
    """Base of segmentation_node and tracker_node.

    Attributes:
        finished: set to an exit status when the process should end; 1 when autostart fails.
    """

    def __init__(self, name: str, **kwargs: object) -> None:
        super().__init__(name, **kwargs)
        self.finished: Future = Future()
        parameters.declare(self, LifecycleSettings)

    def autostart(self) -> None:
        """Configure and activate; to be called at the end of the constructor of the derived node."""
        if not parameters.load(self, LifecycleSettings).autostart:
            return
        done = TransitionCallbackReturn.SUCCESS
        if self.trigger_configure() != done or self.trigger_activate() != done:
            self.finished.set_result(1)

    def guarded(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        """Run a transition; an error becomes one sentence in the log and a failed transition."""
        try:
            step()
        except Exception as error:  # of any kind: rclpy would swallow it
            if self.context.ok():  # else it was told to stop meanwhile, and nothing can be made any more
                kind = "" if isinstance(error, CmtSegError) else f"{type(error).__name__}: "
                self.get_logger().fatal(f"{kind}{error}")
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS
