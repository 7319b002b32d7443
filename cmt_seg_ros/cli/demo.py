"""cmt-seg demo: the real nodes on a clip, then a report with pictures."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmt_seg_ros.cli.demo_nodes import NodeGroup, NodeProcess, domain_id, wait_until
from cmt_seg_ros.config import SegmentationConfig, SourceConfig
from cmt_seg_ros.errors import CmtSegError, ConfigError

EXAMPLES = """examples:
  cmt-seg demo                         the synthetic street: 300 frames, exact ground truth
  cmt-seg demo --seed 7                another street
  cmt-seg demo --video drive.mp4       your video
  cmt-seg demo --images data/images    a folder of images; ground truth from data/labels, if there
  cmt-seg demo --bag my_bag            the first image topic of a rosbag2 folder, .mcap or ROS 1 .bag
  cmt-seg demo --device NPU,GPU,CPU    the first of these that works
  cmt-seg demo --every-frame           quality alone, on a slow machine
"""
OWN = ("bag", "logs", "arrivals.csv", "overlay.mp4", "report.html", "summary.json")
MARK = ".cmt-seg-demo"  # in a folder that the demo may empty
DRAIN_S, QUIET_S = 20.0, 1.0
_SENT = re.compile(r"finished: (\d+) frames")


def add_parser(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="run the real nodes on a clip and write a report with pictures",
        description="Starts segmentation, tracker, recorder and source as ROS 2 nodes on this machine, plays a clip "
        "through them and writes report.html, summary.json, overlay.mp4 and a bag.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    clip = parser.add_mutually_exclusive_group()
    clip.add_argument("--video", metavar="FILE", default="", help="a video file")
    clip.add_argument("--images", metavar="FOLDER", default="", help="a folder of images")
    clip.add_argument("--bag", metavar="BAG", default="", help="a rosbag2 folder, .mcap file or ROS 1 .bag")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("out/demo"), help="default: %(default)s")
    parser.add_argument("--frames", metavar="N", type=int, default=0, help="stop after N; default: all (scene: 300)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="which street the scene shows; default: 0")
    parser.add_argument("--model", default=SegmentationConfig.model, help="name or folder; default: %(default)s")
    parser.add_argument("--device", default=SegmentationConfig.device, help="OpenVINO devices; default: %(default)s")
    parser.add_argument(
        "--every-frame",
        action="store_true",
        help="drop nothing: the source waits for each mask, however slow the machine; latency is not measured then",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        CmtSegError: ROS or the clip is missing, a node failed, nothing came out.
    """
    from cmt_seg_ros.evaluation.report import build_report
    from cmt_seg_ros.sources import open_source

    if importlib.util.find_spec("rclpy") is None:
        raise ConfigError("the demo needs ROS 2 (rclpy); run `make setup`, or source your ROS distribution")
    source = SourceConfig(
        video=_absolute(args.video),
        images=_absolute(args.images),
        bag=_absolute(args.bag),
        frames=args.frames,
        scene_seed=args.seed,
        drop_policy="none" if args.every_frame else SourceConfig.drop_policy,
    )
    segmentation = SegmentationConfig(model=args.model, device=args.device, drop_policy=source.drop_policy)
    clip = open_source(source)  # fails here, with one sentence, rather than in a node
    out = _prepare(args.out)
    with _terminable():
        sent = _play(source, segmentation, out, len(clip))
    summary = build_report(out, clip.name, sent)
    _print_results(summary, out / "report.html")
    return 0


def _play(source: SourceConfig, segmentation: SegmentationConfig, out: Path, total: int) -> int | None:
    """Run the nodes until the clip is over; return how many frames the source sent."""
    print(f"starting the nodes (ROS domain {domain_id()}, this machine only)", flush=True)
    with NodeGroup(out / "logs") as nodes:
        first = [
            nodes.start("segmentation_node", _changed(segmentation)),
            nodes.start("tracker_node", {}),
            nodes.start("recorder_node", {"out": str(out.resolve())}),
        ]
        nodes.wait_ready(first)
        # Live, a stamp is the time of sending; if the source waits, the clip's own stamps keep its speed.
        player = nodes.start("source_node", {**_changed(source), "keep_stamps": source.drop_policy == "none"})
        nodes.wait_ready([player])
        _watch(nodes, player, out / "arrivals.csv", total)
        if player.status != 0:
            raise CmtSegError(f"source_node ended with status {player.status}; its last lines:\n{player.tail()}")
        for node in nodes.stop():
            raise CmtSegError(f"{node.name} ended with status {node.status}; its last lines:\n{node.tail()}")
        sent = _SENT.search(player.output())
        return int(sent[1]) if sent else None


def _watch(nodes: NodeGroup, player: NodeProcess, arrivals: Path, total: int) -> None:
    """Show masks coming in until the source has ended and nothing more comes.

    Raises:
        CmtSegError: a node ended before.
    """
    from tqdm import tqdm

    counter = _Counter(arrivals)
    # In a file or a CI log a line every few seconds is enough.
    period_s = 0.2 if sys.stderr.isatty() else 5.0
    with tqdm(total=total, unit="frame", desc="masks", dynamic_ncols=True, mininterval=period_s) as bar:

        def step() -> bool:
            nodes.check(but=player)
            if new := counter.masks() - bar.n:
                bar.update(new)
            return player.status is not None

        while not step():
            time.sleep(0.1)
        # The last results may still be under way.
        wait_until(lambda: step() and counter.quiet_s() > QUIET_S, DRAIN_S)


class _Counter:
    """Counts the recorder's rows as they are written."""

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._masks, self._changed = path, 0, 0, time.monotonic()

    def masks(self) -> int:
        """Masks recorded so far."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        if new:
            self._read += len(new)
            self._masks += new.count(b"/segmentation/mask,")
            self._changed = time.monotonic()
        return self._masks

    def quiet_s(self) -> float:
        """Seconds since the last row."""
        return time.monotonic() - self._changed


def _prepare(out: Path) -> Path:
    """Make the folder; empty it of what an earlier demo wrote, but of nothing else.

    Raises:
        ConfigError: it holds files of these names that are not a demo's, or cannot be written.
    """
    present = [name for name in OWN if (out / name).exists()]
    if present and not (out / MARK).exists():
        raise ConfigError(f"{out} has {', '.join(present)}, not written by a demo; give another folder with --out")
    try:
        for name in present:
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink()
        (out / "logs").mkdir(parents=True)
        (out / MARK).touch()
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error}; give another folder with --out") from error
    return out


def _changed(config: SourceConfig | SegmentationConfig) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if getattr(config, f.name) != f.default}


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if path else ""


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM end the demo as Ctrl-C does, with its nodes."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_results(summary: dict[str, Any], report: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from cmt_seg_ros.evaluation.report import result_rows

    table = Table(title=f"{summary['clip']}: {summary['model']} on {summary['device'] or 'an unknown device'}")
    for name, justify in (("quantity", "left"), ("value", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in result_rows(summary):
        table.add_row(row.name, row.value)
    console = Console()
    console.print(table)
    for note in summary["notes"]:
        console.print(note, highlight=False)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)
