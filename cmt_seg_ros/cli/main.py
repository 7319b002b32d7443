"""cmt-seg command: one parser, one error boundary; each subcommand is a thin file beside this one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cmt_seg_ros import __version__
from cmt_seg_ros.cli import (
    compare,
    demo,
    doctor,
    evaluate,
    export,
    models,
    predict,
    quantize,
    record,
    scene,
    top,
    track,
    train,
)
from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.node_processes import terminable

EXAMPLES = """examples:
  cmt-seg demo                                           real nodes on the synthetic street; report in out/demo
  cmt-seg predict --images photos --out masks            masks and overlays of a folder, without ROS
  cmt-seg evaluate drive.mcap --out out/drive            every frame of a bag: accuracy, tracks, speed, report
  cmt-seg compare out/old out/new                        is the new run better, worse, or the same within noise?
  cmt-seg record                                         record input and output of the running nodes
  cmt-seg models                                         installed models with their scores
  cmt-seg doctor                                         check this machine and say how to fix what is missing
  cmt-seg top                                            rates, ages and drops of the running nodes
  cmt-seg COMMAND --help                                 options and examples of a command
"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="cmt-seg",
        description="Semantic masks, objectness masks and object tracks from camera images, with OpenVINO.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cmt_seg_ros {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    everyday = (demo, doctor, top, predict, track, evaluate, compare, record, models, scene)
    for command in (*everyday, train, export, quantize):
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0 done, 1 an explained error, 2 wrong usage, 130 Ctrl-C or SIGTERM."""
    args = build_parser().parse_args(arguments)
    try:
        with terminable():
            return int(args.func(args))
    except CmtSegError as error:
        print(f"cmt-seg {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"cmt-seg {args.command}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
