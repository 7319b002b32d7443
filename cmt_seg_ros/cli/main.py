"""cmt-seg command: one parser, one error boundary; each subcommand is a thin file beside this one."""

from __future__ import annotations

import argparse
import importlib
import io
import keyword
import sys
from collections.abc import Sequence

from cmt_seg_ros import __version__
from cmt_seg_ros.errors import CmtSegError
from cmt_seg_ros.files import ESCAPED
from cmt_seg_ros.node_processes import terminable
from cmt_seg_ros.requirements import explain

EVERYDAY = ("demo", "doctor", "top", "predict", "track", "evaluate", "compare", "record", "models", "scene")
COMMANDS = (*EVERYDAY, "import", "train", "export", "quantize")
"""Each is a module beside this one; one whose name Python reserves has an underscore behind it."""

EXAMPLES = """examples:
  cmt-seg demo                                           real nodes on the synthetic street; report in out/demo
  cmt-seg predict --images photos --out masks            masks and overlays of a folder, without ROS
  cmt-seg evaluate drive.mcap --out out/drive            every frame of a bag: accuracy, tracks, speed, report
  cmt-seg compare out/old out/new                        is the new run better, worse, or the same within noise?
  cmt-seg record                                         record input and output of the running nodes
  cmt-seg models                                         installed models with their scores
  cmt-seg import net.onnx --classes cityscapes           a network of your own becomes a model of this package
  cmt-seg doctor                                         check this machine and say how to fix what is missing
  cmt-seg top                                            rates, ages and drops of the running nodes
  cmt-seg COMMAND --help                                 options and examples of a command
"""


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """Build the parser of commands; only their modules are imported."""
    parser = argparse.ArgumentParser(
        prog="cmt-seg",
        description="Semantic masks, objectness masks and object tracks from camera images, with OpenVINO.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cmt_seg_ros {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name in names:
        importlib.import_module(f"cmt_seg_ros.cli.{name}{'_' * keyword.iskeyword(name)}").add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status.

    It is 0 when done, 1 after an explained error, 2 after wrong usage, 3 when part of the input was damaged and the
    rest done, 130 after Ctrl-C or SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)  # a file's name or a terminal's encoding must not end a command
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = given[0] if given and given[0] in COMMANDS else ""
    name = f"cmt-seg {command}".strip()
    try:
        with terminable():
            # Of one command that is named, nothing else is imported: doctor runs on a machine where most is missing.
            args = build_parser([command] if command else COMMANDS).parse_args(given)
            return int(args.func(args))
    except ModuleNotFoundError as error:
        print(f"{name}: {explain(error)}", file=sys.stderr)
        return 1
    except CmtSegError as error:
        print(f"{name}: {error}", file=sys.stderr)  # safe to print, see CmtSegError
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
