"""cmt-seg compare: is a run better than another one over the same frames, or is it chance?"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from cmt_seg_ros.cli.console import cell, new_console, say
from cmt_seg_ros.errors import ConfigError
from cmt_seg_ros.evaluation.compare.comparison import BETTER, WORSE, Comparison, Settings, compare
from cmt_seg_ros.evaluation.compare.runs import load_run
from cmt_seg_ros.evaluation.compare.text import (
    broken_limits,
    difference_text,
    frames_text,
    interval_text,
    parse_limits,
    value_text,
)
from cmt_seg_ros.outputs import OutputFolder

EXAMPLES = """examples:
  cmt-seg compare old/summary.json new/summary.json           old is the baseline
  cmt-seg compare old new newer --out out/compare             folders do, too; compare.html and compare.json
  cmt-seg compare old new --fail-below mean_iou=-0.5          for CI: status 1 if mean IoU fell by more than 0.5 points
  cmt-seg compare old new --fail-below hota=-1 --fail-below class_iou.Pedestrian=-2 --fail-below result_share=0

A CI job that keeps the run of the main branch in `baseline`:
  cmt-seg evaluate drive.mcap --out new && cmt-seg compare baseline new --out new/compare --fail-below mean_iou=-0.5

CHANGE is towards better: negative is worse, also for scores of which lower is better (ece, id_switches, times). For
shares (IoU, HOTA, MOTA, ece, ...) it is in % points, for infer_p50_ms and infer_mean_ms in ms, for frames_per_s in 1/s,
for id_switches a count. A score that one of the runs does not have fails, too. The limit looks at the change alone,
not at its interval. An unknown NAME lists all.

Each run has frames.jsonl beside its summary.json, as `cmt-seg evaluate` writes them. Frames that only one run has
are left out, and counted. Times are never judged: machines are noisy.

status 0: compared, no limit broken; 1: a limit is broken, or an error that is explained.
"""
STYLES = {BETTER: "green", WORSE: "bold red"}


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="compare runs of `cmt-seg evaluate`: which differences are real",
        description="Compares runs over the same frames with the first one, the baseline, and says with intervals "
        "(paired block bootstrap over frames) which differences are real.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("baseline", type=Path, help="summary.json of the baseline, or the folder of it")
    parser.add_argument("runs", type=Path, nargs="+", metavar="run", help="those of the runs to compare with it")
    parser.add_argument("--out", type=Path, help="folder for compare.html and compare.json")
    parser.add_argument(
        "--fail-below", action="append", default=[], metavar="NAME=CHANGE",
        help="status 1 if this score changed by less than this (see below); can be repeated",
    )  # fmt: skip
    parser.add_argument("--resamples", type=int, default=Settings.resamples, help="draws of the frames (%(default)s)")
    parser.add_argument(
        "--block", type=int, default=Settings.block, metavar="FRAMES",
        help="neighbouring frames drawn together; more if a clip changes slowly (0: twice the cube root of all)",
    )  # fmt: skip
    parser.add_argument(
        "--level", type=float, default=Settings.level, help="how often intervals shall hold (%(default)s)"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; status 1 when a limit is broken."""
    settings = Settings(args.resamples, args.block, args.level)
    if args.out and importlib.util.find_spec("jinja2") is None:
        raise ConfigError("--out needs jinja2 and matplotlib; install them with: pip install -e '.[demo]'")
    baseline = load_run(args.baseline)
    limits = parse_limits(args.fail_below, baseline.classes)
    comparisons = [compare(baseline, load_run(path), settings) for path in args.runs]
    failures = [failure for comparison in comparisons for failure in broken_limits(comparison, limits)]
    for comparison in comparisons:
        _print(comparison, settings)
    if args.out:
        from cmt_seg_ros.evaluation.compare.page import write_comparison  # needs an extra

        write_comparison(OutputFolder(args.out), comparisons, settings, failures)
        say(args.out / "compare.html")
    for failure in failures:
        say(f"cmt-seg compare: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _print(comparison: Comparison, settings: Settings) -> None:
    console = new_console()
    numbers = [Column(title, justify="right", no_wrap=True) for title in ("baseline", "run")]
    difference = Column(f"difference\n{100 * settings.level:g} % interval", justify="right", no_wrap=True)
    table = Table(Column("score", overflow="fold"), *numbers, difference, "verdict")
    for row, after in zip(comparison.rows, (*comparison.rows[1:], None), strict=True):
        values = [value_text(row, value) for value in (row.baseline, row.value)]
        text = f"{difference_text(row)} {interval_text(row)}".strip()
        verdict = Text(row.verdict, style=STYLES.get(row.verdict, ""))
        table.add_row(
            row.title, *values, text, verdict, end_section=after is not None and after.of_class != row.of_class
        )
    console.print(Text.assemble(cell(comparison.run, "bold"), cell(f" against {comparison.baseline}")))
    console.print(table)
    console.print(f"{frames_text(comparison)}; differences of shares in % points")
    for warning in comparison.warnings:
        console.print(cell(f"warning: {warning}", "yellow"))
