"""Overload: what does the node do for five minutes with about three times as many images as the machine can segment?

One segmentation_node with four cameras, each sending 30 images a second; another process receives their masks;
nothing is pinned to a core. Judged, each with the figures beside it:
- age of a mask when its subscriber gets it (now - stamp), 99th percentile: at most three inference periods. The
  period is the shorter of 1 / (frames inferred per second, all cameras together) and the time between two
  dispatches, that is between masks that do not come together;
- memory: the node's largest RSS after the first minute is less than 20 MB above that at its end;
- fairness: the frames inferred of each camera are within 10 % of the cameras' mean;
- accounting: for each camera received = inferred + dropped, exactly, once the cameras have stopped.
Images that the middleware replaces before the node sees them (best effort, keep last 1) are not "received"; how
many they are is printed. Prints a table and writes out/bench/overload.json, with a row for each minute.

    python benchmarks/overload.py
    python benchmarks/overload.py --minutes 0.5 --cameras 4 --fps 30 --size 640x480    (a quick look)
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.measures import Samples, rss_mb
from support.processes import CORES, Child, Processes
from support.report import parser, run, save, size, size_text

from cmt_seg_ros.errors import CmtSegError

NAMES = ("front", "left", "right", "rear", "up", "down")
ANSWER_S, IDLE_S, FIRST_MASK_S = 30.0, 30.0, 120.0
PERIODS, GROWTH_MB, UNFAIR = 3.0, 20.0, 0.10  # what is allowed
MINUTE_S = 60.0


def wait_for_masks(masks: Child, names: list[str]) -> dict[str, dict[str, str]]:
    """Wait until a mask of every camera has come; the counts at that time.

    Raises:
        CmtSegError: a camera has none.
    """
    waiting, deadline = set(names), time.monotonic() + FIRST_MASK_S
    while True:
        answer = masks.ask({}, ANSWER_S)
        waiting -= {name for name, _, _ in answer["masks"]}
        if not waiting and set(names) <= set(answer["status"]):
            return dict(answer["status"])
        if time.monotonic() > deadline:
            raise CmtSegError(f"no mask or no status of {', '.join(waiting) or 'some camera'} in {FIRST_MASK_S:g} s")
        time.sleep(0.1)


def wait_idle(masks: Child) -> dict[str, dict[str, str]]:
    """The counts once the node has nothing more to do: two diagnostics in a row agree."""
    last: dict[str, Any] = {}
    deadline = time.monotonic() + IDLE_S
    while time.monotonic() < deadline:
        answer = masks.ask({}, ANSWER_S)
        counts = {
            name: {key: s[key] for key in ("received", "inferred", "dropped")} for name, s in answer["status"].items()
        }
        if answer["statuses"] > last.get("statuses", 0) + 1:
            if counts == last.get("counts"):
                break
            last = {"counts": counts, "statuses": answer["statuses"]}
        time.sleep(0.2)
    return dict(answer["status"])


def measure(names: list[str], image_size: tuple[int, int], fps: float, seconds: float) -> dict[str, Any]:
    """Let the cameras send, and collect."""
    cores, samples = set(CORES), Samples()
    with Processes() as processes:
        masks = processes.script("mask_receiver", names, cores)
        node = processes.node("segmentation_node", "/", {"device": "CPU", "cameras": names}, cores)
        processes.wait_ready([node])
        cameras = processes.script("camera_publishers", (*image_size, fps, *names), cores)
        first = wait_for_masks(masks, names)
        began = time.monotonic()
        for second in track(range(1, round(seconds) + 1), f"{len(names)} cameras x {fps:g} Hz", transient=True):
            time.sleep(max(0.0, began + second - time.monotonic()))
            samples.rss.append((time.monotonic() - began, rss_mb(node.pid)))
            answer = masks.ask({}, ANSWER_S)
            samples.add(answer["masks"])
        sent = cameras.ask({}, ANSWER_S)
        last = wait_idle(masks)
    return {"samples": samples, "first": first, "busy": answer["status"], "last": last, **sent}


def judge(measured: dict[str, Any], names: list[str], seconds: float) -> dict[str, Any]:
    """Figures and verdicts."""
    samples: Samples = measured["samples"]
    last = {name: {k: int(measured["last"][name][k]) for k in ("received", "inferred", "dropped")} for name in names}
    inferred = {name: last[name]["inferred"] - int(measured["first"][name]["inferred"]) for name in names}
    frame_s, dispatch_s = 1 / samples.masks_per_s(), samples.dispatch_s()
    period_s, age_s = min(frame_s, dispatch_s), float(np.percentile(samples.ages_s, 99))
    mean = sum(inferred.values()) / len(names)
    unfair = max(abs(count / mean - 1) for count in inferred.values())
    growth = samples.growth_mb(min(MINUTE_S, seconds / 3))
    lost = sum(measured["sent"].values()) - sum(c["received"] for c in last.values())
    missing = {name: c["received"] - c["inferred"] - c["dropped"] for name, c in last.items()}
    return {
        "offered_hz": measured["hz"] * len(names),
        "inferred_hz": samples.masks_per_s(),
        "offered_over_inferred": measured["hz"] * len(names) * frame_s,
        "frame_period_ms": frame_s * 1e3,
        "dispatch_period_ms": dispatch_s * 1e3,
        "age_p50_ms": float(np.median(samples.ages_s)) * 1e3,
        "age_p99_ms": age_s * 1e3,
        "age_p99_periods": age_s / period_s,
        "rss_growth_mb": growth,
        "unfairness": unfair,
        "inferred": inferred,
        "unaccounted": missing,
        "not_received": lost,
        "passed": {
            "age": age_s <= PERIODS * period_s,
            "memory": growth < GROWTH_MB,
            "fairness": unfair <= UNFAIR,
            "accounting": not any(missing.values()),
        },
        "minutes": samples.minutes(MINUTE_S),
        "diagnostics_while_busy": measured["busy"],
        "diagnostics_at_end": measured["last"],
    }


def print_tables(console: Console, result: dict[str, Any]) -> None:
    """Verdicts, and the minutes."""
    verdicts = Table("", "figure", "allowed", "", title="overload")
    period = min(result["frame_period_ms"], result["dispatch_period_ms"])
    age = f"{result['age_p99_ms']:.0f} ms = {result['age_p99_periods']:.2f} periods"
    rows = {
        "age": ("age of masks, p99", age, f"{PERIODS:g} periods of {period:.1f} ms"),
        "memory": ("growth of memory", f"{result['rss_growth_mb']:.1f} MB", f"below {GROWTH_MB:g} MB"),
        "fairness": ("share of a camera, off the mean by", f"{result['unfairness']:.1%}", f"{UNFAIR:.0%}"),
        "accounting": ("received - inferred - dropped", str(sum(map(abs, result["unaccounted"].values()))), "0"),
    }
    for name, cells in rows.items():
        verdicts.add_row(*cells, "pass" if result["passed"][name] else "FAIL")
    console.print(verdicts)
    console.print(
        f"offered {result['offered_hz']:.1f} images/s, inferred {result['inferred_hz']:.1f}/s: "
        f"{result['offered_over_inferred']:.2f} times as many; one frame every {result['frame_period_ms']:.1f} ms, one "
        f"dispatch every {result['dispatch_period_ms']:.1f} ms; {result['not_received']} images did not reach the node"
    )
    minutes = Table("from, s", "masks", "age p50, ms", "age p99, ms", "largest RSS, MB", title="by minute")
    for r in result["minutes"]:
        minutes.add_row(*(f"{value:.0f}" for value in r.values()))
    console.print(minutes)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--minutes", type=float, default=5.0, help="how long (%(default)s)")
    arguments.add_argument(
        "--cameras", type=int, default=4, choices=range(1, len(NAMES) + 1), help="how many (%(default)s)"
    )
    arguments.add_argument("--fps", type=float, default=30.0, help="of each camera (%(default)s)")
    arguments.add_argument("--size", type=size, default=(640, 480), help="of the images (640x480)")
    args = arguments.parse_args()
    names, seconds = list(NAMES[: args.cameras]), args.minutes * MINUTE_S
    result = judge(measure(names, args.size, args.fps, seconds), names, seconds)
    print_tables(Console(), result)
    setting = {"cameras": args.cameras, "fps": args.fps, "size": size_text(args.size), "minutes": args.minutes}
    save(args.out, "overload", {**setting, **result})


if __name__ == "__main__":
    run(main)
