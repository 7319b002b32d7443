"""Overhead: how much CPU time does segmentation_node add to the bare compiled model, and how much an ordinary node?

The same frames at the same rate, in short rounds that take turns, so that what else the machine does meets all:
- bare: the node's own compiled graph and the function that makes both masks of its scores, and nothing else;
- network: only the network, compiled as the afternoon node does, infer and nothing else;
- ours: segmentation_node, the whole process, receiving and publishing included;
- afternoon: benchmarks/baseline/afternoon_node.py, a plain rclpy node with the same results;
- shortcut: the same, but it makes its masks at the network's size and repeats pixels, which shows at edges.
A subscriber in another process takes both masks of each. What is measured has one core to itself and the
subscriber and source have another: with two threads, what OpenVINO's threads spend waiting for each other is more
than what a node adds. The three nodes run from the start; the two that wait do nothing but be there.

Overhead is CPU time a frame minus that of inference in the same round. Bare makes the masks, too, which the
afternoon node does in its own way, so there are two readings: minus each node's own inference (bare for ours, network
for the others), or minus bare for all, which counts as overhead only what a node takes longer than bare.
All nodes use config/fastdds.xml: the afternoon node, too, as without it most images of 1280x720 do not arrive.
Prints two tables and writes out/bench/node_overhead.json; takes six minutes.

    python benchmarks/node_overhead.py
    python benchmarks/node_overhead.py --rounds 3 --frames 15 --sizes 640x480    (a quick look)
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.measures import Median, cpu_ms
from support.processes import BENCHMARKS, MEASURED, OTHERS, Child, Processes
from support.report import parser, run, save, size, size_text

from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime.model_package import find

BARE, NETWORK, OURS, AFTERNOON, SHORTCUT = "bare", "network", "ours", "afternoon", "shortcut"
MODELS = {BARE: "node", NETWORK: "network"}  # names of bare.py
NODES = (OURS, AFTERNOON, SHORTCUT)
# What is subtracted from each node's time, by the reading of "overhead".
SUBTRACTED = {
    "own inference": {OURS: BARE, AFTERNOON: NETWORK, SHORTCUT: NETWORK},
    "bare": dict.fromkeys(NODES, BARE),
}
ANSWER_S = 120.0


def start_nodes(processes: Processes) -> dict[str, Child]:
    """The three nodes, each in a namespace of its name."""
    model = str(find(SegmentationConfig().model) / "model.xml")
    afternoon = str(BENCHMARKS / "baseline" / "afternoon_node.py")
    parameters = {AFTERNOON: {"upsample": "probabilities"}, SHORTCUT: {"upsample": "classes"}}
    nodes = {OURS: processes.node("segmentation_node", f"/{OURS}", {"device": "CPU"}, MEASURED)}
    for name, values in parameters.items():
        nodes[name] = processes.node(afternoon, f"/{name}", {"model": model, **values}, MEASURED)
    processes.wait_ready(nodes.values())
    return nodes


def model_round(name: str, bare: Child, frames: int, fps: float) -> float:
    """CPU milliseconds a frame of a compiled model."""
    request = {"model": MODELS[name], "frames": frames, "fps": fps}
    spent = bare.ask(request, frames / fps + ANSWER_S)
    return float(spent["infer_ms"] + spent["masks_ms"])


def node_round(name: str, node: Child, feeder: Child, frames: int, fps: float) -> tuple[float, int]:
    """CPU milliseconds a frame of one node, and frames that did not come back."""
    before = cpu_ms(node.pid)
    counts = feeder.ask({"node": f"/{name}", "frames": frames, "fps": fps}, frames / fps + ANSWER_S)
    spent, done = cpu_ms(node.pid) - before, min(counts["mask"], counts["objectness"])
    if not done:
        raise node.failure(f"sent no masks for {frames} frames")
    return spent / done, frames - done


def measure(image_size: tuple[int, int], frames: int, fps: float, rounds: int) -> dict[str, Any]:
    """CPU milliseconds a frame in every round, by what was measured; and frames lost."""
    with Processes() as processes:
        bare = processes.script("bare_model", image_size, MEASURED)
        feeder = processes.script("feeder", (*image_size, *(f"/{name}" for name in NODES)), OTHERS)
        nodes = start_nodes(processes)
        for name in NODES:
            feeder.ask({"node": f"/{name}", "warm": True}, ANSWER_S)
        times: dict[str, list[float]] = {name: [] for name in (*MODELS, *NODES)}
        for name in MODELS:
            model_round(name, bare, 3, fps)
        lost = dict.fromkeys(NODES, 0)
        for number in track(range(rounds), f"rounds of {size_text(image_size)}", transient=True):
            names, first = list(times), number % len(times)
            for name in names[first:] + names[:first]:
                if name in MODELS:
                    times[name].append(model_round(name, bare, frames, fps))
                else:
                    spent, missing = node_round(name, nodes[name], feeder, frames, fps)
                    times[name].append(spent)
                    lost[name] += missing
    return {"ms": times, "lost": lost}


def row(image_size: tuple[int, int], measured: dict[str, Any]) -> dict[str, Any]:
    """Medians over the rounds, and what follows from them."""
    ms = measured["ms"]
    result: dict[str, Any] = {
        "size": size_text(image_size),
        "ms": {name: Median.of(values).as_dict() for name, values in ms.items()},
        "ours_over_bare": Median.of([own / bare for own, bare in zip(ms[OURS], ms[BARE], strict=True)]).as_dict(),
        "overhead_ms": {},
        "overhead_times_ours": {},
        "lost": measured["lost"],
    }
    for reading, subtracted in SUBTRACTED.items():
        overhead = {
            name: Median.of([own - model for own, model in zip(ms[name], ms[subtracted[name]], strict=True)])
            for name in NODES
        }
        result["overhead_ms"][reading] = {name: o.as_dict() for name, o in overhead.items()}
        result["overhead_times_ours"][reading] = {
            name: times_ours(overhead[name], overhead[OURS]) for name in NODES[1:]
        }
    return result


def times_ours(other: Median, ours: Median) -> dict[str, Any]:
    """How many times our overhead another node's is.

    Where ours cannot be told from zero there is no ratio, only a lower bound of it: by the upper end of our
    confidence interval (none either if even that is not above zero).
    """
    measurable = ours.low > 0
    divisor = ours.value if measurable else ours.high
    value = other.value / divisor if divisor > 0 else None
    text = "ours below zero" if value is None else f"{'' if measurable else '>= '}{value:.1f}"
    return {"value": value, "is_lower_bound": not measurable, "text": text}


def print_tables(console: Console, rows: list[dict[str, Any]]) -> None:
    """What a frame costs, and what the nodes add; a column a size."""
    sizes = [r["size"] for r in rows]
    cost = Table("", *sizes, title="CPU time a frame, ms", caption="median and half of its 95 % interval")
    for name in (*MODELS, *NODES):
        cost.add_row(name, *(Median(**r["ms"][name]).text(1) for r in rows))
    cost.add_section()
    cost.add_row("ours / bare", *(Median(**r["ours_over_bare"]).text() for r in rows))
    added = Table("minus", "", *sizes, title="overhead a frame, ms")
    for reading in SUBTRACTED:
        for name in NODES:
            added.add_row(reading, name, *(Median(**r["overhead_ms"][reading][name]).text(1) for r in rows))
        for name in NODES[1:]:
            ratios = (r["overhead_times_ours"][reading][name]["text"] for r in rows)
            added.add_row(reading, f"{name} / ours", *ratios)
        added.add_section()
    console.print(cost, added)
    lost = sum(sum(r["lost"].values()) for r in rows)
    console.print(f"frames that did not come back: {lost}")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=9, help="rounds of each (%(default)s)")
    arguments.add_argument("--frames", type=int, default=20, help="frames of each round (%(default)s)")
    arguments.add_argument("--fps", type=float, default=10.0, help="rate at which they come (%(default)s)")
    arguments.add_argument("--sizes", nargs="+", type=size, default=[(640, 480), (1280, 720)], help="image sizes")
    args = arguments.parse_args()
    rows = [row(s, measure(s, args.frames, args.fps, args.rounds)) for s in args.sizes]
    print_tables(Console(), rows)
    save(args.out, "node_overhead", {"frames": args.frames, "fps": args.fps, "rounds": args.rounds, "rows": rows})


if __name__ == "__main__":
    run(main)
