"""Command line and results of every benchmark."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmt_seg_ros.errors import CmtSegError


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that prints the script's docstring as it is, with the option that all have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of the JSON (%(default)s)")
    return made


DATA_VARIABLE = "CMT_SEG_TRACKING"  # environment: the folder of the data of tracking


def add_data(arguments: argparse.ArgumentParser) -> None:
    """The option of the benchmarks that need MOT15 or CamVid."""
    place = os.environ.get(DATA_VARIABLE)
    arguments.add_argument("--data", type=Path, default=place and Path(place), help=f"data (${DATA_VARIABLE})")


def size(text: str) -> tuple[int, int]:
    """Width and height in pixels from text like 640x480."""
    try:
        width, height = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no image size; give WIDTHxHEIGHT, e.g. 640x480") from None
    return width, height


def size_text(image_size: tuple[int, int]) -> str:
    """An image size as the user types it."""
    return f"{image_size[0]}x{image_size[1]}"


def save(folder: Path, name: str, result: dict[str, Any]) -> None:
    """Write <folder>/<name>.json, with the load of the machine: what else ran makes figures worse."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = {"cores": len(os.sched_getaffinity(0)), "load_1_5_15_min": os.getloadavg()}
    (folder / f"{name}.json").write_text(json.dumps({"machine": machine, **result}, indent=2))


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; errors become one message and status 1, Ctrl-C status 130."""
    try:
        main()
    except CmtSegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
