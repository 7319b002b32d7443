"""cmt-seg models: lists and verifies the installed models, or shows the card of one."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Column, Table
from rich.text import Text

from cmt_seg_ros.errors import ModelError
from cmt_seg_ros.runtime.model_package import ModelPackage, available

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
    try:
        card = (package.folder / "README.md").read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{package.folder / 'README.md'}: {error.strerror}; this package has no card") from error
    console = Console()
    console.print(Markdown(card))
    console.print(f"{package.folder}: files verified", highlight=False)
    return 0


def _list_packages() -> int:
    table = Table(Column("model", no_wrap=True), "type", "classes", "size", "scores", "files")
    damaged = 0
    for name, folder in available().items():
        try:
            package = ModelPackage.load(str(folder))
        except ModelError as error:
            damaged += 1
            table.add_row(name, "", "", "", "", Text(str(error), style="red"))
            continue
        size, scores = f"{package.width}x{package.height}", package.description.get("scores", {})
        listed = "\n".join(f"{title} {scores[key]}" for title, key in LISTED_SCORES.items() if key in scores)
        table.add_row(name, package.precision, str(len(package.labels)), size, listed, "verified")
    Console().print(table)
    return 1 if damaged else 0
