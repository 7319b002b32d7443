"""The results of an evaluation on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from cmt_seg_ros.evaluation.scores.summary import Summary
from cmt_seg_ros.evaluation.scores.tables import result_rows

SHOWN = 10


def print_results(summary: Summary, report: Path) -> None:
    """Print the figures, the first problems with the input, and where the report is."""
    table = Table(title=f"{summary['clip']}: {summary['model']} on {summary['timing']['device'] or 'no device'}")
    for name, justify in (("quantity", "left"), ("value", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in result_rows(summary):
        table.add_row(row.name, row.value)
    console = Console()
    console.print(table)
    problems = summary["problems"]
    for line in problems["lines"][:SHOWN]:
        console.print(f"problem: {line}", highlight=False, soft_wrap=True)
    count = sum(problems["counts"].values())
    if count > SHOWN:
        console.print(f"problems in all: {count}, see the report", highlight=False)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)
