"""Child processes of a benchmark: images to send, requests in lines of JSON, and a node that spins."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future

from cmt_seg_ros.ros.common.process import prepare_process
from cmt_seg_ros.street import StreetScene
from cmt_seg_ros.structures import U8

FOREVER_S = 1e6
N = TypeVar("N", bound=Node)


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Say that the process is ready, then answer each line of standard input with one, until its end."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


@contextmanager
def spinning(
    make_node: Callable[[], N],
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
    shipped_profile: bool = True,
) -> Iterator[N]:
    """A node that a background thread spins, in a process set up as those of the package.

    Args:
        make_node: called once ROS is up.
        make_executor: the same.
        shipped_profile: False: Fast DDS with its own defaults, without config/fastdds.xml.
    """
    prepare_process()
    if not shipped_profile:
        for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
            os.environ.pop(name, None)
    rclpy.init()
    node, executor = make_node(), make_executor()
    executor.add_node(node)

    over: Future = Future()

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException, ShutdownException):
            # With a time limit: without one, the EventsExecutor of rclpy 9.1.2 runs in circles and calls nobody back.
            executor.spin_until_future_complete(over, timeout_sec=FOREVER_S)

    thread = threading.Thread(target=spin, name="spin")
    thread.start()
    try:
        yield node
    finally:
        over.set_result(None)
        executor.wake()
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def pictures(width: int, height: int, count: int = 12) -> list[U8]:
    """Images of the synthetic street, one a second; each (height, width, 3) uint8 bgr8."""
    scene = StreetScene(width, height, fps=1.0, frames=count)
    return [scene.frame(k).pixels for k in range(count)]
