"""Processes of a benchmark: pinned to cores, spoken to in lines of JSON, measured; none outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from cmt_seg_ros.node_processes import ChildProcess, NodeGroup, private_environment, ros_arguments
from cmt_seg_ros.ros.common.process import prepare_process

# What is measured has one core to itself; sources, subscribers and the benchmark have the others.
CORES = sorted(os.sched_getaffinity(0))
MEASURED, OTHERS = {CORES[0]}, set(CORES[1:] or CORES)
BENCHMARKS = Path(__file__).parents[1]
READY_S = 120.0


class Child(ChildProcess):
    """One process; if it is piped, it takes requests on its standard input and answers on its standard output."""

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

    def end(self) -> None:
        """Ask it to end; one that answers requests gets no more of them."""
        if self._process.stdin is None:
            super().end()
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()


class Processes(NodeGroup):
    """All processes of one measurement; leaving the ``with`` block ends them, whatever happened.

    Attributes:
        folder: for files of the measurement; removed at the end.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        # The shipped Fast DDS profile, also for a node that does not choose it by itself.
        prepare_process()
        path = os.pathsep.join(filter(None, (str(BENCHMARKS), os.environ.get("PYTHONPATH"))))
        super().__init__(self.folder, {**private_environment(self.folder), "PYTHONPATH": path})

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, value, trace)
        self._folder.cleanup()

    def wait_ready(self, nodes: Iterable[ChildProcess], timeout_s: float = READY_S) -> None:
        """As of :class:`NodeGroup`."""
        super().wait_ready(nodes, timeout_s)

    def node(self, name: str, namespace: str, parameters: Mapping[str, Any], cores: set[int]) -> Child:
        """Start a node: one of the package, or a script given by its path."""
        start = [name] if name.endswith(".py") else ["-m", f"cmt_seg_ros.ros.{name}"]
        return self.python(Path(name).stem, ["-u", *start, *ros_arguments(namespace, parameters)], cores)

    def script(self, name: str, arguments: Sequence[object], cores: set[int]) -> Child:
        """Start a script of this folder that answers requests; it is ready when this returns."""
        child = self.python(name, ["-u", "-m", f"support.{name}", *map(str, arguments)], cores, answers=True)
        child.answer(READY_S)
        return child

    def python(self, name: str, arguments: Sequence[str], cores: set[int], answers: bool = False) -> Child:
        """Start a Python process."""
        log = self.folder / f"{len(self._nodes)}_{name}.log"
        child = Child(name, [sys.executable, *arguments], log, self._environment, cores, answers)
        self._nodes.append(child)
        return child
