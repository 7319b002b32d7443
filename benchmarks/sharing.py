"""Sharing a machine: do two nodes get in each other's way? Frames per second of one and of two processes that infer.

Each process infers black frames on one thread, and on all, with and without tying its threads to cores
(`cpu_pinning`). Two processes that share well are together as fast as the cores allow. Prints a table and writes
out/bench/sharing.json; takes half a minute.

    python benchmarks/sharing.py
    python benchmarks/sharing.py --seconds 10
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import numpy as np
from rich.console import Console
from rich.table import Table
from support.report import parser, run, save

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.structures import Frame


def infer(config: SegmentationConfig, seconds: float, start: Barrier, found: Queue[float]) -> None:
    """Body of a process: as many frames as fit into the time."""
    pipeline, frame = Pipeline(config), Frame("c", 0, np.zeros((480, 640, 3), np.uint8))
    pipeline.process([frame])
    start.wait()
    count, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        pipeline.process([frame])
        count += 1
    found.put(count / (time.perf_counter() - began))


def rates(config: SegmentationConfig, processes: int, seconds: float) -> list[float]:
    """Frames per second of each of so many processes at the same time."""
    context = multiprocessing.get_context("spawn")
    start, found = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=infer, args=(config, seconds, start, found)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    result = [found.get(timeout=seconds + 60.0) for _ in workers]
    for worker in workers:
        worker.join()
    return result


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=3.0, help="of each measurement (%(default)s)")
    args = arguments.parse_args()
    rows = []
    table = Table("threads", "cpu_pinning", "one process, frames/s", "two processes, frames/s each")
    for threads in (1, 0):
        for pinning in (True, False):
            config = SegmentationConfig(device="CPU", num_threads=threads, cpu_pinning=pinning)
            alone, together = rates(config, 1, args.seconds)[0], rates(config, 2, args.seconds)
            rows.append({"threads": threads, "pinning": pinning, "alone_fps": alone, "together_fps": together})
            name = str(threads or f"all ({len(os.sched_getaffinity(0))})")
            table.add_row(name, str(pinning), f"{alone:.1f}", " and ".join(f"{r:.1f}" for r in together))
    Console().print(table)
    save(args.out, "sharing", {"rows": rows})


if __name__ == "__main__":
    run(main)
