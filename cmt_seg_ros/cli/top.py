"""cmt-seg top: shows the nodes' /diagnostics, refreshed once a second."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live

from cmt_seg_ros.cli.console import new_console
from cmt_seg_ros.cli.top_table import Board, render
from cmt_seg_ros.errors import CmtSegError, ConfigError

EXAMPLES = """examples:
  cmt-seg top                       all nodes of this ROS domain, until Ctrl-C
  cmt-seg top --namespace /front    only the nodes under /front
  cmt-seg top --once                one table, for scripts; exit status 1 if nothing is received
  cmt-seg top | tee top.log         without a terminal: one table per second

age = now - stamp at the time the result was published; a node that is silent for 3 s is shown as gone.
"""
REFRESH_S = 1.0
SETTLE_S = 1.2  # every node reports once a second, so all others report within this time of the first
STOP_S = 5.0
PIPED_WIDTH = 120
# Callback that receives heard_s and the statuses of a message.
Hear = Callable[[float, list[dict[str, Any]]], None]


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "top",
        help="show rates, ages and drops of every camera of the running nodes",
        description="Shows what the nodes of this package publish on /diagnostics.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--namespace", default="/", help="only nodes under this namespace (%(default)s)")
    parser.add_argument("--once", action="store_true", help="print one table and exit")
    parser.add_argument("--timeout", type=float, default=5.0, help="with --once: longest wait, seconds (%(default)s)")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        CmtSegError: ROS is missing, the listener failed, or with --once nothing was heard.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ConfigError("top needs ROS 2 (rclpy); run `make setup`, or source your ROS distribution")
    if not args.timeout > 0:
        raise ConfigError(f"--timeout is {args.timeout}; it must be more than 0 seconds")
    board = Board(args.namespace)
    try:
        with _listener() as listener:
            if args.once:
                _once(listener, board, args.timeout)
            else:
                _watch(listener, board)
    except KeyboardInterrupt:
        return 0  # the usual way to stop it
    return 0


def _once(listener: Listener, board: Board, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not board.cameras and time.monotonic() < deadline:
        listener.listen(min(0.1, timeout_s), board.update)
    if not board.cameras:
        where = f"ROS domain {domain()}" + (f", namespace {board.namespace}" if board.namespace != "/" else "")
        raise CmtSegError(
            f"nothing was heard on /diagnostics within {timeout_s:g} s ({where}); are the nodes running and active, "
            "with the same ROS_DOMAIN_ID?"
        )
    listener.listen(SETTLE_S, board.update)
    _console().print(render(board.cameras, time.monotonic(), domain()))


def _watch(listener: Listener, board: Board) -> None:
    console = _console()
    if not console.is_terminal:
        while True:
            listener.listen(REFRESH_S, board.update)
            console.print(render(board.cameras, time.monotonic(), domain()))
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(render(board.cameras, time.monotonic(), domain()), refresh=True)
            listener.listen(REFRESH_S, board.update)


def _console() -> Console:
    """Return a console; in a file or a pipe, where no width is given, the table is as wide as it needs."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return new_console(width=PIPED_WIDTH if piped else None)


def domain() -> str:
    """Return the ROS domain that is listened to."""
    return os.environ.get("ROS_DOMAIN_ID") or "0"


class Listener:
    """Reader of the output of ``cmt_seg_ros.ros.top``; all ROS code is in that process.

    Args:
        process: process whose standard output is a pipe of lines.
        log: file that receives its standard error.
    """

    def __init__(self, process: subprocess.Popen[str], log: Any) -> None:
        self._process, self._log = process, log
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def listen(self, seconds: float, hear: Hear) -> None:
        """Pass on messages for a while.

        Raises:
            CmtSegError: the process has ended.
        """
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left_s)
            except queue.Empty:
                return
            if not line:
                self._log.seek(0)
                raise CmtSegError(f"the listener of /diagnostics ended: {self._log.read().strip()[-500:]}")
            message = json.loads(line)
            hear(message["heard_s"], message["statuses"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


@contextmanager
def _listener() -> Iterator[Listener]:
    """Start the listening process; it ends when its input is closed, even if this process is killed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cmt_seg_ros.ros.top"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches only this process, which then ends the other cleanly
        )
        try:
            yield Listener(process, log)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
