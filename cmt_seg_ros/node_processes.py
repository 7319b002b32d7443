"""NodeProcess, NodeGroup: nodes as processes of a command, none of which outlives it."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from cmt_seg_ros.errors import CmtSegError

G = TypeVar("G", bound="NodeGroup")

NAMESPACE = "/camera"
READY = re.compile(r"\bready\b")
READY_S, STOP_S, TERM_S = 60.0, 30.0, 5.0
_TAIL_LINES = 25
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_CLEAN = "from cmt_seg_ros.ros.common.shared_memory import clean_stale; clean_stale()"


class ChildProcess:
    """A process of a command, what it prints in a log; the kernel ends it if the command is killed.

    Args:
        name: what to call it in errors.
        command: to run.
        log: file for its output.
        environment: of the process.
        cores: that it may use; None: all.
        piped: its standard input and output are pipes, only its standard error goes to the log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        cores: set[int] | None = None,
        piped: bool = False,
    ) -> None:
        self.name, self.log = name, log

        def prepare() -> None:
            if cores is not None:
                os.sched_setaffinity(0, cores)
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # Linux

        with log.open("wb") as file:
            # A session of its own: Ctrl-C reaches the command alone, which then ends its processes in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else file,
                stderr=file,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=prepare,
                bufsize=0,
            )

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.poll()

    def usage(self) -> dict[str, float]:
        """Measure since its start: CPU time ``cpu_s``, and ``memory_peak_mb`` (1e6 bytes); empty if it has ended."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            peak = re.search(
                r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8"), re.MULTILINE
            )
        except OSError:
            return {}
        ticks = int(fields[11]) + int(fields[12])  # user and system, see proc(5)
        memory = {"memory_peak_mb": round(int(peak[1]) * 1024 / 1e6, 1)} if peak else {}
        return {"cpu_s": ticks / os.sysconf("SC_CLK_TCK"), **memory}

    def output(self) -> str:
        """Read its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Check that it runs.

        Raises:
            CmtSegError: it has ended, with its last lines.
        """
        if self.status is not None:
            raise self.failure(f"ended with status {self.status}")

    def failure(self, what: str) -> CmtSegError:
        """Make an error that says what is wrong with this process, with its last lines."""
        lines = "\n".join(f"  {line}" for line in self.output().splitlines()[-_TAIL_LINES:]) or "  (no output)"
        return CmtSegError(f"{self.name} {what}; its last lines:", below=lines)

    def end(self) -> None:
        """Ask it to end."""
        self.send(signal.SIGINT)

    def send(self, signum: int) -> None:
        """Signal it, if it runs."""
        if self.status is None:
            self._process.send_signal(signum)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False if it still runs."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class NodeProcess(ChildProcess):
    """One node in its own process, its output in ``<logs>/<name>.log``.

    Args:
        name: of the module in cmt_seg_ros.ros.
        namespace: of the node.
        parameters: ROS parameters.
        logs: folder of the logs.
        environment: of the process.
    """

    def __init__(
        self, name: str, namespace: str, parameters: Mapping[str, Any], logs: Path, environment: Mapping[str, str]
    ) -> None:
        command = [sys.executable, "-u", "-m", f"cmt_seg_ros.ros.{name}", *ros_arguments(namespace, parameters)]
        super().__init__(name, command, logs / f"{name}.log", environment)


class NodeGroup:
    """The processes of one command; leaving the ``with`` block ends them all, whatever happened.

    Args:
        logs: folder of their logs.
        environment: of the processes; None: a ROS domain of their own, on this machine only.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str] | None = None) -> None:
        self._logs, self._environment = logs, environment or private_environment(logs)
        self._nodes: list[ChildProcess] = []

    def __enter__(self: G) -> G:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(STOP_S if kind is None else TERM_S)
        # A process of its own, as everything of ROS: the command line does not import cmt_seg_ros.ros.
        subprocess.run([sys.executable, "-c", _CLEAN], stdout=subprocess.DEVNULL, check=False)

    def start(
        self, name: str, parameters: Mapping[str, Any], namespace: str = NAMESPACE, logs: Path | None = None
    ) -> NodeProcess:
        """Start a node; ``logs`` is the folder of its log, if it is not that of all."""
        node = NodeProcess(name, namespace, parameters, logs or self._logs, self._environment)
        self._nodes.append(node)
        return node

    def wait_ready(self, nodes: Iterable[ChildProcess], timeout_s: float = READY_S) -> None:
        """Wait until each node has printed "ready".

        Raises:
            CmtSegError: one ended, or is not ready in time.
        """
        waiting, deadline = list(nodes), time.monotonic() + timeout_s
        while waiting := [node for node in waiting if not READY.search(node.output())]:
            for node in waiting:
                node.check()
                if time.monotonic() > deadline:
                    raise node.failure(f"is not ready after {timeout_s:g} s")
            time.sleep(0.05)

    def check(self, but: ChildProcess | None = None) -> None:
        """Check that all run, except one.

        Raises:
            CmtSegError: one has.
        """
        for node in self._nodes:
            if node is not but:
                node.check()

    def stop(self, timeout_s: float = STOP_S) -> list[ChildProcess]:
        """End all: ask, then insist, then kill.

        Returns:
            Those that had to be made to end or ended with an error.
        """
        for signum, patience_s in ((None, timeout_s), (signal.SIGTERM, TERM_S), (signal.SIGKILL, TERM_S)):
            deadline = time.monotonic() + patience_s
            for node in self._nodes:
                node.end() if signum is None else node.send(signum)
            for node in self._nodes:
                node.wait(max(0.0, deadline - time.monotonic()))
        return [node for node in self._nodes if node.status != 0]


def ros_arguments(namespace: str, parameters: Mapping[str, Any]) -> list[str]:
    """Make the arguments that give a node its namespace and parameters."""
    pairs = [f"{key}:={json.dumps(value)}" for key, value in parameters.items()]  # JSON is YAML: strings stay strings
    return ["--ros-args", "-r", f"__ns:={namespace}", *(word for pair in pairs for word in ("-p", pair))]


def private_environment(logs: Path) -> dict[str, str]:
    """Make the environment of processes whose ROS stays on this machine, in a domain of its own."""
    return {
        **os.environ,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(domain_id()),
        "ROS_LOG_DIR": str((logs / "ros").resolve()),
        "RCUTILS_COLORIZED_OUTPUT": "0",
    }


def domain_id(further: int = 0) -> int:
    """Return a ROS domain for this process, or a further one: 1 to 101, by its id, so that two processes rarely meet.

    0 is every user's, and above 101 the ports may be those of other programs.
    """
    return 1 + (os.getpid() + further) % 101


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for a condition, which is tried every 50 ms; False after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM end the command as Ctrl-C does, with its nodes; only the main thread can have that."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
