"""What tests of nodes share: nodes in this process, nodes in processes of their own, waiting with deadlines."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed: make test installs it")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cmt_seg_ros.ros.common.images import NS, image_from_array, stamp_ns
from support.waiting import DEADLINE_S

MODEL = "cmt-mchh-lite-camvid"
EVERYTHING = QoSProfile(history=HistoryPolicy.KEEP_ALL, depth=0)
LATCHED = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 2
_domains = itertools.count()
N = TypeVar("N", bound=Node)


def free_domain() -> int:
    """A ROS domain for one test, from 1 to 100: those of the two workers of pytest-xdist never meet."""
    return 1 + (2 * (os.getpid() + next(_domains)) + WORKER) % 100


class Bench:
    """Nodes under test and a node of the test, spun in a background thread as a node process would.

    Args:
        domain_id: None: what is here hears itself only. A domain: it hears processes of that domain, too.
    """

    def __init__(self, domain_id: int | None = None) -> None:
        self.context = rclpy.Context()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF" if domain_id is None else "LOCALHOST")
            rclpy.init(context=self.context, domain_id=free_domain() if domain_id is None else domain_id)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._changed = threading.Condition()
        self._crash: BaseException | None = None
        self.nodes: list[Node] = []
        self._publishers: dict[tuple[type, str], Publisher] = {}
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.node = self.add(lambda **kwargs: Node("test", start_parameter_services=False, **kwargs))
        self.logs: list[Log] = self.listen(Log, "/rosout", LATCHED)
        self.diagnostics: list[DiagnosticArray] = self.listen(DiagnosticArray, "/diagnostics")

    def close(self) -> None:
        """End all nodes, as a process would."""
        with contextlib.suppress(AssertionError):  # a crash has failed the test already
            for node in self.nodes[::-1]:
                self.remove(node)
        self._executor.shutdown()
        rclpy.try_shutdown(context=self.context)
        self._thread.join(timeout=DEADLINE_S)
        # A node that is collected later would take the /rosout publisher of its name with it, which by then
        # belongs to the node of another test.
        gc.collect()

    def add(self, make: Callable[..., N], namespace: str = "", **values: object) -> N:
        """Make a node with these parameters, and spin it."""

        def build() -> N:
            overrides = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
            node = make(context=self.context, namespace=namespace, parameter_overrides=overrides)
            self._executor.add_node(node)
            self.nodes.append(node)
            return node

        return self.do(build)

    def remove(self, node: Node) -> None:
        """End one node."""

        def destroy() -> None:
            self._executor.remove_node(node)
            getattr(node, "close", lambda: None)()
            node.destroy_node()
            self.nodes.remove(node)

        self.do(destroy)

    def do(self, step: Callable[[], Any]) -> Any:
        """Run a step in the thread of the executor, as everything in a node process runs there."""
        task = self._executor.create_task(step)
        self.until(task.done)
        return task.result()

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until a condition holds; fail when the deadline passes or a node has crashed."""
        deadline = time.monotonic() + DEADLINE_S
        with self._changed:
            while not condition():
                assert self._crash is None, f"a node crashed: {self._crash!r}"
                assert time.monotonic() < deadline, f"waited {DEADLINE_S:g} s in vain: {what or condition}"
                self._changed.wait(0.02)

    def listen(self, kind: type, topic: str, qos: QoSProfile = EVERYTHING) -> list[Any]:
        """Subscribe; returns the list that the messages come into."""
        messages: list[Any] = []

        def receive(message: object) -> None:
            with self._changed:
                messages.append(message)
                self._changed.notify_all()

        self.do(lambda: self.node.create_subscription(kind, topic, receive, qos))
        return messages

    def stop_listening(self, topic: str) -> None:
        """Destroy the test's subscriptions of a topic."""
        for subscription in [s for s in self.node.subscriptions if s.topic_name == topic]:
            self.do(lambda subscription=subscription: self.node.destroy_subscription(subscription))

    def publisher(self, kind: type, topic: str, qos: QoSProfile | int = 10, matched: int = 1) -> Publisher:
        """A publisher of the test, once it has ``matched`` subscribers."""
        if (kind, topic) not in self._publishers:
            self._publishers[kind, topic] = self.do(lambda: self.node.create_publisher(kind, topic, qos))
        publisher = self._publishers[kind, topic]
        self.until(lambda: publisher.get_subscription_count() >= matched, f"a subscriber of {topic}")
        return publisher

    def send(self, topic: str, message: object, matched: int = 1) -> None:
        """Publish one message once somebody listens."""
        self.publisher(type(message), topic, matched=matched).publish(message)

    def call(self, kind: type, name: str, request: object) -> Any:
        """Call a service."""
        client = self.do(lambda: self.node.create_client(kind, name))
        self.until(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.until(future.done, f"answer of {name}")
        self.do(lambda: self.node.destroy_client(client))
        return future.result()

    def transit(self, node: str, name: str) -> bool:
        """Ask a lifecycle node for a transition; True on success."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return bool(self.call(ChangeState, f"{node}/change_state", request).success)

    def state(self, node: str) -> str:
        """Lifecycle state of a node."""
        return str(self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)

    def set(self, node: str, name: str, value: object) -> str:
        """Set a parameter; returns the reason of the refusal, "" when it was taken."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        result = self.call(SetParameters, f"{node}/set_parameters", request).results[0]
        assert result.successful or result.reason, "refused without a word"
        return "" if result.successful else str(result.reason)

    def get(self, node: str, *names: str) -> list[object]:
        """Values of parameters."""
        answer = self.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=names))
        return [parameter_value_to_python(value) for value in answer.values]

    def errors(self) -> list[str]:
        """Errors logged so far."""
        return [log.msg for log in self.logs if log.level >= LoggingSeverity.ERROR]

    def status(self, node: str) -> DiagnosticStatus | None:
        """The newest status of a node, e.g. ``"tracker_node: front"``."""
        found = [s for array in self.diagnostics for s in array.status if s.name.endswith(node)]
        return found[-1] if found else None

    def counts(self, node: str) -> dict[str, int]:
        """The newest counts of a node from /diagnostics."""
        status = self.status(node)
        values = {v.key: v.value for v in status.values} if status else {}
        return {key: int(value) for key, value in values.items() if value.isdecimal()}

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as error:
            self._crash = error


@contextlib.contextmanager
def bench(domain_id: int | None = None) -> Iterator[Bench]:
    """A bench that is taken down at the end."""
    made = Bench(domain_id)
    try:
        yield made
    finally:
        made.close()


class Process:
    """A node process with its output in a file; for use in ``with``, which ends it.

    Args:
        command: a node's name, e.g. ``"source_node"``, or a whole command.
        log: file for its output.
        domain_id: ROS domain.
        parameters: of the node.
    """

    def __init__(
        self, command: str | list[str], log: Path, domain_id: int, parameters: Mapping[str, object] | None = None
    ) -> None:
        self.log = log
        if isinstance(command, str):
            command = [sys.executable, "-m", f"cmt_seg_ros.ros.{command}"]
        pairs = [f"{name}:={yaml_text(value)}" for name, value in (parameters or {}).items()]
        settings = [word for pair in pairs for word in ("-p", pair)]
        if settings:
            command = [*command, "--ros-args", *settings]
        environment = {
            **os.environ,
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_DOMAIN_ID": str(domain_id),
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("w", encoding="utf-8") as file:
            # A group of its own: whatever it starts ends with it.
            self.popen = subprocess.Popen(
                command,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=hear_ctrl_c,
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout=20.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.output:
            assert self.popen.poll() is None, f"ended with {self.popen.returncode} before {text!r}: {self.output}"
            assert time.monotonic() < deadline, f"{text!r} not printed in {DEADLINE_S:g} s: {self.output}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout=0.05)

    def end(self) -> int:
        """Wait until it ends by itself; returns its exit status."""
        return self.popen.wait(timeout=DEADLINE_S)


def hear_ctrl_c() -> None:
    """A test run in the background of a shell ignores SIGINT, and what it starts would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def yaml_text(value: object) -> str:
    """A value as ``-p name:=value`` wants it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def header(stamp: int, frame_id: str = "front_optical_frame") -> Header:
    """Header of a stamp in ns."""
    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp, NS)
    return made


def image(stamp: int, width: int = 96, height: int = 64, encoding: str = "bgr8", value: int = 90) -> Image:
    """A good message: a plain picture."""
    channels = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "8UC3": 3, "mono8": 1}[encoding]
    return image_from_array(np.full((height, width, channels), value, np.uint8), encoding, header(stamp))


def array(message: Image) -> np.ndarray:
    """Pixels of a mono8 or mono16 result."""
    dtype = {"mono8": np.uint8, "mono16": np.uint16}[message.encoding]
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width)


def stamps(messages: list[Any]) -> list[int]:
    """Stamps of messages, ns."""
    return [stamp_ns(message.header) for message in messages]
