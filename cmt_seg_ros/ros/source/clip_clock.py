"""ClipClock: the time of a clip on /clock, for nodes with ``use_sim_time``."""

from __future__ import annotations

import threading
import time

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from cmt_seg_ros.errors import cause
from cmt_seg_ros.ros.common.images import NS

PERIOD_S = 0.01
# Reliable: subscribers that request that are connected, and so are best-effort ones.
QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE)


class ClipClock:
    """Clock that publishes a hundred times a second; it runs at the playing rate, and never goes back.

    Args:
        node: owns the publisher.
        rate: seconds of the clip per second.
        start_ns: time at which it stands until :meth:`run_on`, ns.
    """

    def __init__(self, node: Node, rate: float, start_ns: int) -> None:
        self._node, self._rate = node, rate
        self._publisher = node.create_publisher(Clock, "/clock", QOS)
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._base_ns, self._base_s = start_ns, time.monotonic()
        self._limit_ns: int | None = start_ns
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._thread.start()

    def run_on(self, step_ns: int | None) -> None:
        """Let the time run on.

        Args:
            step_ns: how far beyond the present limit or, without one, beyond now, ns; None: without a limit.
        """
        with self._lock:
            self._set(self._now_ns())
            end_ns = self._base_ns if self._limit_ns is None else self._limit_ns
            self._limit_ns = None if step_ns is None else end_ns + step_ns

    def reach(self, stamp_ns: int) -> None:
        """Set the time forward to a stamp, ns, unless it is later already, and publish it."""
        with self._lock:
            now_ns = self._now_ns()
            if now_ns < stamp_ns:
                self._set(stamp_ns)
            if self._limit_ns is not None:
                self._limit_ns = max(self._limit_ns, stamp_ns)
            self._publish()

    def close(self) -> None:
        """Stop publishing."""
        self._closed.set()
        self._thread.join(timeout=5.0)

    def _set(self, now_ns: int) -> None:
        self._base_ns, self._base_s = now_ns, time.monotonic()

    def _now_ns(self) -> int:
        now_ns = self._base_ns + round((time.monotonic() - self._base_s) * self._rate * NS)
        return now_ns if self._limit_ns is None else min(now_ns, self._limit_ns)

    def _publish(self) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(self._now_ns(), NS)
        self._publisher.publish(message)

    def _run(self) -> None:
        while not self._closed.wait(PERIOD_S):
            try:
                with self._lock:
                    self._publish()
            except Exception as error:  # of any kind: without this thread the time of all nodes stands still
                if not self._node.context.ok():  # after Ctrl-C nothing can be published
                    return
                self._node.get_logger().error(f"/clock could not be published: {cause(error)}", throttle_duration_sec=5)
