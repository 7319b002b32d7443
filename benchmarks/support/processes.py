"""Processes of a benchmark: pinned to cores, spoken to in lines of JSON, measured; none outlives it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.node_processes import private_environment
from cmt_seg_ros.ros.common.process import prepare_process
from cmt_seg_ros.ros.common.shared_memory import clean_stale

# What is measured has one core to itself; sources, subscribers and the benchmark have the others.
CORES = sorted(os.sched_getaffinity(0))
MEASURED, OTHERS = {CORES[0]}, set(CORES[1:] or CORES)
BENCHMARKS = Path(__file__).parents[1]
READY_S, STOP_S, TERM_S = 120.0, 15.0, 5.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class Child:
    """One process, its messages in a log.

    Args:
        name: for error messages.
        command: to run.
        cores: that it may use.
        log: file for what it prints (of a process that answers requests: to its standard error).
        variables: its environment.
        answers: whether it takes requests on its standard input and answers on its standard output.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cores: set[int],
        log: Path,
        variables: Mapping[str, str],
        answers: bool,
    ) -> None:
        self.name, self._log = name, log

        def prepare() -> None:
            os.sched_setaffinity(0, cores)
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # should the benchmark be killed

        with log.open("wb") as file:
            # A session of its own: Ctrl-C reaches the benchmark alone, which then ends its processes.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if answers else subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else file,
                stderr=file,
                env=dict(variables),
                start_new_session=True,
                preexec_fn=prepare,
                bufsize=0,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            CmtSegError: the process has ended, or does not answer in time.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise self.failure("ended before it was asked") from error
        return self.answer(timeout_s)

    def answer(self, timeout_s: float) -> dict[str, Any]:
        """Wait for a line that the process prints by itself, like that it is ready.

        Raises:
            CmtSegError: see :meth:`ask`.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise self.failure(f"did not answer within {timeout_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise self.failure("ended instead of answering")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Wait until its log says "ready: ", as the nodes do when they listen.

        Raises:
            CmtSegError: it has ended, or is not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while "ready: " not in self.output():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self.failure(f"is not ready after {timeout_s:g} s, or has ended")
            time.sleep(0.05)

    def output(self) -> str:
        """What its log holds."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def end(self) -> None:
        """Ask it to finish; for a process that answers requests: it will get no more of them."""
        if self._process.stdin is None:
            self.send(signal.SIGINT)
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def send(self, signum: int) -> None:
        """Signal it, if it runs."""
        if self._process.poll() is None:
            self._process.send_signal(signum)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self._process.poll() is not None

    def failure(self, what: str) -> CmtSegError:
        """An error that says what is wrong with this process, with its last lines."""
        lines = self.output().splitlines()[-25:] or ["(nothing)"]
        return CmtSegError(f"{self.name} {what}; its last lines:\n" + "\n".join(f"  {line}" for line in lines))


class Processes:
    """All processes of one measurement; leaving the ``with`` block ends them, whatever happened.

    Attributes:
        folder: for files of the measurement; removed at the end.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self._children: list[Child] = []
        # The shipped Fast DDS profile, also for a node that does not choose it by itself.
        prepare_process()
        folders = (str(BENCHMARKS), os.environ.get("PYTHONPATH"))
        self._variables = {**private_environment(self.folder), "PYTHONPATH": os.pathsep.join(filter(None, folders))}

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(STOP_S if kind is None else TERM_S)
        clean_stale()
        self._folder.cleanup()

    def node(self, name: str, namespace: str, parameters: Mapping[str, Any], cores: set[int]) -> Child:
        """Start a node: one of the package, or a script given by its path."""
        start = [name] if name.endswith(".py") else ["-m", f"cmt_seg_ros.ros.{name}"]
        command = ["-u", *start, "--ros-args", "-r", f"__ns:={namespace}"]
        for key, value in parameters.items():
            command += ["-p", f"{key}:={json.dumps(value)}"]  # JSON is YAML: strings stay strings
        return self.python(Path(name).stem, command, cores)

    def script(self, name: str, arguments: Sequence[object], cores: set[int]) -> Child:
        """Start a script of this folder that answers requests; it is ready when this returns."""
        child = self.python(name, ["-u", "-m", f"support.{name}", *map(str, arguments)], cores, answers=True)
        child.answer(READY_S)
        return child

    def python(self, name: str, arguments: Sequence[str], cores: set[int], answers: bool = False) -> Child:
        """Start a Python process."""
        log = self.folder / f"{len(self._children)}_{name}.log"
        child = Child(name, [sys.executable, *arguments], cores, log, self._variables, answers)
        self._children.append(child)
        return child

    def stop(self, timeout_s: float) -> None:
        """End all: ask, insist, kill."""
        for child in self._children:
            child.end()
        self._wait(timeout_s)
        for signum in (signal.SIGTERM, signal.SIGKILL):
            for child in self._children:
                child.send(signum)
            self._wait(TERM_S)

    def _wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        for child in self._children:
            child.wait(max(0.0, deadline - time.monotonic()))
