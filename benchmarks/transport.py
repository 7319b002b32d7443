"""Transport: what does it cost to send and receive images in Python: typed or serialized messages, which executor?

Two processes on a core each, best effort, config/fastdds.xml, freed memory kept as all nodes of the package do
(ros/common/process.py). CPU time a message of the whole process. Received as a typed message viewed by numpy, or as
serialized bytes parsed by hand; under each executor of rclpy, by a node with as many entities as
segmentation_node. Sent with data set to bytes, to an array.array, to a numpy array past the setter (_data), or as
serialized bytes made by hand.
At last: do images of 1920x1080 arrive at 30 Hz, with config/fastdds.xml and with Fast DDS's own defaults?
Prints tables and writes out/bench/transport.json; takes three minutes.

    python benchmarks/transport.py
    python benchmarks/transport.py --frames 20 --seconds 3 --sizes 640x480    (a quick look)
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from support.processes import MEASURED, OTHERS, Processes
from support.report import parser, run, save, size, size_text

ANSWER_S = 60.0
FLOW = (1920, 1080)
RECEIVED, SENT = ("typed", "serialized"), ("bytes", "array", "ndarray", "serialized")
HAS_EVENTS = importlib.util.find_spec("rclpy.experimental.events_executor") is not None  # Jazzy and later
EXECUTORS = ("single", "events", "multi") if HAS_EVENTS else ("single", "multi")


def transfer(
    image_size: tuple[int, int], frames: int, fps: float, way: str, received: str, executor: str, profile: bool = True
) -> dict[str, Any]:
    """Send images from one process to another; counts and CPU milliseconds a message on both sides."""
    options = [] if profile else ["--no-profile"]
    raw = ["--raw"] if received == "serialized" else []
    with Processes() as processes:
        receiver = processes.script("image_receiver", [executor, *raw, *options], MEASURED)
        sender = processes.script("image_sender", [*image_size, way, *options], OTHERS)
        sent = sender.ask({"frames": frames, "fps": fps}, frames / fps + ANSWER_S)
        got = receiver.ask({"sent": sent["sent"]}, ANSWER_S)
    return {
        "size": size_text(image_size),
        "sent_as": way,
        "received_as": received,
        "executor": executor,
        "profile": profile,
        "sent": sent["sent"],
        "received": got["received"],
        "send_ms": sent["cpu_ms"],
        "receive_ms": got["cpu_ms"],
    }


def print_costs(console: Console, rows: list[dict[str, Any]]) -> None:
    """CPU time of receiving and of sending, a column a size."""
    sizes = list(dict.fromkeys(r["size"] for r in rows))
    receive = Table("executor", "message", *sizes, title="receive: CPU ms a message")
    for executor in EXECUTORS:
        for received in RECEIVED:
            kind = {"executor": executor, "received_as": received, "sent_as": "array"}
            receive.add_row(executor, received, *_figures(rows, kind, "receive_ms"))
    send = Table("data set to", *sizes, title="send: CPU ms a message")
    for way in SENT:
        kind = {"executor": "single", "received_as": "typed", "sent_as": way}
        send.add_row(way, *_figures(rows, kind, "send_ms"))
    console.print(receive, send)


def _figures(rows: list[dict[str, Any]], kind: dict[str, str], figure: str) -> list[str]:
    """One figure of the measurements of a kind, in the order of the sizes."""
    return [f"{r[figure]:.2f}" for r in rows if kind.items() <= r.items()]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--frames", type=int, default=60, help="messages of each measurement (%(default)s)")
    arguments.add_argument("--fps", type=float, default=30.0, help="rate at which they come (%(default)s)")
    arguments.add_argument("--seconds", type=float, default=10.0, help="length of the last test (%(default)s)")
    arguments.add_argument("--sizes", nargs="+", type=size, default=[(640, 480), (1280, 720), FLOW], help="image sizes")
    args = arguments.parse_args()
    ways = [("array", received, executor) for executor in EXECUTORS for received in RECEIVED]
    ways += [(way, "typed", "single") for way in SENT if way != "array"]
    rows, flows = [], []
    with Progress(transient=True) as progress:
        task = progress.add_task("transfers", total=len(ways) * len(args.sizes) + 2)
        for image_size in args.sizes:
            for way in ways:
                rows.append(transfer(image_size, args.frames, args.fps, *way))
                progress.advance(task)
        for profile in (True, False):
            flows.append(transfer(FLOW, math.ceil(args.seconds * 30), 30.0, "array", "typed", "single", profile))
            progress.advance(task)
    console = Console()
    print_costs(console, rows)
    table = Table("Fast DDS", "sent", "received", title=f"{size_text(FLOW)} at 30 Hz, best effort")
    for r in flows:
        table.add_row("config/fastdds.xml" if r["profile"] else "its defaults", str(r["sent"]), str(r["received"]))
    console.print(table)
    save(args.out, "transport", {"frames": args.frames, "fps": args.fps, "rows": rows, "flow": flows})


if __name__ == "__main__":
    run(main)
