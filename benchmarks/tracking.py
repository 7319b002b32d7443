"""Tracking: how well does our tracker follow objects, against open trackers on the same input, and how fast?

Three tests on sequences of MOT15, scored as boxes, all sequences of a test together:

  boxes   the public boxes of a detector (det/det.txt)
  ideal   masks drawn from the truth, an ellipse a person: who overlaps is one piece. Other trackers get the boxes
          of the components
  real    masks that background subtraction made of the video of PETS09-S2L1; other trackers get the boxes of the
          components of 0.03 % of the image and more

The other trackers are those of Roboflow's `trackers` at their defaults, once told the frame rate of the sequence and
once ("30 Hz") left with their own. "perfect identities" gives each box the id of the true object that it shows, if
any: the most that is possible without mending boxes. Scores are those of TrackEval, with --quick of motrics (the same
HOTA and IDF1 in less time; IDSW and MOTA differ a little). ms is the time of a frame in the tracker, for ours with
finding the objects in masks.

Then CPU time a frame on one core, on streets of blobs that need no data (one where nobody touches anybody, and a crowd
where a quarter are hidden or merged), and memory. Writes out/bench/tracking.json.

    python benchmarks/tracking.py --data FOLDER      FOLDER holds mot15/<sequence>/{gt,det,seqinfo.ini} and vtest/
    python benchmarks/tracking.py --data FOLDER --tests real --quick --sequences
    python benchmarks/tracking.py --speed --frames 100000
"""

from __future__ import annotations

import importlib.util
import tempfile
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.mot15 import VTEST, Material, MotSequence, ideal_blobs, perfect_identities, public_boxes, real_masks
from support.mot_scores import ALL, Scores, motrics_scores, trackeval_scores, write_results
from support.other_trackers import DEFAULT_RATE, RIVALS, Result, run_ours, run_rival
from support.report import DATA_VARIABLE, add_data, parser, run, save, size, size_text
from support.tracker_speed import COMPONENTS, OURS, measure_memory, measure_speed, street

from cmt_seg_ros.errors import CmtSegError

TESTS = {
    "boxes": "public boxes",
    "ideal": "ideal masks with merges",
    "real": "real masks of PETS09-S2L1",
}
PERFECT = "perfect identities"
FIGURES = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "IDSW")


def load(test: str, data: Path) -> list[Material]:
    """The sequences of a test; none where the data of the test is not there."""
    folders = sorted(path.parent for path in (data / "mot15").glob("*/seqinfo.ini"))
    sequences = [MotSequence.read(folder) for folder in folders]
    if test == "real":
        vtest = data / "vtest"
        return [real_masks(s, vtest) for s in sequences if s.name == VTEST and (vtest / "masks").is_dir()]
    read = public_boxes if test == "boxes" else ideal_blobs
    return [read(s) for s in track(sequences, "input", transient=True)]


def contestants(test: str) -> dict[str, Callable[[Material], Result]]:
    """Everybody who takes part, by the name in the table."""
    found: dict[str, Callable[[Material], Result]] = {"ours": run_ours}
    if test == "real":
        found["ours, with images"] = partial(run_ours, with_images=True)
    for name in RIVALS:
        found[name] = partial(run_rival, name=name)
        found[f"{name}, 30 Hz"] = partial(run_rival, name=name, fps=DEFAULT_RATE)
    if test == "real":  # the only one of them that looks at images
        found["BoT-SORT, with images"] = partial(run_rival, name="BoT-SORT", with_images=True)
    found[PERFECT] = lambda material: Result(perfect_identities(material), 0.0)
    return found


def compete(test: str, materials: list[Material], quick: bool) -> tuple[dict[str, Scores], dict[str, float]]:
    """Scores of everybody, and ms a frame."""
    people = contestants(test)
    frames = sum(m.sequence.length for m in materials)
    ms = dict.fromkeys(people, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for name, follow in track(people.items(), TESTS[test], transient=True):
            for material in materials:
                result = follow(material)
                write_results(Path(folder), name, material.sequence, result.rows)
                ms[name] += result.ms * material.sequence.length / frames
        score = motrics_scores if quick else trackeval_scores
        return score(Path(folder), list(people), [m.sequence for m in materials]), ms


def score_table(title: str, scores: dict[str, Scores], sequence: str, ms: dict[str, float] | None) -> Table:
    """The scores of one sequence, or of all together, with times."""
    best = max(s[sequence]["HOTA"] for name, s in scores.items() if name != PERFECT)
    table = Table("", *FIGURES, *(["ms"] if ms else []), title=title)
    for name, by_sequence in scores.items():
        figures = by_sequence[sequence]
        cells = [f"{figures[f]:.0f}" if f == "IDSW" else f"{figures[f]:.2f}" for f in FIGURES]
        style = "bold" if figures["HOTA"] == best else "dim" if name == PERFECT else ""
        table.add_row(name, *cells, *([f"{ms[name]:.2f}" if ms[name] else "-"] if ms else []), style=style)
    return table


def scores_part(console: Console, args: Namespace) -> dict[str, Any]:
    """Run the tests; prints a table each."""
    results: dict[str, Any] = {}
    for test in args.tests or TESTS:
        materials = load(test, args.data)
        if not materials:
            console.print(f"{TESTS[test]}: {args.data} has no such data, skipped")
            continue
        scores, ms = compete(test, materials, args.quick)
        title = f"{TESTS[test]}, {len(materials)} sequence(s)"
        console.print(score_table(title, scores, ALL, ms))
        for material in materials if args.sequences and len(materials) > 1 else ():
            console.print(score_table(f"{TESTS[test]}: {material.sequence.name}", scores, material.sequence.name, None))
        results[test] = {name: {"ms": ms[name], "scores": by_sequence} for name, by_sequence in scores.items()}
    return {"scored_by": "motrics" if args.quick else "trackeval", "tests": results}


def speed_part(console: Console, args: Namespace) -> dict[str, Any]:
    """CPU time and memory; prints a table and a line."""
    streets = {"apart": street(args.size, args.objects, False), "crossing": street(args.size, args.objects, True)}
    cpu_ms = {}
    for kind, frames in streets.items():
        times = measure_speed(frames, args.rounds)
        pieces = sum(len(frame.boxes) for frame in frames) / len(frames)
        what = f"{args.objects} objects {kind} ({pieces:.0f} pieces), {size_text(args.size)}, one core"
        table = Table("", "CPU ms a frame", "of ours", title=what)
        for name, median in times.items():
            table.add_row(name, median.text(), f"{median.value / times[OURS].value:.2f}")
        console.print(table, f"ours / {COMPONENTS}: {times[OURS].value / times[COMPONENTS].value:.1f}")
        cpu_ms[kind] = {name: median.as_dict() for name, median in times.items()}
    memory = measure_memory(streets["crossing"], args.frames, with_images=True)
    (early, before), (late, after) = memory[0], memory[-1]
    console.print(f"memory after {early} frames {before:.1f} MB, after {late} {after:.1f} MB: {after - before:+.1f} MB")
    return {
        "size": size_text(args.size),
        "objects": args.objects,
        "cpu_ms": cpu_ms,
        "memory_mb": memory,
    }


def main() -> None:
    arguments = parser(__doc__)
    add_data(arguments)
    arguments.add_argument("--tests", nargs="+", choices=TESTS, help="which (all, and then speed)")
    arguments.add_argument("--sequences", action="store_true", help="a table for each sequence, too")
    arguments.add_argument("--quick", action="store_true", help="score by motrics")
    arguments.add_argument("--speed", action="store_true", help="only time and memory")
    arguments.add_argument("--size", type=size, default=(480, 360), help="of the street (480x360)")
    arguments.add_argument("--objects", type=int, default=20, help="on the street at a time (%(default)s)")
    arguments.add_argument("--rounds", type=int, default=7, help="of 120 frames (%(default)s)")
    arguments.add_argument("--frames", type=int, default=5000, help="over which memory is watched (%(default)s)")
    args = arguments.parse_args()
    missing = [name for name in ("trackers", "trackeval", "motrics") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"{', '.join(missing)}: not installed, so there is nothing to compare with; `make bench` installs them")
        return
    if min(args.objects, args.rounds) < 1 or args.frames < 10:
        raise CmtSegError("--objects and --rounds must be 1 or more, --frames 10 or more")
    console, result = Console(), {}
    if args.data and not args.speed:
        result["quality"] = scores_part(console, args)
    elif not args.speed:
        print(f"no data: give --data, or set {DATA_VARIABLE}; see --help. Without it only speed is measured")
    if not args.tests:
        result["speed"] = speed_part(console, args)
    save(args.out, "tracking", result)


if __name__ == "__main__":
    run(main)
