"""cmt-seg doctor: checks this machine and says what is missing and how to fix it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial

from cmt_seg_ros import __version__
from cmt_seg_ros.config import SegmentationConfig
from cmt_seg_ros.runtime.doctor import (
    ERROR,
    OK,
    WARNING,
    CheckResult,
    check_cache,
    check_devices,
    check_model,
    check_processor,
    check_python,
    check_requirements,
    run_check,
)
from cmt_seg_ros.text import printable_lines

EXAMPLES = """examples:
  cmt-seg doctor                          check everything in a few seconds and remove stale shared memory
  cmt-seg doctor --keep                   the same, but keep stale shared memory
  cmt-seg doctor --device NPU,GPU,CPU     are these devices available?
  cmt-seg doctor --model my_model         is this model package intact, and does it run?
  cmt-seg doctor --json > report.json     for scripts and bug reports

exit status: 0 no errors, warnings possible; 1 at least one error.
"""
ROS_DEADLINE_S = 40.0  # far longer than the checks take
STYLES = {OK: "green", WARNING: "yellow", ERROR: "bold red"}


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="check ROS, DDS, shared memory, devices, model and messages; clean stale shared memory",
        description="Checks everything that the nodes need on this machine, says how to fix what is missing, and "
        "removes the shared memory that killed processes left behind.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default=SegmentationConfig.model, help="model name or folder (%(default)s)")
    parser.add_argument("--device", default=SegmentationConfig.device, help="devices, best first (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="report stale shared memory, but do not remove it")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; status 1 if there is an error."""
    print("checking this machine, which takes a few seconds ...", file=sys.stderr)
    findings = [
        run_check("Python", check_python),
        run_check("modules", check_requirements),
        *_ros_findings(args.keep),
        run_check("devices", partial(check_devices, args.device)),
        run_check("processor", check_processor),
        run_check("model", partial(check_model, args.model)),
        run_check("cache", check_cache),
    ]
    errors = sum(finding.state == ERROR for finding in findings)
    if args.json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"version": __version__, "errors": errors, "findings": rows}, indent=2))
    else:
        _print_table(findings)
    return 1 if errors else 0


def _ros_findings(keep: bool) -> list[CheckResult]:
    """Run the checks that import ROS in their own process; results before a crash count."""
    command = [sys.executable, "-m", "cmt_seg_ros.ros.doctor.checks", *(["--keep"] if keep else [])]
    failure = ""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=ROS_DEADLINE_S)
            if done.returncode != 0:
                failure = f"the checks of ROS ended with status {done.returncode}"
        except subprocess.TimeoutExpired:
            failure = f"the checks of ROS did not end within {ROS_DEADLINE_S:g} s"
        out.seek(0)
        err.seek(0)
        findings = [CheckResult(**json.loads(line)) for line in out if line.startswith('{"check"')]
        said = err.read().strip()[-500:]
    if failure:
        advice = "reinstall ROS, or source only one ROS distribution: libraries of two do not mix"
        findings.append(CheckResult("ROS", ERROR, f"{failure}\n{said}".strip(), advice))
    return findings


def _print_table(findings: Sequence[CheckResult]) -> None:
    counts = ", ".join(
        f"{sum(finding.state == state for finding in findings)} {words}"
        for state, words in ((OK, "ok"), (WARNING, "warnings"), (ERROR, "errors"))
    )
    try:
        from rich.table import Column, Table
        from rich.text import Text

        from cmt_seg_ros.cli.console import new_console
    except ImportError:  # one of the things that are checked
        for finding in findings:
            lines = [
                f"{finding.check}: {finding.state}",
                finding.found,
                finding.advice and f"what to do: {finding.advice}",
            ]
            print("\n  ".join(printable_lines("\n".join(filter(None, lines))).splitlines()))
        print(counts)
        return
    table = Table(Column("check", no_wrap=True), Column("state", no_wrap=True), "found", "what to do", show_lines=True)
    for finding in findings:
        state = Text(finding.state, style=STYLES[finding.state])
        table.add_row(finding.check, state, finding.found, finding.advice)
    console = new_console()
    console.print(table)
    console.print(counts)
