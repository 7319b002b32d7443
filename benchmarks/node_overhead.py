"""How much CPU time does the segmentation node add to the bare compiled model?

The same frames, at the same rate, once through segmentation_node on a real topic and once straight
into the compiled graph, in one run. What is measured has one core to itself and the source another:
with two threads, what OpenVINO's threads spend waiting for each other is more than what a node adds.
Prints a table and writes out/bench/node_overhead.json.

    python benchmarks/node_overhead.py [--frames 150] [--fps 10] [--sizes 640x480 1280x720]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cmt_seg_ros.cli.demo_nodes import NodeGroup
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources.scene import StreetScene
from cmt_seg_ros.structures import Frame

CORES = sorted(os.sched_getaffinity(0))
MEASURED, OTHERS = {CORES[0]}, set(CORES[1:] or CORES)


def cpu_s(pid: int) -> float:
    """CPU time of a process with all its threads, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare_ms(frames: Sequence[Frame], fps: float) -> float:
    """CPU milliseconds a frame of the compiled graph alone: pixels in its input tensor, infer, nothing else."""
    os.sched_setaffinity(0, MEASURED)
    pipeline = Pipeline(SegmentationConfig())
    pipeline.process([frames[0]])
    compiled = next(reversed(pipeline.engine._graphs.values()))
    began, cpu = time.perf_counter(), time.process_time()
    for k, frame in enumerate(frames):
        np.copyto(compiled.pixels[0], frame.pixels)
        compiled.request.infer()
        time.sleep(max(0.0, began + (k + 1) / fps - time.perf_counter()))
    return (time.process_time() - cpu) / len(frames) * 1e3


def node_ms(size: tuple[int, int], fps: float, count: int, logs: Path) -> tuple[float, int]:
    """CPU milliseconds a frame of segmentation_node, receiving and publishing included; and frames inferred."""
    scene = {"scene_width": size[0], "scene_height": size[1], "fps": fps}
    with NodeGroup(logs) as nodes:
        os.sched_setaffinity(0, MEASURED)  # processes inherit it
        segmentation = nodes.start("segmentation_node", {"drop_policy": "none"})
        nodes.wait_ready([segmentation])
        os.sched_setaffinity(0, OTHERS)
        warm = nodes.start("source_node", {**scene, "frames": 5, "drop_policy": "none"})  # compiles for this size
        warm.wait(120.0)
        before = cpu_s(segmentation.pid)
        source = nodes.start("source_node", {**scene, "frames": count})
        source.wait(count / fps + 120.0)
        # The start-up of the source is idle time of the node: its diagnostics timer is all that runs.
        spent = cpu_s(segmentation.pid) - before
    return spent / count * 1e3, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=150, help="frames of each measurement (%(default)s)")
    parser.add_argument("--fps", type=float, default=10.0, help="rate at which they come (%(default)s)")
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x720"], help="image sizes (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of the JSON (%(default)s)")
    args = parser.parse_args()
    rows = []
    for text in args.sizes:
        width, height = map(int, text.split("x"))
        scene = StreetScene(width, height, args.fps, args.frames)
        frames = [scene.frame(k) for k in range(min(args.frames, 30))]
        bare = bare_ms([frames[k % len(frames)] for k in range(args.frames)], args.fps)
        with tempfile.TemporaryDirectory() as logs:
            node, count = node_ms((width, height), args.fps, args.frames, Path(logs))
        rows.append({"size": text, "frames": count, "bare_ms": bare, "node_ms": node, "ratio": node / bare})
    table = Table("image", "frames", "bare model, CPU ms/frame", "node, CPU ms/frame", "node / bare")
    for r in rows:
        table.add_row(r["size"], str(r["frames"]), *(f"{r[k]:.2f}" for k in ("bare_ms", "node_ms", "ratio")))
    Console().print(table)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "node_overhead.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
