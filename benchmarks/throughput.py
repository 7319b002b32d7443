"""Throughput: how many frames a second does segmentation_node make, against the bare model?

Bare is OpenVINO's benchmark_app on the node's graph, which infers one input again and again, and for each frame the
time of the function that makes both masks, measured apart. It runs the graph at the same precision with as many
streams, requests and threads as the node, on the same single core, in turns. The node does all that a node does: it
gets real images from another process, which sends the next as soon as fewer than --window are without their masks, in
lossless mode (drop_policy none), and that process, on the other core, receives both masks of each. Frames a second
are those of the masks that it received.

Where the difference goes, CPU time a frame: executor (the main thread: receive, deserialize, parameters,
diagnostics), middleware (Fast DDS's threads), write (the image into the input tensor, measured apart), masks, and
the rest: publishing and Python around inference. Waiting is time in which the node had nothing to do, or its core
did something else. Prints two tables and writes out/bench/throughput.json.

    python benchmarks/throughput.py
    python benchmarks/throughput.py --rounds 1 --seconds 5 --sizes 640x480    (a quick look)
"""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.measures import Median, thread_cpu_ms
from support.processes import MEASURED, OTHERS, Child, Processes
from support.report import parser, run, save, size, size_text

NODE = "/throughput"
ANSWER_S = 120.0
AT_ONCE = 1e4  # frames per second: without pauses
# cmt_seg_ros keeps `import openvino` from reporting its use over the network.
BENCHMARK_APP = "import cmt_seg_ros; from openvino.tools.benchmark.main import main; main()"
PARTS = {"executor": "executor", "middleware": "middleware", "infer": "infer", "masks": "masks", "write": "write",
         "rest": "publish and rest", "waiting": "waiting"}  # fmt: skip


def benchmark_app_fps(processes: Processes, graph: str, settings: dict[str, Any], seconds: float) -> float:
    """Frames a second of benchmark_app with the settings of the node's graph."""
    options = {
        "-m": graph,
        "-d": "CPU",
        "-api": "async",
        "-hint": "none",  # else it chooses streams and requests itself
        "-nireq": settings["requests"],
        "-nstreams": settings["streams"],
        "-nthreads": settings["threads"],
        "-pin": "YES" if settings["pinning"] else "NO",
        "-infer_precision": settings["precision"],
        "-t": round(seconds),
    }
    words = [str(word) for pair in options.items() for word in pair]
    app = processes.python("benchmark_app", ["-c", BENCHMARK_APP, *words], MEASURED)
    ended = app.wait(seconds + ANSWER_S)
    found = re.search(r"Throughput:\s+([\d.]+) FPS", app.output())
    if not ended or not found:
        raise app.failure("has printed no throughput")
    return float(found[1])


def node_round(node: Child, feeder: Child, seconds: float, window: int) -> dict[str, float]:
    """Frames a second of the node, and CPU milliseconds a frame of its threads."""
    before = thread_cpu_ms(node.pid)
    counts = feeder.ask({"node": NODE, "seconds": seconds, "window": window}, seconds + ANSWER_S)
    after = thread_cpu_ms(node.pid)
    return {"fps": counts["masks_per_s"], **{part: (after[part] - before[part]) / counts["mask"] for part in after}}


def one_round(processes: Processes, children: dict[str, Child], graph: dict[str, Any], args: Any) -> dict[str, float]:
    """All figures of one round; times in milliseconds a frame."""
    app_fps = benchmark_app_fps(processes, graph["path"], graph, args.seconds)
    bare = children["bare"].ask({"model": "node", "frames": 40, "fps": AT_ONCE}, ANSWER_S)
    node = node_round(children["node"], children["feeder"], args.seconds, args.window)
    inference = bare["infer_ms"] + bare["masks_ms"] + bare["write_ms"]
    bare_fps = 1e3 / (1e3 / app_fps + bare["masks_ms"])
    return {
        "benchmark_app_fps": app_fps,
        "bare_fps": bare_fps,
        "node_fps": node["fps"],
        "ratio": node["fps"] / bare_fps,
        "executor": node["main"],
        "middleware": node["dds"],
        "infer": bare["infer_ms"],
        "masks": bare["masks_ms"],
        "write": bare["write_ms"],
        "rest": node["rest"] - inference,
        "waiting": 1e3 / node["fps"] - node["main"] - node["dds"] - node["rest"],
    }


def measure(image_size: tuple[int, int], args: Any) -> dict[str, Any]:
    """Medians over the rounds for one image size."""
    with Processes() as processes:
        children = {
            "bare": processes.script("bare_model", image_size, MEASURED),
            "feeder": processes.script("feeder", (*image_size, NODE), OTHERS),
            "node": processes.node("segmentation_node", NODE, {"device": "CPU", "drop_policy": "none"}, MEASURED),
        }
        processes.wait_ready([children["node"]])
        path = str(processes.folder / "graph.xml")
        graph = {"path": path, **children["bare"].ask({"export": path}, ANSWER_S)}
        children["feeder"].ask({"node": NODE, "warm": True}, ANSWER_S)
        numbers = track(range(args.rounds), f"rounds of {size_text(image_size)}", transient=True)
        rounds = [one_round(processes, children, graph, args) for _ in numbers]
    medians = {name: Median.of([r[name] for r in rounds]).as_dict() for name in rounds[0]}
    settings = {name: value for name, value in graph.items() if name != "path"}
    return {"size": size_text(image_size), "settings": settings, **medians}


def print_tables(console: Console, rows: list[dict[str, Any]]) -> None:
    """Throughput, and where the time of a frame goes; a column a size."""
    sizes = [r["size"] for r in rows]
    settings = ", ".join(f"{name}: {value}" for name, value in rows[0]["settings"].items())
    fps = Table("", *sizes, title="frames a second", caption="median and half of its 95 % interval")
    fps.add_row("node", *(Median(**r["node_fps"]).text(1) for r in rows))
    fps.add_row("benchmark_app", *(Median(**r["benchmark_app_fps"]).text(1) for r in rows))
    fps.add_row("bare: with masks", *(Median(**r["bare_fps"]).text(1) for r in rows))
    fps.add_row("node / bare", *(Median(**r["ratio"]).text(3) for r in rows))
    parts = Table("", *sizes, title="time of a frame in the node, ms")
    for name, label in PARTS.items():
        parts.add_row(label, *(Median(**r[name]).text() for r in rows))
    console.print(fps, parts)
    console.print(f"both with {settings}")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=3, help="rounds of each (%(default)s)")
    arguments.add_argument("--seconds", type=float, default=10.0, help="length of each round (%(default)s)")
    arguments.add_argument("--window", type=int, default=3, help="frames on their way at a time (%(default)s)")
    arguments.add_argument("--sizes", nargs="+", type=size, default=[(640, 480), (1280, 720)], help="image sizes")
    args = arguments.parse_args()
    rows = [measure(image_size, args) for image_size in args.sizes]
    print_tables(Console(), rows)
    save(args.out, "throughput", {"seconds": args.seconds, "window": args.window, "rows": rows})


if __name__ == "__main__":
    run(main)
