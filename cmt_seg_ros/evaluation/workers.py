"""Workers for many sequences: one after the other, in processes, or on a Dask cluster; the results are the same.

Each sequence is a job of its own that writes its own folder. A worker that crashes costs nothing but time: its job is
begun again where its last checkpoint was.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.connection import Connection

from cmt_seg_ros.errors import CmtSegError, ConfigError
from cmt_seg_ros.evaluation.job import Job
from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.sequence import evaluate

log = logging.getLogger(__name__)

ATTEMPTS = 3
CONNECT_S = 20.0
REPORT_S = 0.2


@dataclass(frozen=True)
class Outcome:
    """What became of one job: the content of its summary.json, or why there is none."""

    job: Job
    summary: Summary | None
    error: str = ""


def in_turn(jobs: Sequence[Job], progress: Callable[[Job, int, int], None]) -> Iterator[Outcome]:
    """Evaluate in this process; a job that cannot be done does not stop the others.

    Args:
        jobs: what to evaluate.
        progress: called as ``progress(job, done, total)`` after every frame.
    """
    for job in jobs:
        try:
            yield Outcome(job, evaluate(job, lambda done, total, job=job: progress(job, done, total)))  # type: ignore[misc]
        except CmtSegError as error:
            yield Outcome(job, None, str(error))
        except Exception as error:  # an error of ours in one job must not end the others
            log.exception("evaluating %s failed", job.name)
            yield Outcome(job, None, f"{type(error).__name__}: {error}; please report that")


def in_processes(jobs: Sequence[Job], workers: int, progress: Callable[[Job, int, int], None]) -> Iterator[Outcome]:
    """Evaluate in processes of this machine, each job in one of its own, ``workers`` of them at a time.

    Outcomes come in the order in which they are done; see :func:`in_turn` for the arguments.
    """
    stop, pool = threading.Event(), ThreadPoolExecutor(workers, "worker")
    try:
        waiting = {pool.submit(_attend, job, progress, stop) for job in jobs}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def on_cluster(jobs: Sequence[Job], address: str, progress: Callable[[Job, int, int], None]) -> Iterator[Outcome]:
    """Evaluate on a Dask cluster; its workers see the same files under the same names and have this package.

    Args:
        jobs: what to evaluate.
        address: of the scheduler, e.g. tcp://host:8786.
        progress: called once for each job, when it is done.

    Raises:
        ConfigError: Dask is not installed, or nobody answers.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ConfigError(f"--cluster needs Dask ({error}); pip install 'cmt_seg_ros[cluster]'") from error
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler answers at {address} ({error}); start one: dask scheduler") from error
    with client:
        # A worker that dies takes its job with it; Dask gives that to another one.
        futures = {client.submit(_attempt, job, key=f"{job.name}-{job.fingerprint()}", pure=False): job for job in jobs}
        for future in as_completed(list(futures)):
            job = futures[future]
            outcome = future.result() if future.status == "finished" else Outcome(job, None, repr(future.exception()))
            if outcome.summary is not None:
                progress(job, outcome.summary["frames"]["in"], outcome.summary["frames"]["in"])
            yield outcome


def _attempt(job: Job) -> Outcome:
    """Evaluate a job on a worker of the cluster."""
    return next(in_turn([job], lambda job, done, total: None))


def _attend(job: Job, progress: Callable[[Job, int, int], None], stop: threading.Event) -> Outcome:
    """Start a process for a job, and another one if it crashes; end it when told to stop. Runs in a thread."""
    # Spawned: a fork would copy the threads of OpenVINO and OpenCV in whatever state they are.
    context = multiprocessing.get_context("spawn")
    code: int | None = None
    for _ in range(ATTEMPTS):
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(job, send), daemon=True)
        process.start()
        send.close()
        outcome = _listen(job, receive, progress, stop)
        if stop.is_set():
            process.terminate()
        process.join()
        if outcome is not None or stop.is_set():
            return outcome or Outcome(job, None, "stopped")
        code = process.exitcode
    return Outcome(job, None, f"its process ended {ATTEMPTS} times without a result, last with exit status {code}")


def _listen(
    job: Job, receive: Connection, progress: Callable[[Job, int, int], None], stop: threading.Event
) -> Outcome | None:
    """Pass progress on; the outcome, or None if the process ends without one, or all shall stop."""
    while not stop.is_set():
        try:
            if not receive.poll(REPORT_S):
                continue
            told = receive.recv()
        except (EOFError, OSError):
            return None
        if isinstance(told, Outcome):
            return told
        progress(job, *told)
    return None


def _work(job: Job, send: Connection) -> None:
    """Evaluate a job and send progress and outcome; runs in the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the command ends its processes
    reported_s = 0.0

    def progress(job: Job, done: int, total: int) -> None:
        nonlocal reported_s
        if time.monotonic() - reported_s > REPORT_S:
            reported_s = time.monotonic()
            tell((done, total))

    def tell(what: object) -> None:
        try:
            send.send(what)
        except OSError:  # the command is gone
            sys.exit(1)

    tell(next(in_turn([job], progress)))
