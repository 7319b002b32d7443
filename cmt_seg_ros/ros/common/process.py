"""Node processes: how each of them starts and ends."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.task import Future

from cmt_seg_ros.errors import CmtSegError, cause
from cmt_seg_ros.ros.common.fastdds import profile_to_set
from cmt_seg_ros.ros.common.shared_memory import clean_stale

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def prepare_process() -> None:
    """Choose the shipped Fast DDS profile, unless the user chose one, and keep freed image memory."""
    os.environ.update(profile_to_set())
    # glibc would return the megabytes of every image to the kernel and request them again: 3x the CPU time.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_TRIM_THRESHOLD, 512 << 20)
        libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)


def choose_log_folder() -> str:
    """Choose a temporary folder for ROS's log files where its own cannot be written, else no node would start.

    Returns:
        A sentence about that; empty where nothing had to be done.
    """
    given = os.environ.get("ROS_LOG_DIR") or os.path.join(os.environ.get("ROS_HOME") or "~/.ros", "log")
    folder = Path(os.path.expanduser(given))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="ros_log_")
        return (
            f"log folder {folder} cannot be written ({error.strerror}); log files go to {os.environ['ROS_LOG_DIR']}; "
            "set ROS_LOG_DIR to a folder that can be written"
        )


def make_executor() -> Any:
    """Return the executor that takes the least CPU time (docs/performance.md)."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:  # until Iron
        return SingleThreadedExecutor()
    return EventsExecutor()


def logger_of(node: Node) -> RcutilsLogger:
    """Return a node's logger; after ROS was shut down one that only prints.

    The node's own also publishes, and would say of each line that this failed.
    """
    return node.get_logger() if node.context.ok() else get_logger(f"{node.get_name()}.shutdown")


def run(make_node: Callable[[], Node]) -> int:
    """Spin one node until it finishes by itself or is told to stop; return the exit status.

    A node may have ``finished``, a Future of the exit status, and ``close()``, called at the end.
    """
    prepare_process()
    left = clean_stale()
    try:
        if moved := choose_log_folder():
            print(f"warning: {moved}", file=sys.stderr)
        rclpy.init()
    except Exception as error:  # of any kind: rclpy's own errors are not exported
        print(f"error: ROS cannot start: {cause(error)}", file=sys.stderr)
        return 1
    node: Node | None = None
    executor = make_executor()
    try:
        node = make_node()
        if left:
            node.get_logger().info(f"removed shared memory of processes that were killed: {', '.join(left)}")
        executor.add_node(node)
        finished: Future = getattr(node, "finished", Future())
        while rclpy.ok() and not finished.done():
            # With a timeout: without one rclpy's EventsExecutor calls nothing back and takes a whole core.
            executor.spin_until_future_complete(finished, timeout_sec=86_400.0)
        return int(finished.result() or 0) if finished.done() and rclpy.ok() else 0
    except (CmtSegError, ParameterException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception:
        if rclpy.ok():
            raise
        return 0  # told to stop while starting: what was being made could not be finished
    finally:
        # In this order, else Fast DDS leaves shared memory behind.
        if node is not None:
            getattr(node, "close", lambda: None)()
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
