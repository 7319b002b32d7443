"""Speed of evaluation: how fast is cmt-seg evaluate, against the bare model?

The bare model is the graph that evaluation uses, on images that lie in memory: no reading, no decoding, no tracker, no
scores. Against it, in turns and on the same frames, from a bag of the synthetic street with ground truth (480x360):

    replay     read and decode, infer; nothing else
    tracks     and track
    scores     all that cmt-seg evaluate --no-annotate does with a frame
    annotated  all that cmt-seg evaluate does with a frame
    report     seconds that summary, pictures and report take at the end, whatever the length

once with all cores for the model, where everything else takes time from it, and once with a core less, which then is
there for everything else. --long measures the memory over a long bag instead. Prints a table and writes
out/bench/evaluation.json.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --rounds 1 --frames 100       (a quick look)
    python benchmarks/evaluation.py --long 10000
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.bags import write_bag
from support.measures import Median
from support.report import parser, run, save

from cmt_seg_ros.config import SegmentationConfig, SourceConfig, TrackerConfig
from cmt_seg_ros.evaluation.checkpoint import read_records
from cmt_seg_ros.evaluation.job import Job
from cmt_seg_ros.evaluation.replay import Replay
from cmt_seg_ros.evaluation.sequence import evaluate, with_tracks
from cmt_seg_ros.runtime.masks import default_masks
from cmt_seg_ros.runtime.pipeline import Pipeline
from cmt_seg_ros.sources import open_source
from cmt_seg_ros.sources.clip import numbered
from cmt_seg_ros.structures import Frame
from cmt_seg_ros.tracking.session import TrackingSession

STAGES = ("bare", "replay", "tracks", "scores", "annotated")


class Runs:
    """What is compared, each returning frames a second; the model is loaded and warm.

    Args:
        bag: of the street.
        threads: of the model.
        folder: for results, which are deleted again.
    """

    def __init__(self, bag: Path, threads: int, folder: Path) -> None:
        self._config = SegmentationConfig(device="CPU", num_threads=threads, drop_policy="none")
        self._source, self._folder = SourceConfig(bag=str(bag)), folder
        self._pipeline = Pipeline(self._config)
        self._frames: Sequence[Frame] = list(open_source(self._source))
        self._pipeline.process(self._frames[:3])

    def round(self) -> dict[str, float]:
        """Frames a second of each of STAGES, and seconds for the report."""
        found = {
            "bare": self._timed(self._bare),
            "replay": self._timed(self._replay),
            "tracks": self._timed(self._tracks),
        }
        for name, annotate in (("scores", False), ("annotated", True)):
            begun = time.perf_counter()
            timing = evaluate(Job("bag", str(self._folder), self._source, self._config, annotate=annotate))["timing"]
            found[name], found["report"] = timing["frames_per_s"], time.perf_counter() - begun - timing["wall_s"]
            shutil.rmtree(self._folder)
        return found

    def _timed(self, what: Callable[[], None]) -> float:
        begun = time.perf_counter()
        what()
        return len(self._frames) / (time.perf_counter() - begun)

    def _bare(self) -> None:
        masks = default_masks(self._config, self._pipeline.package)
        for frame in self._frames:
            self._pipeline.segment([frame], [masks])

    def _replay(self) -> None:
        for _ in Replay(numbered(open_source(self._source)), self._pipeline, 0, lambda index, error: None):
            pass

    def _tracks(self) -> None:
        session = TrackingSession(self._pipeline.labels, TrackerConfig())
        for result in Replay(numbered(open_source(self._source)), self._pipeline, 0, lambda index, error: None):
            with_tracks(result, session, use_images=False)


def memory(bag: Path, folder: Path) -> dict[str, Any]:
    """Memory of this process while it evaluates a long bag, 1e6 bytes."""
    config = SegmentationConfig(device="CPU", drop_policy="none")
    summary = evaluate(Job("long", str(folder), SourceConfig(bag=str(bag)), config))
    used = [record["timing"]["memory_mb"] for record in read_records(folder)]
    places = np.linspace(0, len(used) - 1, 11).round().astype(int).tolist()
    return {
        "frames": summary["frames"]["evaluated"],
        "memory_mb": {place: used[place] for place in places},
        "frames_per_s": summary["timing"]["frames_per_s"],
    }


def print_table(console: Console, rows: list[dict[str, Any]]) -> None:
    """Frames a second, and their ratio to the bare model."""
    table = Table(
        "", *STAGES, title="frames a second, and in brackets the ratio to the bare model; median of the rounds"
    )
    for row in rows:
        cells = [f"{Median(**row[s]['fps']).text(1)}\n({Median(**row[s]['ratio']).text(2)})" for s in STAGES]
        table.add_row(f"model on {row['threads']} of {row['cores']} cores", *cells, f"{row['report_s']:.1f} s")
    console.print(table)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=3, help="rounds of each (%(default)s)")
    arguments.add_argument("--frames", type=int, default=200, help="of the bag (%(default)s)")
    arguments.add_argument("--long", type=int, default=0, metavar="N", help="measure memory over N frames instead")
    args = arguments.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as place:
        bag = write_bag(Path(place) / "bag", args.long or args.frames)
        if args.long:
            found = memory(bag, Path(place) / "out")
            Console().print(found)
            save(args.out, "evaluation_memory", found)
            return
        rows = []
        for threads in sorted({cores, max(1, cores - 1)}, reverse=True):
            runs = Runs(bag, threads, Path(place) / "out")
            numbers = track(range(args.rounds), f"rounds with {threads} threads", transient=True)
            rounds = [runs.round() for _ in numbers]
            figures = {
                stage: {
                    "fps": Median.of([r[stage] for r in rounds]).as_dict(),
                    "ratio": Median.of([r[stage] / r["bare"] for r in rounds]).as_dict(),
                }
                for stage in STAGES
            }
            report_s = float(np.median([r["report"] for r in rounds]))
            rows.append({"threads": threads, "cores": cores, "report_s": report_s, **figures})
    print_table(Console(), rows)
    save(args.out, "evaluation", {"frames": args.frames, "rows": rows})


if __name__ == "__main__":
    run(main)
