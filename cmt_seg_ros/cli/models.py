"""cmt-seg models: what is installed, verified."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.runtime.model_package import ModelPackage, available

EXAMPLES = """examples:
  cmt-seg models
"""


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "models",
        help="list the installed model packages and verify their checksums",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; status 1 when a package is damaged."""
    table = Table("model", "classes", "trained at", "scores", "files")
    damaged = 0
    for name, folder in available().items():
        try:
            package = ModelPackage.load(str(folder))
        except ModelError as error:
            damaged += 1
            table.add_row(name, "", "", "", f"[red]{error}[/red]")
            continue
        scores = ", ".join(f"{k} {v}" for k, v in package.description.get("scores", {}).items() if k != "iou")
        table.add_row(name, str(len(package.labels)), f"{package.width}x{package.height}", scores, "verified")
    Console().print(table)
    return 1 if damaged else 0
