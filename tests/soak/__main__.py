"""Soak of the nodes and of what reads files: prints a table, and ends with status 1 if anything differs.

make soak                       about five minutes
make soak MINUTES=120 SEED=7    two hours, with other random numbers
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from soak.cameras import four_cameras
from soak.files import damaged_bags, damaged_models
from soak.full import full_disk, full_shared_memory
from soak.fuzz import fuzz_segmentation, fuzz_tracker
from soak.kills import kills
from soak.measures import Row

Step = Callable[..., Row]
# How much of each is done in a minute of the soak: messages, seconds, rounds or files.
STEPS: dict[str, tuple[Step, float]] = {
    "images": (fuzz_segmentation, 4000),
    "masks": (fuzz_tracker, 4000),
    "cameras": (four_cameras, 12),
    "kills": (kills, 0.2),
    "bags": (damaged_bags, 60),
    "models": (damaged_models, 2),
    "memory": (full_shared_memory, 20),
    "disk": (full_disk, 100),
}


def main() -> int:
    """Run the steps; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="about how long (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=tuple(STEPS), default=tuple(STEPS), help="only these steps")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # what is said of damaged files, thousands of lines
    began, rows = time.monotonic(), []
    for name in args.only:
        step, share = STEPS[name]
        amount = max(1, round(share * args.minutes))
        with tempfile.TemporaryDirectory() as folder, tqdm(total=amount, desc=name) as bar:
            rows.append(step(Path(folder), args.seed, amount, lambda done, bar=bar: bar.update(done - bar.n)))
    console = Console()
    console.print(table(rows))
    for row in rows:
        for fault in row.faults:
            console.print(f"{row.step}: {fault}", markup=False)
    console.print(f"seed {args.seed}, {time.monotonic() - began:.0f} s", highlight=False)
    return int(any(row.faults for row in rows))


def table(rows: list[Row]) -> Table:
    """Make the table of the steps."""
    made = Table("step", "sent", "answered", "counted", "lost", "crashes", "memory, MB", "descriptors", "threads", "")
    for row in rows:
        numbers = (row.sent, row.answered, row.counted, row.lost, row.crashes)
        growth = (f"{row.growth_mb:+.1f}", f"{row.descriptors:+d}", f"{row.threads:+d}")
        made.add_row(row.step, *map(str, numbers), *growth, "FAIL" if row.faults else "ok")
    return made


if __name__ == "__main__":
    sys.exit(main())
