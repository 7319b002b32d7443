"""cmt-seg models: lists and verifies the installed models, or shows the card of one."""

from __future__ import annotations

import argparse

from rich.markdown import Markdown
from rich.table import Column, Table

from cmt_seg_ros.cli.console import cell, new_console
from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.runtime.model_package import ModelPackage, available
from cmt_seg_ros.text import printable, printable_lines, shortened

EXAMPLES = """examples:
  cmt-seg models                        all installed models with their scores
  cmt-seg models cmt-mchh-lite-camvid   the card of one model: classes, scores, data and terms

Files are always checked against the checksums in model.yaml; the exit status is 1 if one is damaged.
"""
LISTED_SCORES = {"miou": "miou", "objectness": "objectness_iou"}  # the others are on the card


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "models",
        help="list installed model packages and verify their checksums, or show the card of one",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", help="name or folder of a model package: show its card")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; status 1 if a package is damaged."""
    return _show_card(args.model) if args.model else _list_packages()


def _show_card(model: str) -> int:
    package = ModelPackage.load(model)
    console = new_console()
    console.print(Markdown(printable_lines(package.read_card()), hyperlinks=False))
    console.print(f"{printable(package.folder)}: files verified")
    return 0


def _list_packages() -> int:
    table = Table(Column("model", no_wrap=True), "type", "classes", "size", "scores", "files")
    damaged = 0
    for name, folder in available().items():
        try:
            package = ModelPackage.load(str(folder))
            package.read_ir()
        except ModelError as error:
            damaged += 1
            table.add_row(name, "", "", "", "", cell(error, "red"))
            continue
        size, scores = f"{package.width}x{package.height}", package.description.get("scores")
        known = scores if isinstance(scores, dict) else {}
        listed = "\n".join(f"{title} {shortened(known[key])}" for title, key in LISTED_SCORES.items() if key in known)
        table.add_row(name, package.precision, str(len(package.labels)), size, listed, "verified")
    new_console().print(table)
    return 1 if damaged else 0
